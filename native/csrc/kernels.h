/* The contract between the kernels and whoever calls them. Nothing of Python on this side.
 *
 * Ranges     A kernel trusts its arguments: every range named here is the caller's to check.
 * Aliasing   Arrays do not overlap, unless "in place" is written: there an output may be exactly an input.
 * Alignment  Word arrays are aligned to their word, byte arrays to nothing.
 * Time       Constant in the data. Lengths, widths, moduli, exponents, points and row numbers are public and may
 *            steer branches and addresses. A kernel that branches on anything else ends in _var.
 */
#ifndef SFL_KERNELS_H
#define SFL_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* SFL_PORTABLE builds what a machine without any of the special instructions gets. */
#if defined(__x86_64__) && !defined(SFL_PORTABLE)
#define SFL_X86 1
#endif

__extension__ typedef unsigned __int128 sfl_u128;

/* A memset that the compiler must believe is read. */
static inline void sfl_wipe(void *secret, size_t bytes)
{
    memset(secret, 0, bytes);
    __asm__ __volatile__("" : : "r"(secret) : "memory");
}

/* What the rows of a table of backends begin with. */
typedef struct {
    const char *name;
    int (*usable)(void); /* can this CPU run it? */
} sfl_backend;

/* ---- Masks in Z_2^32 and Z_2^64 (mask.c, mask_*.c) ---------------------------------------------------------- */

typedef enum { SFL_ADD32, SFL_SUB32, SFL_ADD64, SFL_SUB64 } sfl_op;

/* out[0..bytes) op= AES_key(0) || AES_key(1) || ..., counters 128-bit big-endian, words little-endian.
 * bytes is a multiple of the word of op. */
typedef void sfl_stream_fn(uint8_t *out, size_t bytes, sfl_op op, const uint8_t key[32]);

/* `count` rows of `bytes` bytes each (a multiple of the word, at most 2^16 blocks), one after the other in `out`,
 * their 32-byte digests likewise. Row k of the job is row index[k], or k when index is NULL; rows are distinct. */
typedef struct {
    uint8_t *out;
    size_t bytes;
    const uint8_t *digests;
    const int64_t *index;
    size_t count;
} sfl_rows;

/* Every row of the job op= AES_stream(tag || i), i = 0, 1, ... as 16-bit big-endian, where tag is the first
 * 14 bytes of AES_tag(AES_tag(digest[0:16]) xor digest[16:32]). */
typedef void sfl_rows_fn(const sfl_rows *rows, sfl_op op, const uint8_t tag_key[32], const uint8_t stream_key[32]);

/* To add a backend: one file mask_<name>.c with these three functions, one line in the table. */
typedef struct {
    const char *name;
    int (*usable)(void); /* can this CPU run it? */
    sfl_stream_fn *add_stream;
    sfl_rows_fn *add_row_streams;
} sfl_mask_backend;

/* All that were compiled in, best first; the last has no name. */
extern const sfl_mask_backend sfl_mask_backends[];

#ifdef SFL_X86
int sfl_vaes_usable(void);
sfl_stream_fn sfl_vaes_add_stream;
int sfl_aesni_usable(void);
sfl_stream_fn sfl_aesni_add_stream;
sfl_rows_fn sfl_aesni_add_row_streams;
#endif

/* ---- Bit packing (pack.c): 1 <= bits <= 64, value i stands at bit i * bits, least significant bit first ------ */

/* out has ceil(count * bits / 8) bytes; values are cut to `bits`, padding is zero. */
void sfl_pack32(uint8_t *out, const uint32_t *values, size_t count, unsigned bits);
void sfl_pack64(uint8_t *out, const uint64_t *values, size_t count, unsigned bits);

/* The way back; bits <= 32 for unpack32. Padding is not looked at. */
void sfl_unpack32(uint32_t *values, const uint8_t *data, size_t count, unsigned bits);
void sfl_unpack64(uint64_t *values, const uint8_t *data, size_t count, unsigned bits);

/* ---- GF(2^61 - 1) (p61.c): elements are canonical, < SFL_P61 ----------------------------------------------- */

#define SFL_P61 ((UINT64_C(1) << 61) - 1)
#define SFL_LIMBS 5 /* field elements in one 32-byte secret */

/* powers[i][k] = points[i]^k for k < terms; terms >= 1. */
void sfl_p61_powers(uint64_t *powers, const uint64_t *points, size_t count, size_t terms);

/* Lagrange weights of the points at zero: f(0) = sum of weights[i] * f(points[i]) for deg f < count.
 * Points are distinct and not zero; scratch has room for `count` words. */
void sfl_p61_weights(uint64_t *weights, uint64_t *scratch, const uint64_t *points, size_t count);

/* out[s][i][l] = sum over k < terms of matrix[i][k] * values[s][k][l], l < SFL_LIMBS. */
void sfl_p61_combine(uint64_t *out, const uint64_t *matrix, const uint64_t *values, size_t secrets, size_t rows,
                     size_t terms);

/* ---- Vectors modulo any odd 3 <= m < 2^64 (modulus.c): residues are canonical, < m; all work in place --------- */

typedef void sfl_mod_fn(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m);
sfl_mod_fn sfl_mod_add, sfl_mod_sub, sfl_mod_mul;

void sfl_mod_power(uint64_t *out, const uint64_t *a, size_t count, uint64_t exponent, uint64_t m);
uint64_t sfl_mod_dot(const uint64_t *a, const uint64_t *b, size_t count, uint64_t m);

/* Returns 1, or 0 when some a[i] has no inverse, and out means nothing. Not in place. */
int sfl_mod_inverse(uint64_t *out, const uint64_t *a, size_t count, uint64_t m);

/* ---- MurmurHash3 x64 128 of 8-byte little-endian keys (murmur3.h, murmur3.c, murmur3_*.c) -------------------- */

/* out[2 i] and out[2 i + 1] = the two halves for keys[i]. */
typedef void sfl_murmur3_fn(uint64_t *out, const uint64_t *keys, size_t count, uint32_t seed);

typedef struct {
    sfl_backend backend;
    sfl_murmur3_fn *hash;
} sfl_murmur3_backend;

/* All that were compiled in, best first, "portable" last; then one without a name. */
extern const sfl_murmur3_backend sfl_murmur3_backends[];

#ifdef SFL_X86
int sfl_murmur3_avx512_usable(void);
sfl_murmur3_fn sfl_murmur3_avx512;
#endif

/* ---- Bloom filters over 64-bit keys (bloom.c, bloom_*.c) ---------------------------------------------------------
 * Probe j < hashes of a key is a + j (b | 1) modulo 2^64, a and b the halves of its MurmurHash3 with seed 0. It falls
 * on cell floor(probe cells / 2^64), which is bit cell mod 32 of words[cell div 32]. Which words are touched, and for
 * how long, depends on the keys: every function is _var. */
#define SFL_BLOOM_HASHES 32

typedef struct {
    uint32_t *words;
    uint64_t cells;  /* 1 to 2^32 - 1 */
    unsigned hashes; /* 1 to SFL_BLOOM_HASHES */
} sfl_bloom;

/* Sets the cells of every key. */
typedef void sfl_bloom_insert_fn(const sfl_bloom *filter, const uint64_t *keys, size_t count);

/* found[i] = 1 if all cells of keys[i] are set, else 0. */
typedef void sfl_bloom_contains_fn(const sfl_bloom *filter, uint8_t *found, const uint64_t *keys, size_t count);

/* The keys among first, first + 1, ... first + count - 1 < 2^63 all of whose cells are set, ascending; returns their
 * number. `out` has room for `count`. */
typedef size_t sfl_bloom_members_fn(const sfl_bloom *filter, int64_t *out, uint64_t first, size_t count);

/* To add a backend: one file bloom_<name>.c with these three functions, one line in the table. */
typedef struct {
    sfl_backend backend;
    sfl_bloom_insert_fn *insert;
    sfl_bloom_contains_fn *contains;
    sfl_bloom_members_fn *members;
} sfl_bloom_backend;

/* All that were compiled in, best first, "portable" last; then one without a name. */
extern const sfl_bloom_backend sfl_bloom_backends[];

#ifdef SFL_X86 /* where sfl_murmur3_avx512_usable */
sfl_bloom_insert_fn sfl_bloom_avx512_insert_var;
sfl_bloom_contains_fn sfl_bloom_avx512_contains_var;
sfl_bloom_members_fn sfl_bloom_avx512_members_var;
#endif

#endif
