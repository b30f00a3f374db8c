/* Threads that sleep until there is work, and share it. Nothing of Python. */
#ifndef SFL_POOL_H
#define SFL_POOL_H

typedef struct sfl_pool sfl_pool;

/* Part `part` of a job. */
typedef void sfl_part_fn(const void *job, unsigned part);

/* A pool that starts its threads, all but the caller's own, when there first is work. NULL: no memory. */
sfl_pool *sfl_pool_new(unsigned threads);

/* All parts of a job, on whatever threads are awake; the caller takes parts too, so that a thread that sleeps on costs
 * nothing. One run at a time: a second caller waits. A child of fork() starts threads of its own. */
void sfl_pool_run(sfl_pool *pool, sfl_part_fn *run, const void *job, unsigned parts);

/* Ends the threads, when the run is over that is under way; another run starts them again. */
void sfl_pool_close(sfl_pool *pool);

/* Ends the threads; no run may be under way. */
void sfl_pool_free(sfl_pool *pool);

#endif
