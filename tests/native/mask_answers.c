/* What every usable backend makes of a few fixed jobs: a line of hexadecimal digits each, for machines without Python. */
#include <stdio.h>

#include "kernels.h"

enum { BYTES = 8192, ROWS = 70 };

static uint8_t out[BYTES], keys[3 * 64], digests[32 * ROWS];
static const uint8_t subtract[] = {0, 1, 0};
static const int64_t chosen[] = {0, 1, 2, 69, 68}, ends[] = {0, 4, 5};

static void fill(uint8_t *bytes, size_t count, unsigned step)
{
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(i * step + i / 256);
}

static void print(const char *backend, const char *job, size_t word, size_t bytes)
{
    printf("%s %s %zu ", backend, job, word);
    for (size_t i = 0; i < bytes; i++) printf("%02x", out[i]);
    puts("");
    fill(out, sizeof out, 37);
}

static void dense(const sfl_mask_backend *b, size_t word)
{
    const sfl_streams job = {out, 5000, word, keys, subtract, 3, 250};
    sfl_add_streams(b, &job, 1);
    print(b->backend.name, "dense", word, job.bytes);
}

static void rows(const sfl_mask_backend *b, size_t word)
{
    sfl_row_streams job = {.out = out, .rows = ROWS, .bytes = 40 - word, .word = word, .digests = digests, .keys = keys};
    job.subtract = subtract, job.count = 3, job.index = chosen, job.ends = ends;
    sfl_add_row_streams(b, &job, 2);
    print(b->backend.name, "rows", word, ROWS * job.bytes);
    job.digests = NULL, job.tags = digests, job.ends = NULL;
    sfl_add_row_streams(b, &job, 1);
    print(b->backend.name, "tagged", word, ROWS * job.bytes);
}

int main(void)
{
    fill(keys, sizeof keys, 1);
    fill(digests, sizeof digests, 91);
    fill(out, sizeof out, 37);
    for (const sfl_mask_backend *b = sfl_mask_backends; b->backend.name; b++) {
        for (size_t word = 4; b->backend.usable() && word <= 8; word += 4) {
            dense(b, word);
            rows(b, word);
        }
    }
    return 0;
}
