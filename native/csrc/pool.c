#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "pool.h"

struct sfl_pool {
    pthread_mutex_t turn, lock; /* a run's; all that follows */
    pthread_cond_t work, done;
    sfl_part_fn *run;
    const void *job;
    unsigned parts, next, running; /* of the present job: all, the first that nobody took, being computed */
    unsigned threads, started;
    int closing;
    pid_t owner;
    pthread_t thread[];
};

/* With the lock held, which is released meanwhile. */
static void take_part(sfl_pool *p)
{
    sfl_part_fn *const run = p->run;
    const void *const job = p->job;
    const unsigned part = p->next++;
    p->running++;
    pthread_mutex_unlock(&p->lock);
    run(job, part);
    pthread_mutex_lock(&p->lock);
    if (--p->running == 0 && p->next == p->parts) pthread_cond_signal(&p->done);
}

static void *serve(void *pool)
{
    sfl_pool *p = pool;
    pthread_mutex_lock(&p->lock);
    while (!p->closing) {
        if (p->next < p->parts) take_part(p);
        else pthread_cond_wait(&p->work, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are the interpreter's: its own threads take them. A thread that cannot be had is done without. */
static void start_threads(sfl_pool *p)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_BLOCK, &every, &before);
    while (p->started + 1 < p->threads && pthread_create(&p->thread[p->started], NULL, serve, p) == 0) p->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void reset(sfl_pool *p)
{
    pthread_mutex_init(&p->turn, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    p->parts = p->next = p->running = p->started = 0;
    p->owner = getpid();
}

sfl_pool *sfl_pool_new(unsigned threads)
{
    sfl_pool *p = calloc(1, sizeof *p + threads * sizeof(pthread_t));
    if (!p) return NULL;
    p->threads = threads;
    reset(p);
    return p;
}

void sfl_pool_run(sfl_pool *p, sfl_part_fn *run, const void *job, unsigned parts)
{
    if (p->owner != getpid()) reset(p); /* after fork() the parent's threads are not here, and its locks may be held */
    pthread_mutex_lock(&p->turn);
    if (!p->started) start_threads(p);
    pthread_mutex_lock(&p->lock);
    p->run = run;
    p->job = job;
    p->parts = parts;
    p->next = 0;
    if (parts > 2) pthread_cond_broadcast(&p->work);
    else pthread_cond_signal(&p->work);
    while (p->next < p->parts) take_part(p);
    while (p->running) pthread_cond_wait(&p->done, &p->lock);
    p->parts = p->next = 0;
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->turn);
}

void sfl_pool_close(sfl_pool *p)
{
    if (p->owner != getpid()) return;
    pthread_mutex_lock(&p->turn);
    pthread_mutex_lock(&p->lock);
    p->closing = 1;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    while (p->started) pthread_join(p->thread[--p->started], NULL);
    p->closing = 0;
    pthread_mutex_unlock(&p->turn);
}

void sfl_pool_free(sfl_pool *p)
{
    sfl_pool_close(p);
    if (p->owner == getpid()) {
        pthread_mutex_destroy(&p->turn);
        pthread_mutex_destroy(&p->lock);
        pthread_cond_destroy(&p->work);
        pthread_cond_destroy(&p->done);
    }
    free(p);
}
