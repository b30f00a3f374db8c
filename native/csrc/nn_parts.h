/* Jobs cut into parts that several threads compute side by side.
 *
 * A part has a range of the outputs and all that they depend on: no sum is cut, so that the result is the same, bit for
 * bit, whatever the number of parts. Each part has scratch of its own: as many floats as the whole job, rounded up to
 * SFL_NN_SCRATCH_UNIT, one after another.
 */
#ifndef SFL_NN_PARTS_H
#define SFL_NN_PARTS_H

#include "nn.h"

#define SFL_NN_SCRATCH_UNIT ((size_t)16)

/* Part `part` of `parts`. Strassen's product is not cut: part 0 is all of it. */
typedef struct {
    unsigned part, parts;
    size_t width; /* of the backend */
} sfl_nn_cut;

/* Each turns a whole job into the job of one part; 0: there is nothing to do in this part. */
int sfl_nn_cut_linear(sfl_nn_linear *job, const sfl_nn_cut *cut);
int sfl_nn_cut_conv(sfl_nn_conv *job, const sfl_nn_cut *cut);
int sfl_nn_cut_winograd(sfl_nn_winograd *job, const sfl_nn_cut *cut);
int sfl_nn_cut_strassen(sfl_nn_strassen *job, const sfl_nn_cut *cut);
int sfl_nn_cut_depthwise(sfl_nn_depthwise *job, const sfl_nn_cut *cut);
int sfl_nn_cut_pool(sfl_nn_pool *job, const sfl_nn_cut *cut);
int sfl_nn_cut_elementwise(sfl_nn_elementwise *job, const sfl_nn_cut *cut);
int sfl_nn_cut_activate(sfl_nn_activate *job, const sfl_nn_cut *cut);
int sfl_nn_cut_softmax(sfl_nn_softmax *job, const sfl_nn_cut *cut);
int sfl_nn_cut_convert(sfl_nn_convert *job, const sfl_nn_cut *cut);
int sfl_nn_cut_copy(sfl_nn_copy *job, const sfl_nn_cut *cut);
int sfl_nn_cut_lookup(sfl_nn_lookup *job, const sfl_nn_cut *cut);
int sfl_nn_cut_locate(sfl_nn_locate *job, const sfl_nn_cut *cut);
int sfl_nn_cut_attention(sfl_nn_attention *job, const sfl_nn_cut *cut);

#endif
