/* A step: one kernel with its job, checked once when it is made, and the buffers that the job points into. */
#ifndef SFL_NN_BINDING_H
#define SFL_NN_BINDING_H

#include "binding.h"
#include "nn_parts.h"

enum { STEP_BUFFERS = 20, STEP_SIZES = 24, STEP_NUMBERS = 4 };

typedef struct step step;
struct step {
    const sfl_nn_backend *backend;
    void (*run)(const step *, unsigned part);
    unsigned parts; /* that may run side by side */
    union {
        sfl_nn_linear linear;
        sfl_nn_conv conv;
        sfl_nn_winograd winograd;
        sfl_nn_strassen strassen;
        sfl_nn_depthwise depthwise;
        sfl_nn_pool pool;
        sfl_nn_elementwise elementwise;
        sfl_nn_activate activate;
        sfl_nn_softmax softmax;
        sfl_nn_convert convert;
        sfl_nn_copy copy;
        sfl_nn_pack pack;
        sfl_nn_filters filters;
        sfl_nn_lookup lookup;
        sfl_nn_locate locate;
        sfl_nn_attention attention;
    } job;
    Py_buffer view[STEP_BUFFERS]; /* view[0] is the output */
    size_t size[STEP_SIZES];
    float number[STEP_NUMBERS];
};

/* What one kind of step takes. `fill` checks every extent and completes the job; 0, or -1 with an exception set. */
typedef struct {
    const char *name;
    int (*fill)(step *);
    int buffers, sizes, numbers;
} step_kind;

/* One part of a step: a copy of its job, cut. `call` runs it. */
#define SFL_RUN_BY(kind, call)                                             \
    static void run_##kind(const step *s, unsigned part)                   \
    {                                                                      \
        const sfl_nn_cut cut = {part, s->parts, s->backend->width};        \
        sfl_nn_##kind job = s->job.kind;                                   \
        if (s->parts == 1 || sfl_nn_cut_##kind(&job, &cut)) (call)(&job);  \
    }
#define SFL_RUN(kind) SFL_RUN_BY(kind, s->backend->kind)

/* For kinds that are never cut. */
#define SFL_RUN_WHOLE(kind)                              \
    static void run_##kind(const step *s, unsigned part) \
    {                                                    \
        if (part == 0) s->backend->kind(&s->job.kind);   \
    }

/* ---- Extents (py_nn_jobs.c): products saturate, so that an overflow fits no buffer ---- */

size_t sfl_times(size_t a, size_t b);
size_t sfl_times3(size_t a, size_t b, size_t c);
size_t sfl_times4(size_t a, size_t b, size_t c, size_t d);

/* These return 0, or -1 with an exception set. Buffer i has `item`-byte items, exactly or at least `count` of them, and
 * does not meet the output. */
int sfl_want(const step *s, int i, const char *name, Py_ssize_t item, size_t count, int at_least);
int sfl_floats(const step *s, int i, const char *name, size_t count);
int sfl_writable(const step *s, int i, const char *name, size_t count, int at_least);

/* Buffer i is scratch for all parts of a step, `count` floats for each. */
int sfl_nn_scratch(const step *s, int i, size_t count);

/* Sizes first to last are at least 1. */
int sfl_positive(const step *s, int first, int last);

int sfl_refuse(const char *sentence);

/* ---- Kinds ---- */

int sfl_fill_conv(step *s);
int sfl_fill_winograd(step *s);
int sfl_fill_strassen(step *s);
int sfl_fill_depthwise(step *s);
int sfl_fill_pool(step *s);
int sfl_fill_convert(step *s);
int sfl_fill_filters(step *s);

/* The last has no name. */
extern const step_kind sfl_nn_step_kinds[];

#endif
