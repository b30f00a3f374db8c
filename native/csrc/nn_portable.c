/* The inference kernels for any machine: four floats at a time, which is SSE2 and NEON. */
#define SFL_WIDTH 4
#define TILE_ROWS 6
#include "nn_kernels.h"

static int usable(void)
{
    return 1;
}

SFL_NN_BACKEND(portable, usable);
