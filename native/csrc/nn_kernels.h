/* Everything that a backend is made of. Before it: SFL_WIDTH, TILE_ROWS, and the instructions to compile for. */
#include "nn_attention.h"
#include "nn_conv.h"
#include "nn_strassen.h"
#include "nn_winograd.h"

#define SFL_NN_BACKEND(kind, available)                               \
    const sfl_nn_backend sfl_nn_##kind = {.name = #kind,              \
                                          .usable = available,        \
                                          .width = SFL_WIDTH,         \
                                          .tile_rows = TILE_ROWS,     \
                                          .gemm = gemm,               \
                                          .linear = linear,           \
                                          .conv = conv,               \
                                          .winograd = winograd,       \
                                          .strassen = strassen,       \
                                          .depthwise = depthwise,     \
                                          .pool = pool,               \
                                          .elementwise = elementwise, \
                                          .activate = activate,       \
                                          .softmax = softmax,         \
                                          .convert = convert,         \
                                          .pack = pack,               \
                                          .filters = filters,         \
                                          .lookup = lookup,           \
                                          .attention = attention,     \
                                          .all_finite = all_finite}
