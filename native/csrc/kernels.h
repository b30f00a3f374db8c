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
#if __GNUC__ >= 8 || __clang_major__ >= 6 /* the compilers that know VAES */
#define SFL_VAES 1
#endif
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !defined(SFL_PORTABLE)
#if defined(__ARM_FEATURE_AES) || !defined(__clang__) /* clang declares the instructions only where all may use them */
#define SFL_ARMV8 1
#endif
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

/* ---- Work in shares (threads.c) -------------------------------------------------------------------------------- */

#define SFL_MAX_THREADS 64

/* Share `number` of `of` shares of a job; all of them together are the job. */
typedef void sfl_share_fn(const void *job, unsigned number, unsigned of);

/* The job in `threads` shares, 1 <= threads <= SFL_MAX_THREADS, each on a thread of its own where one can be had. */
void sfl_share(sfl_share_fn *run, const void *job, unsigned threads);

/* ---- Masks in Z_2^32 and Z_2^64 (mask.c; backends in mask_*.c) -------------------------------------------------- */

typedef struct {
    sfl_backend backend;
    const struct sfl_mask_kernels *kernels; /* mask.h */
} sfl_mask_backend;

/* All that were compiled in, best first; the last has no name. There is no portable one: AES by tables leaks. */
extern const sfl_mask_backend sfl_mask_backends[];

#define SFL_MAX_BLOCKS (UINT64_C(1) << 40) /* of a stream */

/* For each of `count` keys: out[0..bytes) += AES_key(first) || AES_key(first + 1) || ..., or -= where subtract[k] is not
 * 0, in words of `word` (4 or 8) bytes. Counters are 128-bit big-endian, the last one below SFL_MAX_BLOCKS; words are
 * little-endian. */
typedef struct {
    uint8_t *out;
    size_t bytes, word;
    const uint8_t *keys, *subtract; /* 32 bytes a key, 1 byte a key */
    size_t count;
    uint64_t first;
} sfl_streams;

void sfl_add_streams(const sfl_mask_backend *backend, const sfl_streams *job, unsigned threads);

/* The same by rows of `bytes` bytes (at most 2^16 blocks), one after the other in `out`: row j += AES_stream(tag || i),
 * i = 0, 1, ... as 16-bit big-endian. The tag is tags[16 j..16 j + 14), or the first 14 bytes of AES_tag(AES_tag(D[0:16])
 * xor D[16:32]), D = digests[32 j..32 j + 32). Key k, tag then stream or stream alone, touches the rows
 * index[ends[k - 1]..ends[k]), which ascend; all of them when ends is NULL. */
typedef struct {
    uint8_t *out;
    size_t rows, bytes, word;
    const uint8_t *digests, *tags;  /* one of them, the other is NULL */
    const uint8_t *keys, *subtract; /* 64 or, with tags, 32 bytes a key; 1 byte a key */
    size_t count;
    const int64_t *index, *ends;
} sfl_row_streams;

void sfl_add_row_streams(const sfl_mask_backend *backend, const sfl_row_streams *job, unsigned threads);

/* ---- Floats to words (quantize.c) ------------------------------------------------------------------------------ */

/* Row r of out, width + 1 words of `word` (4 or 8) bytes, two's complement: weights[r] * n for each of its values x, then
 * weights[r]. n is v = min(max(x, -clip), clip) / clip * levels in doubles, rounded up where its fraction times 2^32 is
 * above the next draw, else down. values: rows * width floats or doubles (`real` 4 or 8 bytes). 0 < clip; levels is an
 * integer below 2^31. */
typedef struct {
    void *out;
    size_t word;
    const void *values;
    size_t real;
    const uint32_t *weights;
    size_t rows, width;
    double clip, levels;
} sfl_quantization;

/* Returns 1, or 0 when a value is NaN or infinite, and out means nothing. draws: 32 bits a value, row after row. */
int sfl_quantize(const sfl_quantization *job, const uint32_t *draws);

/* The same with the words of a key's stream for draws. */
int sfl_quantize_stream(const sfl_mask_backend *backend, const sfl_quantization *job, const uint8_t key[32]);

/* ---- Bit packing (pack.c, pack_*.c): value i stands at bit i * bits, least significant bit first ---------------- */

/* out has ceil(count * bits / 8) bytes, 1 <= bits <= 64; values are of `word` (4 or 8) bytes and cut to `bits`, padding
 * is zero. */
typedef void sfl_pack_fn(uint8_t *out, const void *values, size_t word, size_t count, unsigned bits);

/* The way back; bits <= 8 * word. Padding is not looked at. */
typedef void sfl_unpack_fn(void *values, const uint8_t *data, size_t word, size_t count, unsigned bits);

typedef struct {
    sfl_backend backend;
    sfl_pack_fn *pack;
    sfl_unpack_fn *unpack;
} sfl_pack_backend;

/* All that were compiled in, best first, "portable" last; then one without a name. */
extern const sfl_pack_backend sfl_pack_backends[];

sfl_pack_fn sfl_portable_pack;
#ifdef SFL_X86
int sfl_vbmi_usable(void);
sfl_pack_fn sfl_vbmi_pack;
sfl_unpack_fn sfl_vbmi_unpack;
#endif

/* ---- Vectors modulo an odd m, 3 <= m < 2^64 (modulus_kernels.h, modulus*.c, p61*.c) ---------------------------- */

/* Kernels return 1, or 0 when a residue they were given is not below m; then outputs mean nothing, as when they say so
 * below. Results are canonical. In place, but for `inverse`, `evaluate` and `differences`. */
typedef int sfl_mod_binary_fn(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m);
typedef int sfl_mod_scale_fn(uint64_t *out, const uint64_t *a, uint64_t factor, size_t count, uint64_t m);
typedef int sfl_mod_power_fn(uint64_t *out, const uint64_t *a, size_t count, uint64_t exponent, uint64_t m);

/* *out = sum of a[i] b[i]. */
typedef sfl_mod_binary_fn sfl_mod_dot_fn;

/* 0 also when some a[i] has no inverse. */
typedef int sfl_mod_inverse_fn(uint64_t *out, const uint64_t *a, size_t count, uint64_t m);

/* out[i][p] = sum over k < terms of coefficients[k][p] points[i]^k, p < polynomials. */
typedef int sfl_mod_evaluate_fn(uint64_t *out, const uint64_t *coefficients, size_t terms, size_t polynomials,
                                const uint64_t *points, size_t count, uint64_t m);

/* out[i] = product over j != i of points[i] - points[j]; scratch has room for `count` words. */
typedef int sfl_mod_differences_fn(uint64_t *out, uint64_t *scratch, const uint64_t *points, size_t count, uint64_t m);

typedef struct {
    sfl_mod_binary_fn *add, *sub, *mul;
    sfl_mod_scale_fn *scale;
    sfl_mod_power_fn *power;
    sfl_mod_dot_fn *dot;
    sfl_mod_inverse_fn *inverse;
    sfl_mod_evaluate_fn *evaluate;
    sfl_mod_differences_fn *differences;
} sfl_mod_kernels;

/* To add a backend: one file that ends in modulus_kernels.h, one line in the table. */
typedef struct {
    sfl_backend backend;
    uint64_t lowest, highest; /* modulus that it serves */
    const sfl_mod_kernels *kernels;
} sfl_mod_backend;

/* All that were compiled in, best first, "portable" last; then one without a name. */
extern const sfl_mod_backend sfl_mod_backends[];

/* Lagrange weights: f(at) = sum of weights[i] f(points[i]) for every polynomial of degree below count. 0 also when a
 * difference of two points has no inverse. Points and at are public; scratch has room for `count` words. */
int sfl_mod_lagrange(const sfl_mod_kernels *field, uint64_t *weights, uint64_t *scratch, const uint64_t *points,
                     size_t count, uint64_t at, uint64_t m);

/* ---- Shamir's sharing of 32-byte secrets over GF(2^61 - 1) (shamir.c) ---------------------------------------- */

#define SFL_P61 ((UINT64_C(1) << 61) - 1)
#define SFL_LIMBS 5 /* field elements in one secret: 7, 7, 7, 7 and 4 bytes, little-endian */

/* shares[s][i][l] = value at points[i] of the polynomial with limb l of secret s, then random[s][k][l], k < degree.
 * Returns 1, or 0 when a random word or a point is no field element. scratch has room for SFL_LIMBS (degree + 1). */
int sfl_shamir_share(const sfl_mod_kernels *field, uint64_t *shares, uint64_t *scratch, const uint8_t *secrets,
                     const uint64_t *random, size_t number, size_t degree, const uint64_t *points, size_t count);

/* Secrets from `count` shares each. Returns 1, or 0 when a point is zero, repeated or no field element, a share has a
 * word that is no field element, or limbs do not fit in a secret. scratch has room for 2 count words. */
int sfl_shamir_reconstruct(const sfl_mod_kernels *field, uint8_t *secrets, uint64_t *scratch, const uint64_t *points,
                           const uint64_t *shares, size_t number, size_t count);

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
