/* What the checks of the inference kernels share: numbers, packing, and the verdict. */
#ifndef NN_CHECK_H
#define NN_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn_parts.h"

static inline float random_float(void)
{
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return (float)(state >> 8) / (1 << 23) - 1;
}

static inline float *randoms(size_t count)
{
    float *x = malloc(4 * count);
    for (size_t i = 0; i < count; i++) x[i] = random_float();
    return x;
}

/* `count` floats, and zeros up to whole units. */
static inline float *padded(const float *x, size_t count, size_t unit)
{
    float *out = calloc(sfl_nn_round_up(count, unit), 4);
    memcpy(out, x, 4 * count);
    return out;
}

/* A matrix (depth, columns) as panels. */
static inline float *packed(const float *x, size_t depth, size_t columns, size_t panel)
{
    float *out = calloc(depth * sfl_nn_round_up(columns, panel), 4);
    for (size_t k = 0; k < depth; k++) {
        for (size_t j = 0; j < columns; j++) out[j / panel * panel * depth + k * panel + j % panel] = x[k * columns + j];
    }
    return out;
}

static inline int near(const char *what, const sfl_nn_backend *b, double worst, double allowed)
{
    printf("%s %s: %.1e\n", b->name, what, worst);
    return !(worst <= allowed);
}

int check_layers(const sfl_nn_backend *b);
int check_windows(const sfl_nn_backend *b);

#endif
