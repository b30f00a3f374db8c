/* What a backend of the masks is. mask.c drives them: many keys, tiles, threads. */
#ifndef SFL_MASK_H
#define SFL_MASK_H

#include "kernels.h"

/* The round keys of AES-256 as they stand in memory, four words each. */
typedef struct {
    uint32_t word[60];
} sfl_schedule;

/* A mask meets its words by one of these. */
typedef enum { SFL_ADD32, SFL_SUB32, SFL_ADD64, SFL_SUB64 } sfl_op;

/* out[0..bytes) op= AES(first) || AES(first + 1) || ..., counters 128-bit big-endian, words little-endian.
 * bytes is a multiple of the word of op; the last counter is below SFL_MAX_BLOCKS. */
typedef void sfl_run_fn(uint8_t *out, size_t bytes, uint64_t first, sfl_op op, const sfl_schedule *key);

/* Row r of `bytes` bytes stands at out + r * bytes, its 32-byte digest at digests + 32 * r or its tag at tags + 16 * r.
 * The rows meant are index[0..count), or 0..count when index is NULL; they are distinct. */
typedef struct {
    uint8_t *out;
    size_t bytes;
    const uint8_t *digests, *tags; /* one of them, the other is NULL */
    const int64_t *index;
    size_t count;
} sfl_rows;

/* Every row op= AES_stream(tag || i), i = 0, 1, ... as 16-bit big-endian, where tag is the first 14 bytes of what is
 * given, or of AES_tag(AES_tag(digest[0:16]) xor digest[16:32]). */
typedef void sfl_rows_fn(const sfl_rows *rows, sfl_op op, const sfl_schedule *tag, const sfl_schedule *stream);

/* To add a backend: a file mask_<name>.c that defines these, two lines here and one in the table of mask.c. */
typedef struct sfl_mask_kernels {
    void (*expand)(sfl_schedule *schedule, const uint8_t key[32]);
    sfl_run_fn *mask_run;
    sfl_rows_fn *mask_rows;
    void (*forget)(void); /* clears the vector registers: whoever saves them next would save round keys */
} sfl_mask_kernels;

int sfl_vaes512_usable(void), sfl_vaes256_usable(void), sfl_aesni_usable(void), sfl_armv8_usable(void);
extern const sfl_mask_kernels sfl_vaes512, sfl_vaes256, sfl_aesni, sfl_armv8;

#endif
