/* The inference kernels without Python: matrix product, convolution and Winograd here, and what nn_check.h names.
 * For machines that only an emulator has here. Prints what was checked; exits with 1 where something differs. */
#include "nn_check.h"

enum { CHANNELS = 19, FILTERS = 13, SIDE = 11 };

static int check_linear(const sfl_nn_backend *b, size_t rows, size_t depth, size_t columns)
{
    const size_t panel = 2 * b->width, wide = sfl_nn_round_up(columns, panel);
    float *x = randoms(rows * depth), *w = calloc(depth * wide, 4), *bias = calloc(wide, 4), *out = calloc(rows * columns, 4);
    double worst = 0;
    for (size_t k = 0; k < depth; k++) {
        for (size_t j = 0; j < columns; j++) w[j / panel * panel * depth + k * panel + j % panel] = random_float();
    }
    const sfl_nn_linear job = {rows, depth, columns, x, w, NULL, bias, NULL, out, NULL, -1e30f, 1e30f, SFL_NN_SIGMOID};
    b->linear(&job);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += (double)x[i * depth + k] * w[j / panel * panel * depth + k * panel + j % panel];
            worst = fmax(worst, fabs(1 / (1 + exp(-sum)) - out[i * columns + j]));
        }
    }
    return near("linear", b, worst, 1e-6);
}

/* Direct and Winograd F(2, 3), the two of them and a plain loop over planar images. */
static int check_conv(const sfl_nn_backend *b)
{
    static const float input[16] = {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, -1, 0, 1};
    static const float filter[12] = {1, 0, 0, .5f, .5f, .5f, .5f, -.5f, .5f, 0, 0, 1};
    static const float output[8] = {1, 1, 1, 0, 0, 1, -1, 1};
    const size_t unit = b->width, in = sfl_nn_round_up(CHANNELS, unit), outs = sfl_nn_round_up(FILTERS, unit);
    const size_t panels = sfl_nn_round_up(FILTERS, 2 * unit), pixels = SIDE * SIDE;
    const sfl_nn_window w = {1, CHANNELS, SIDE, SIDE, FILTERS, SIDE, SIDE, {3, 3}, {1, 1}, {1, 1}};
    float *x = randoms(CHANNELS * pixels), *g = randoms(FILTERS * CHANNELS * 9), *bias = calloc(panels, 4);
    float *blocked = calloc(in * pixels, 4), *scratch = calloc(1 << 20, 4), *panel = calloc(16 * in * panels, 4);
    float *direct = calloc(outs * pixels, 4), *fast = calloc(outs * pixels, 4);
    int64_t *index = malloc(in * 9 * sizeof *index);
    for (size_t k = 0; k < in * 9; k++) {
        const size_t channel = k / (9 * unit) * unit + k % unit, tap = k / unit % 9;
        index[k] = channel < CHANNELS ? (int64_t)(channel * 9 + tap) : -1;
    }
    b->convert(&(sfl_nn_convert){1, CHANNELS, pixels, 1, x, blocked});
    b->pack(&(sfl_nn_pack){FILTERS, in * 9, CHANNELS * 9, index, g, panel});
    b->conv(&(sfl_nn_conv){w, 0, blocked, panel, bias, NULL, direct, scratch, 1 << 20, -1e30f, 1e30f, 0, SIDE});
    b->filters(&(sfl_nn_filters){FILTERS, CHANNELS, 3, 4, filter, g, panel});
    b->winograd(&(sfl_nn_winograd){w, 2, 4, 1, 7, input, output, blocked, panel, bias, NULL, fast, scratch, -1e30f, 1e30f,
                                   in * panels, 0, (SIDE + 1) / 2 * ((SIDE + 1) / 2)});
    double worst = 0;
    for (size_t f = 0; f < FILTERS; f++) {
        for (size_t p = 0; p < pixels; p++) {
            double sum = 0;
            for (size_t k = 0; k < CHANNELS * 9; k++) {
                const size_t y = p / SIDE + k % 9 / 3 - 1, column = p % SIDE + k % 3 - 1;
                if (y < SIDE && column < SIDE)
                    sum += (double)x[k / 9 * pixels + y * SIDE + column] * g[f * CHANNELS * 9 + k];
            }
            const size_t place = (f / unit * pixels + p) * unit + f % unit;
            worst = fmax(worst, fmax(fabs(sum - direct[place]), fabs(sum - fast[place])));
        }
    }
    return near("convolution", b, worst, 1e-4);
}

int main(void)
{
    int failed = 0;
    for (const sfl_nn_backend *const *b = sfl_nn_backends; *b; b++) {
        if (!(*b)->usable()) continue;
        failed |= check_linear(*b, 23, 37, 41) | check_linear(*b, 1, 70, 130) | check_conv(*b) | check_layers(*b) |
                  check_windows(*b);
    }
    return failed;
}
