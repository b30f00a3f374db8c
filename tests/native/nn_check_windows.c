/* Depthwise convolution, pooling, and Strassen's product beside plain loops over planar images. */
#include "nn_check.h"

enum { CHANNELS = 19, SIDE = 11, KERNEL = 3 };

/* Entry (channel, row, column) of a blocked image. */
static size_t at(const sfl_nn_backend *b, size_t pixels, size_t channel, size_t pixel)
{
    return (channel / b->width * pixels + pixel) * b->width + channel % b->width;
}

static sfl_nn_window window_of(size_t stride)
{
    const size_t side = (SIDE + 2 - KERNEL) / stride + 1;
    return (sfl_nn_window){1, CHANNELS, SIDE, SIDE, CHANNELS, side, side, {KERNEL, KERNEL}, {stride, stride}, {1, 1}};
}

static float *blocked(const sfl_nn_backend *b, const float *x)
{
    float *out = calloc(sfl_nn_round_up(CHANNELS, b->width) * SIDE * SIDE, 4);
    b->convert(&(sfl_nn_convert){1, CHANNELS, SIDE * SIDE, 1, x, out});
    return out;
}

/* The sum of weight * x, the largest x, and how many x there are in one window. */
typedef struct {
    double sum, largest;
    int count;
} seen;

static seen look(const sfl_nn_window *w, const float *image, const float *weights, size_t out)
{
    seen s = {0, -INFINITY, 0};
    for (size_t k = 0; k < KERNEL * KERNEL; k++) {
        const size_t y = out / w->out_width * w->stride[0] + k / KERNEL - 1;
        const size_t x = out % w->out_width * w->stride[1] + k % KERNEL - 1;
        if (y >= SIDE || x >= SIDE) continue;
        s.sum += (double)(weights ? weights[k] : 1) * image[y * SIDE + x];
        s.largest = fmax(s.largest, image[y * SIDE + x]);
        s.count++;
    }
    return s;
}

static int check_depthwise(const sfl_nn_backend *b)
{
    const size_t lanes = sfl_nn_round_up(CHANNELS, b->width);
    float *x = randoms(CHANNELS * SIDE * SIDE), *g = randoms(CHANNELS * KERNEL * KERNEL), *in = blocked(b, x);
    float *weights = calloc(lanes * KERNEL * KERNEL, 4), *bias = padded(randoms(CHANNELS), CHANNELS, b->width);
    float *out = calloc(lanes * SIDE * SIDE, 4);
    double worst = 0;
    for (size_t i = 0; i < CHANNELS * KERNEL * KERNEL; i++)
        weights[at(b, KERNEL * KERNEL, i / (KERNEL * KERNEL), i % (KERNEL * KERNEL))] = g[i];
    for (size_t stride = 1; stride < 3; stride++) {
        const sfl_nn_window w = window_of(stride);
        const size_t pixels = w.out_height * w.out_width;
        b->depthwise(&(sfl_nn_depthwise){w, in, weights, bias, out, -1e30f, 1e30f});
        for (size_t i = 0; i < CHANNELS * pixels; i++) {
            const size_t c = i / pixels;
            const double sum = look(&w, x + c * SIDE * SIDE, g + c * KERNEL * KERNEL, i % pixels).sum + bias[c];
            worst = fmax(worst, fabs(sum - out[at(b, pixels, c, i % pixels)]));
        }
    }
    return near("depthwise", b, worst, 1e-5);
}

static int check_pool(const sfl_nn_backend *b)
{
    float *x = randoms(CHANNELS * SIDE * SIDE), *in = blocked(b, x);
    float *out = calloc(sfl_nn_round_up(CHANNELS, b->width) * SIDE * SIDE, 4);
    const sfl_nn_window w = window_of(2);
    const size_t pixels = w.out_height * w.out_width;
    double worst = 0;
    for (int kind = 0; kind < SFL_NN_POOLS; kind++) {
        b->pool(&(sfl_nn_pool){w, (sfl_nn_pooling)kind, in, out});
        for (size_t i = 0; i < CHANNELS * pixels; i++) {
            const seen s = look(&w, x + i / pixels * SIDE * SIDE, NULL, i % pixels);
            const double mean = s.sum / (kind == SFL_NN_MEAN ? s.count : KERNEL * KERNEL);
            const double wanted = kind == SFL_NN_MAX ? s.largest : mean;
            worst = fmax(worst, fabs(wanted - out[at(b, pixels, i / pixels, i % pixels)]));
        }
    }
    return near("pooling", b, worst, 1e-6);
}

/* Quarter (row, column) of a square matrix, times a sign, added to `out`. */
static void add_quarter(float *out, const float *matrix, size_t half, int row, int column, float sign)
{
    for (size_t i = 0; i < half * half; i++)
        out[i] += sign * matrix[((size_t)row * half + i / half) * 2 * half + (size_t)column * half + i % half];
}

static int check_strassen(const sfl_nn_backend *b)
{
    enum { PIXELS = 14 };
    /* B11, B21, -T4 = B21 - B22 + B12 - B11, T1 = B12 - B11, T2 = B22 - B12 + B11, T3 = B22 - B12, B22 */
    static const int sign[7][4] = {{1, 0, 0, 0}, {0, 0, 1, 0},  {-1, 1, 1, -1}, {-1, 1, 0, 0},
                                   {1, -1, 0, 1}, {0, -1, 0, 1}, {0, 0, 0, 1}};
    const size_t half = 2 * b->width, sides = 2 * half;
    float *x = randoms(sides * PIXELS), *g = randoms(sides * sides), *bias = randoms(sides);
    float *weights = malloc(7 * half * half * 4), *in = calloc(sides * PIXELS, 4), *out = calloc(sides * PIXELS, 4);
    for (int m = 0; m < 7; m++) {
        float *sum = calloc(half * half, 4);
        for (int q = 0; q < 4; q++) add_quarter(sum, g, half, q / 2, q % 2, (float)sign[m][q]);
        memcpy(weights + (size_t)m * half * half, packed(sum, half, half, 2 * b->width), 4 * half * half);
    }
    b->convert(&(sfl_nn_convert){1, sides, PIXELS, 1, x, in});
    sfl_nn_strassen s = {1, sides, sides, PIXELS, in, weights, bias, out, NULL, -1e30f, 1e30f};
    s.scratch = calloc(sfl_nn_strassen_scratch(&s, b->width), 4);
    b->strassen(&s);
    double worst = 0;
    for (size_t i = 0; i < sides * PIXELS; i++) {
        double sum = bias[i / PIXELS];
        for (size_t k = 0; k < sides; k++) sum += (double)x[k * PIXELS + i % PIXELS] * g[k * sides + i / PIXELS];
        worst = fmax(worst, fabs(sum - out[at(b, PIXELS, i / PIXELS, i % PIXELS)]));
    }
    return near("Strassen", b, worst, 1e-4);
}

int check_windows(const sfl_nn_backend *b)
{
    return check_depthwise(b) | check_pool(b) | check_strassen(b);
}
