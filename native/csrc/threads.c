#include <pthread.h>

#include "kernels.h"

typedef struct {
    sfl_share_fn *run;
    const void *job;
    unsigned number, of;
} share;

static void *start(void *given)
{
    const share *s = given;
    s->run(s->job, s->number, s->of);
    return NULL;
}

void sfl_share(sfl_share_fn *run, const void *job, unsigned threads)
{
    pthread_t thread[SFL_MAX_THREADS];
    share shares[SFL_MAX_THREADS];
    int refused[SFL_MAX_THREADS];
    for (unsigned i = 0; i < threads; i++) shares[i] = (share){run, job, i, threads};
    for (unsigned i = 1; i < threads; i++) refused[i] = pthread_create(thread + i, NULL, start, shares + i);
    start(shares);
    for (unsigned i = 1; i < threads; i++) {
        if (refused[i]) start(shares + i);
        else pthread_join(thread[i], NULL);
    }
}
