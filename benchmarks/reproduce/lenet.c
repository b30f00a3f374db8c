/* Local SGD of LeNet on 32 x 32 colour images, one client after the other: a client's model and images stay in cache.
 *
 * Layers: 6 filters 5x5, maximum of 2x2, ReLU; 16 filters 5x5, the same; 120, 84, 10. Rows of images are padded so that
 * every inner loop is whole vectors; the padding of errors is zero. Parameters lie as in lenet.py. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, F = 5, C0 = 3, C1 = 6, C2 = 16, H0 = 400, H1 = 120, H2 = 84, H3 = 10 };
enum { I0 = 32, O1 = 28, I1 = 14, O2 = 10, I2 = 5, IMAGE = C0 * I0 * I0 };
enum { S0 = 48, S1 = 32, SO1 = 32, SO2 = 16, EDGE = 4, SP = 40, RP = O2 + 2 * EDGE };

typedef float vec __attribute__((vector_size(64), aligned(4)));

typedef struct {
    float k1[C1][C0][F][F], b1[C1], k2[C2][C1][F][F], b2[C2];
    float w3[H0][H1], b3[H1], w4[H1][H2], b4[H2], w5[H2][H3], b5[H3];
} net;

/* Images, activations and errors of one batch. */
typedef struct {
    float x0[BATCH][C0][I0][S0], o1[C1][O1][SO1], x1[BATCH][C1][I1][S1], o2[C2][O2][SO2];
    float e1[BATCH][C1][O1][SO1], e2[BATCH][C2][RP][SP], p1[C1][I1][SO2];
    unsigned char at1[BATCH][C1][I1][I1], at2[BATCH][C2][I2][I2];
    float h0[BATCH][H0], h1[BATCH][H1], h2[BATCH][H2], h3[BATCH][H3];
    float d0[BATCH][H0], d1[BATCH][H1], d2[BATCH][H2];
} room;

static vec load(const float *p) { return *(const vec *)p; }
static void store(float *p, vec v) { *(vec *)p = v; }

static float total(vec v) {
    float sum = 0;
    for (int i = 0; i < 16; i++) sum += v[i];
    return sum;
}

static void filter1(const net *n, room *r, int b) {
    for (int y = 0; y < O1; y++)
        for (int half = 0; half < SO1; half += 16) {
            vec sum[C1];
            for (int c = 0; c < C1; c++) sum[c] = (vec){0} + n->b1[c];
            for (int i = 0; i < C0; i++)
                for (int ky = 0; ky < F; ky++)
                    for (int kx = 0; kx < F; kx++) {
                        vec in = load(&r->x0[b][i][y + ky][half + kx]);
                        for (int c = 0; c < C1; c++) sum[c] += in * n->k1[c][i][ky][kx];
                    }
            for (int c = 0; c < C1; c++) store(&r->o1[c][y][half], sum[c]);
        }
}

static void filter2(const net *n, room *r, int b) {
    for (int y = 0; y < O2; y++) {
        vec sum[C2];
        for (int c = 0; c < C2; c++) sum[c] = (vec){0} + n->b2[c];
        for (int i = 0; i < C1; i++)
            for (int ky = 0; ky < F; ky++)
                for (int kx = 0; kx < F; kx++) {
                    vec in = load(&r->x1[b][i][y + ky][kx]);
                    for (int c = 0; c < C2; c++) sum[c] += in * n->k2[c][i][ky][kx];
                }
        for (int c = 0; c < C2; c++) store(r->o2[c][y], sum[c]);
    }
}

/* The largest of four, where it was (4: none is above 0, so nothing flows back). */
static inline float pool(const float *up, const float *down, unsigned char *at) {
    float most = 0;
    *at = 4;
    const float four[4] = {up[0], up[1], down[0], down[1]};
    for (int i = 0; i < 4; i++)
        if (four[i] > most) most = four[i], *at = (unsigned char)i;
    return most;
}

static void pool_both(const net *n, room *r, int b) {
    filter1(n, r, b);
    for (int c = 0; c < C1; c++)
        for (int y = 0; y < I1; y++)
            for (int x = 0; x < I1; x++)
                r->x1[b][c][y][x] = pool(&r->o1[c][2 * y][2 * x], &r->o1[c][2 * y + 1][2 * x], &r->at1[b][c][y][x]);
    filter2(n, r, b);
    for (int c = 0; c < C2; c++)
        for (int y = 0; y < I2; y++)
            for (int x = 0; x < I2; x++)
                r->h0[b][(c * I2 + y) * I2 + x] =
                    pool(&r->o2[c][2 * y][2 * x], &r->o2[c][2 * y + 1][2 * x], &r->at2[b][c][y][x]);
}

/* out = bias + in w, for the whole batch: a row of w is read once. */
static inline void dense(int batch, int rows, int columns, const float *in, const float *w, const float *bias, float *out) {
    for (int b = 0; b < batch; b++) memcpy(out + b * columns, bias, sizeof(float) * columns);
    for (int i = 0; i < rows; i++)
        for (int b = 0; b < batch; b++) {
            float a = in[b * rows + i];
            if (a != 0)
                for (int j = 0; j < columns; j++) out[b * columns + j] += a * w[i * columns + j];
        }
}

/* From the errors of `out`: gradients of w and bias, and the errors of `in`, which was cut at 0. */
static inline void dense_back(
    int batch, int rows, int columns, const float *in, const float *w, const float *error, float *gw, float *gb, float *back) {
    for (int b = 0; b < batch; b++)
        for (int j = 0; j < columns; j++) gb[j] += error[b * columns + j];
    for (int i = 0; i < rows; i++)
        for (int b = 0; b < batch; b++) {
            float a = in[b * rows + i], sum = 0;
            if (a != 0)
                for (int j = 0; j < columns; j++) {
                    gw[i * columns + j] += a * error[b * columns + j];
                    sum += w[i * columns + j] * error[b * columns + j];
                }
            back[b * rows + i] = sum;
        }
}

static void relu(float *values, int count) {
    for (int i = 0; i < count; i++) values[i] = values[i] > 0 ? values[i] : 0;
}

static void softmax_error(float *scores, int label, float weight) {
    float most = scores[0], sum = 0;
    for (int j = 1; j < H3; j++) most = fmaxf(most, scores[j]);
    for (int j = 0; j < H3; j++) sum += scores[j] = expf(scores[j] - most);
    for (int j = 0; j < H3; j++) scores[j] = weight * (scores[j] / sum - (j == label));
}

static void filter2_back(const net *n, room *r, int batch, net *g) {
    for (int b = 0; b < batch; b++) {
        memset(r->e2[b], 0, sizeof r->e2[b]);
        for (int c = 0; c < C2; c++)
            for (int y = 0; y < I2; y++)
                for (int x = 0; x < I2; x++) {
                    int at = r->at2[b][c][y][x];
                    float error = r->d0[b][(c * I2 + y) * I2 + x];
                    if (at < 4) r->e2[b][c][EDGE + 2 * y + at / 2][EDGE + 2 * x + at % 2] = error, g->b2[c] += error;
                }
    }
    for (int i = 0; i < C1; i++)
        for (int ky = 0; ky < F; ky++)
            for (int c = 0; c < C2; c += 4) {
                vec sum[4][F] = {0};
                for (int b = 0; b < batch; b++)
                    for (int y = 0; y < O2; y++) {
                        vec in[F];
                        for (int kx = 0; kx < F; kx++) in[kx] = load(&r->x1[b][i][y + ky][kx]);
                        for (int k = 0; k < 4; k++) {
                            vec error = load(&r->e2[b][c + k][EDGE + y][EDGE]);
                            for (int kx = 0; kx < F; kx++) sum[k][kx] += error * in[kx];
                        }
                    }
                for (int k = 0; k < 4; k++)
                    for (int kx = 0; kx < F; kx++) g->k2[c + k][i][ky][kx] += total(sum[k][kx]);
            }
    for (int b = 0; b < batch; b++) {
        for (int y = 0; y < I1; y++) {
            vec sum[C1] = {0};
            for (int c = 0; c < C2; c++)
                for (int ky = 0; ky < F; ky++)
                    for (int kx = 0; kx < F; kx++) {
                        vec error = load(&r->e2[b][c][EDGE + y - ky][EDGE - kx]);
                        for (int i = 0; i < C1; i++) sum[i] += error * n->k2[c][i][ky][kx];
                    }
            for (int i = 0; i < C1; i++) store(r->p1[i][y], sum[i]);
        }
        memset(r->e1[b], 0, sizeof r->e1[b]);
        for (int c = 0; c < C1; c++)
            for (int y = 0; y < I1; y++)
                for (int x = 0; x < I1; x++) {
                    int at = r->at1[b][c][y][x];
                    float error = r->p1[c][y][x];
                    if (at < 4) r->e1[b][c][2 * y + at / 2][2 * x + at % 2] = error, g->b1[c] += error;
                }
    }
}

static void filter1_back(room *r, int batch, net *g) {
    for (int i = 0; i < C0; i++)
        for (int ky = 0; ky < F; ky++)
            for (int c = 0; c < C1; c += 3) {
                vec sum[3][F] = {0};
                for (int b = 0; b < batch; b++)
                    for (int y = 0; y < O1; y++)
                        for (int half = 0; half < SO1; half += 16) {
                            vec in[F];
                            for (int kx = 0; kx < F; kx++) in[kx] = load(&r->x0[b][i][y + ky][half + kx]);
                            for (int k = 0; k < 3; k++) {
                                vec error = load(&r->e1[b][c + k][y][half]);
                                for (int kx = 0; kx < F; kx++) sum[k][kx] += error * in[kx];
                            }
                        }
                for (int k = 0; k < 3; k++)
                    for (int kx = 0; kx < F; kx++) g->k1[c + k][i][ky][kx] += total(sum[k][kx]);
            }
}

/* The scores of a batch, into h3. */
static void forward(const net *n, room *r, int batch, const float *images) {
    for (int b = 0; b < batch; b++) {
        for (int row = 0; row < C0 * I0; row++, images += I0) memcpy(r->x0[b][0][row], images, sizeof(float) * I0);
        pool_both(n, r, b);
    }
    dense(batch, H0, H1, r->h0[0], n->w3[0], n->b3, r->h1[0]);
    relu(r->h1[0], batch * H1);
    dense(batch, H1, H2, r->h1[0], n->w4[0], n->b4, r->h2[0]);
    relu(r->h2[0], batch * H2);
    dense(batch, H2, H3, r->h2[0], n->w5[0], n->b5, r->h3[0]);
}

/* After `forward`: the gradient of sum(weight * cross entropy), added to g. */
static void gradient(const net *n, room *r, int batch, const long long *labels, float weight, net *g) {
    for (int b = 0; b < batch; b++) softmax_error(r->h3[b], (int)labels[b], weight);
    dense_back(batch, H2, H3, r->h2[0], n->w5[0], r->h3[0], g->w5[0], g->b5, r->d2[0]);
    dense_back(batch, H1, H2, r->h1[0], n->w4[0], r->d2[0], g->w4[0], g->b4, r->d1[0]);
    dense_back(batch, H0, H1, r->h0[0], n->w3[0], r->d1[0], g->w3[0], g->b3, r->d0[0]);
    filter2_back(n, r, batch, g);
    filter1_back(r, batch, g);
}

/* How many of the images, (count, 3, 32, 32), have their label score highest; -1 if there is no memory. */
int right(const net *n, const float *images, const long long *labels, int count) {
    room *r = calloc(1, sizeof *r);
    if (!r) return -1;
    int found = 0;
    for (int done = 0; done < count; done++, images += IMAGE) {
        forward(n, r, 1, images);
        int best = 0;
        for (int j = 1; j < H3; j++)
            if (r->h3[0][j] > r->h3[0][best]) best = j;
        found += best == labels[done];
    }
    free(r);
    return found;
}

/* out (clients, sizeof(net) / 4) = (start - end) / rate. images (clients, steps, batch, 3, 32, 32), batch <= 8.
 * Returns 0, or -1 if there is no memory. */
int descend(
    const net *start, const float *images, const long long *labels, const float *scale, float rate, float proximal,
    int clients, int steps, int batch, float *out) {
    enum { SIZE = sizeof(net) / sizeof(float) };
    room *r = calloc(1, sizeof *r);
    net *own = malloc(sizeof *own), *g = malloc(sizeof *g);
    if (!r || !own || !g) return free(r), free(own), free(g), -1;
    const float *first = (const float *)start;
    float *o = (float *)own, *slope = (float *)g;
    for (int u = 0; u < clients; u++, out += SIZE) {
        *own = *start;
        for (int s = 0; s < steps; s++, labels += batch, images += batch * IMAGE) {
            memset(g, 0, sizeof *g);
            forward(own, r, batch, images);
            gradient(own, r, batch, labels, scale[u] / batch, g);
            for (int i = 0; i < SIZE; i++) o[i] -= rate * (slope[i] + proximal * (o[i] - first[i]));
        }
        for (int i = 0; i < SIZE; i++) out[i] = (first[i] - o[i]) / rate;
    }
    free(r), free(own), free(g);
    return 0;
}
