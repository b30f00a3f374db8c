#include "nn.h"

const sfl_nn_backend *const sfl_nn_backends[] = {
#ifdef SFL_X86
    &sfl_nn_avx512,
    &sfl_nn_avx2,
#endif
    &sfl_nn_portable,
    NULL,
};

void sfl_nn_copy_rows(const sfl_nn_copy *job)
{
    for (size_t r = 0; r < job->rows; r++)
        memcpy(job->out + r * job->out_row, job->x + r * job->x_row, 4 * job->columns);
}

/* The branch of a binary search is a coin toss to the processor: here it is a conditional move. */
void sfl_nn_locate_keys(const sfl_nn_locate *job)
{
    for (size_t i = 0; i < job->count; i++) {
        const int64_t key = job->keys[i], *base = job->sorted;
        for (size_t left = job->size; left > 1; left -= left / 2) base = base[left / 2] <= key ? base + left / 2 : base;
        const int found = job->size > 0 && *base == key;
        job->out[i] = found ? base - job->sorted : (int64_t)job->size;
        if (job->found) job->found[i] = (float)found;
    }
}

size_t sfl_nn_conv_scratch(const sfl_nn_conv *job, size_t width)
{
    const sfl_nn_window *w = &job->window;
    const size_t lanes = job->planar ? 1 : width, blocks = (w->channels + lanes - 1) / lanes;
    const size_t columns = (w->out_width - 1) * w->stride[1] + w->kernel[1];
    const size_t taps = sfl_nn_round_up(blocks * w->kernel[0] * w->kernel[1] * sizeof(ptrdiff_t) / 4, width);
    return taps + blocks * w->kernel[0] * columns * lanes;
}

size_t sfl_nn_winograd_scratch(const sfl_nn_winograd *job, size_t width)
{
    const sfl_nn_window *w = &job->window;
    const size_t in = (w->channels + width - 1) / width, out = (w->out_channels + width - 1) / width;
    return sfl_nn_round_up(in * sizeof(ptrdiff_t) / 4, width) +
           job->size * job->size * ((in + out) * job->tiles + 2) * width + sfl_nn_round_up(w->out_channels, 2 * width);
}

size_t sfl_nn_strassen_scratch(const sfl_nn_strassen *job, size_t width)
{
    const size_t taps = sfl_nn_round_up(job->channels / width * sizeof(ptrdiff_t) / 4, width);
    return taps + sfl_nn_round_up(job->filters / 2, 2 * width) + job->pixels / 2 * (job->channels / 2);
}

size_t sfl_nn_attention_scratch(const sfl_nn_attention *job, size_t width)
{
    const size_t wide = sfl_nn_round_up(job->width, width), h1 = sfl_nn_round_up(job->hidden1, width);
    const size_t h2 = sfl_nn_round_up(job->hidden2, width);
    return wide + 2 * width + job->history * (2 * wide + h1 + h2) + 2 * sfl_nn_round_up(job->history, width) +
           SFL_NN_QUERIES * h1;
}
