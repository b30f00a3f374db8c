/* Every constant-time kernel, called on secrets, for three judges:
 *
 *   constant_time                           the names of all below
 *   constant_time memcheck NAME...          under valgrind, which is told that the secrets are undefined
 *   constant_time lockstep NAME SEED SEED   an instruction at a time, on two sets of secrets (lockstep.c)
 *   constant_time leftovers NAME            prints how many bytes the stack keeps of the secrets (leftovers.c)
 *
 * A kernel is a function here and a line in the table. Names that begin with "leak" leak on purpose. */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>

#include "kernels.h"
#include "leftovers.h"
#include "lockstep.h"

#define COUNT 37

/* The secrets: words for the arithmetic, keys, tags and vectors for the masks. */
static uint64_t words[COUNT * SFL_LIMBS], more[COUNT * SFL_LIMBS];

static uint64_t out[2 * COUNT * SFL_LIMBS], points[COUNT];
static volatile int verdict;

/* ---- Masks, by every backend that this processor (or valgrind's) has; other threads would be out of step ---- */

static void mask_streams(uint64_t word)
{
    static const uint8_t subtract[] = {0, 1};
    const sfl_streams job = {
        .out = (uint8_t *)more,
        .bytes = sizeof more - 8,
        .word = word,
        .keys = (const uint8_t *)words,
        .subtract = subtract,
        .count = 2,
        .first = 250,
    };
    for (const sfl_mask_backend *b = sfl_mask_backends; b->backend.name; b++) {
        if (b->backend.usable()) sfl_add_streams(b, &job, 1);
    }
}

static void mask_rows(uint64_t word, const uint8_t *digests, const uint8_t *tags)
{
    static const uint8_t subtract[] = {0, 1};
    static const int64_t index[] = {0, 1, 2, 3, 4, 7, 8, 9, 10, 5}, ends[] = {9, 10};
    const sfl_row_streams job = {
        .out = (uint8_t *)more,
        .rows = 11,
        .bytes = 24,
        .word = word,
        .digests = digests,
        .tags = tags,
        .keys = (const uint8_t *)words,
        .subtract = subtract,
        .count = 2,
        .index = index,
        .ends = ends,
    };
    for (const sfl_mask_backend *b = sfl_mask_backends; b->backend.name; b++) {
        if (b->backend.usable()) sfl_add_row_streams(b, &job, 1);
    }
}

static void mask_rows_of_digests(uint64_t word)
{
    static const uint8_t digests[32 * 11]; /* of what everybody received */
    mask_rows(word, digests, NULL);
}

static void mask_rows_of_tags(uint64_t word)
{
    mask_rows(word, NULL, (const uint8_t *)(words + 32));
}

/* ---- Quantization: doubles and floats of any bits ---- */

static sfl_quantization quantization(uint64_t word)
{
    static const uint32_t weights[] = {1, 0, 77};
    return (sfl_quantization){out, word, words, word, weights, .rows = 3, .width = 12, .clip = 2.5, .levels = 1000};
}

static void quantize(uint64_t word)
{
    const sfl_quantization job = quantization(word);
    verdict = sfl_quantize(&job, (const uint32_t *)more);
}

static void quantize_stream(uint64_t word)
{
    const sfl_quantization job = quantization(word);
    for (const sfl_mask_backend *b = sfl_mask_backends; b->backend.name; b++) {
        if (b->backend.usable()) verdict = sfl_quantize_stream(b, &job, (const uint8_t *)more);
    }
}

/* ---- Packing, at whole bytes and around the word ---- */

static const unsigned widths[] = {1, 3, 8, 13, 16, 31, 32, 33, 57, 63, 64};

#define FOR_EACH_WIDTH(call)                                                                                          \
    for (const sfl_pack_backend *b = sfl_pack_backends; b->backend.name; b++) {                                       \
        for (size_t i = 0; i < sizeof widths / sizeof *widths && widths[i] <= 8 * word; i++) {                        \
            if (b->backend.usable()) call;                                                                            \
        }                                                                                                             \
    }

static void pack(uint64_t word)
{
    FOR_EACH_WIDTH(b->pack((uint8_t *)out, words, word, COUNT, widths[i]))
}

static void unpack(uint64_t word)
{
    FOR_EACH_WIDTH(b->unpack(out, (const uint8_t *)words, word, COUNT, widths[i]))
}

/* ---- Vectors modulo m, by every backend for that m; what a kernel says of its arguments is public ---- */

static int serves(const sfl_mod_backend *b, uint64_t m)
{
    return b->backend.usable() && b->lowest <= m && m <= b->highest;
}

#define FOR_EACH_FIELD(m, call)                                                                                       \
    for (const sfl_mod_backend *b = sfl_mod_backends; b->backend.name; b++) {                                         \
        const sfl_mod_kernels *field = b->kernels;                                                                    \
        if (serves(b, m)) verdict = call;                                                                             \
    }

static void mod_add(uint64_t m)
{
    FOR_EACH_FIELD(m, field->add(out, words, more, COUNT, m))
}

static void mod_sub(uint64_t m)
{
    FOR_EACH_FIELD(m, field->sub(out, words, more, COUNT, m))
}

static void mod_mul(uint64_t m)
{
    FOR_EACH_FIELD(m, field->mul(out, words, more, COUNT, m))
}

static void mod_scale(uint64_t m)
{
    FOR_EACH_FIELD(m, field->scale(out, words, more[0], COUNT, m))
}

static void mod_power(uint64_t m)
{
    FOR_EACH_FIELD(m, field->power(out, words, COUNT, 13, m))
}

static void mod_dot(uint64_t m)
{
    FOR_EACH_FIELD(m, field->dot(out, words, more, COUNT, m))
}

static void mod_inverse(uint64_t m)
{
    FOR_EACH_FIELD(m, field->inverse(out, words, COUNT, m))
}

static void mod_evaluate(uint64_t m)
{
    FOR_EACH_FIELD(m, field->evaluate(out, words, 4, 2, more, COUNT, m))
}

/* ---- Shamir: points are public ---- */

static void shamir_share(uint64_t degree)
{
    static uint64_t shares[COUNT * SFL_LIMBS], scratch[COUNT * SFL_LIMBS];
    FOR_EACH_FIELD(SFL_P61, sfl_shamir_share(field, shares, scratch, (const uint8_t *)more, words, 1, degree, points, 11))
}

static void shamir_reconstruct(uint64_t count)
{
    static uint64_t scratch[2 * COUNT];
    FOR_EACH_FIELD(SFL_P61, sfl_shamir_reconstruct(field, (uint8_t *)out, scratch, points, words, 1, count))
}

/* ---- Hashing ---- */

static void murmur3(uint64_t seed)
{
    for (const sfl_murmur3_backend *b = sfl_murmur3_backends; b->backend.name; b++) {
        if (b->backend.usable()) b->hash(out, words, COUNT, (uint32_t)seed);
    }
}

/* ---- Leaks ---- */

static void leak_branch(uint64_t mask)
{
    if (words[0] & mask) puts("a branch");
}

static void leak_rare_branch(uint64_t word) /* no seed takes it: seen by memcheck alone */
{
    if (words[0] == word) puts("a branch");
}

static void leak_lookup(uint64_t mask)
{
    out[0] = points[words[0] & mask];
}

static void leak_division(uint64_t divisor) /* no branch and no address: seen by lockstep alone */
{
    __asm__ __volatile__("" : "+r"(divisor));
    out[0] = words[0] / divisor;
}

static void leak_leftover(uint64_t count)
{
    uint64_t copy[COUNT];
    memcpy(copy, words, 8 * count);
    __asm__ __volatile__("" : : "r"(copy) : "memory");
}

/* ---- The table ---- */

typedef struct {
    const char *name;
    void (*run)(uint64_t argument);
    uint64_t argument, below; /* secret words are smaller than this; 0: of all 64 bits */
} kernel;

#define IFMA_PRIME ((UINT64_C(1) << 52) - 47)
#define LARGEST_PRIME (0 - UINT64_C(59))
#define MODULO(f)                                                                                                     \
    {#f " 3", f, 3, 3}, {#f " 2^52-47", f, IFMA_PRIME, IFMA_PRIME}, {#f " 2^61-1", f, SFL_P61, SFL_P61},                \
        {#f " 2^64-59", f, LARGEST_PRIME, LARGEST_PRIME}

static const kernel kernels[] = {
    {"mask_streams 32", mask_streams, 4, 0},
    {"mask_streams 64", mask_streams, 8, 0},
    {"mask_rows of digests 32", mask_rows_of_digests, 4, 0},
    {"mask_rows of digests 64", mask_rows_of_digests, 8, 0},
    {"mask_rows of tags 32", mask_rows_of_tags, 4, 0},
    {"mask_rows of tags 64", mask_rows_of_tags, 8, 0},
    {"quantize floats", quantize, 4, 0},
    {"quantize doubles", quantize, 8, 0},
    {"quantize_stream floats", quantize_stream, 4, 0},
    {"pack 32", pack, 4, 0},
    {"pack 64", pack, 8, 0},
    {"unpack 32", unpack, 4, 0},
    {"unpack 64", unpack, 8, 0},
    {"shamir_share", shamir_share, 5, SFL_P61},
    {"shamir_reconstruct", shamir_reconstruct, 9, SFL_P61},
    MODULO(mod_add),
    MODULO(mod_sub),
    MODULO(mod_mul),
    MODULO(mod_scale),
    MODULO(mod_power),
    MODULO(mod_dot),
    MODULO(mod_inverse),
    MODULO(mod_evaluate),
    {"murmur3", murmur3, 7, 0},
    {"leak branch", leak_branch, 64, 0},
    {"leak rare branch", leak_rare_branch, 12345, 0},
    {"leak lookup", leak_lookup, 31, 0},
    {"leak division", leak_division, 7, 0},
    {"leak leftover", leak_leftover, COUNT, 0},
    {0},
};

static const kernel *find(const char *name)
{
    for (const kernel *k = kernels; k->name; k++) {
        if (strcmp(k->name, name) == 0) return k;
    }
    fprintf(stderr, "no kernel \"%s\"\n", name);
    exit(2);
}

/* Secret 0 is all zeros, 1 the largest words, any other looks random. */
static void fill(uint64_t below, unsigned secret)
{
    uint64_t state = secret;
    for (int i = 0; i < COUNT; i++) points[i] = (uint64_t)i + 1;
    for (int i = 0; i < 2 * COUNT * SFL_LIMBS; i++) {
        state = (state ^ state >> 29) * UINT64_C(0x9e3779b97f4a7c15) + secret;
        const uint64_t word = secret == 0 ? 0 : secret == 1 ? below - 1 : below == 0 ? state : state % below;
        *(i % 2 ? &words[i / 2] : &more[i / 2]) = word;
    }
}

static void memcheck(const kernel *k)
{
    fill(k->below, 2);
    VALGRIND_MAKE_MEM_UNDEFINED(words, sizeof words);
    VALGRIND_MAKE_MEM_UNDEFINED(more, sizeof more);
    k->run(k->argument);
}

static void one_of_two(const void *chosen, unsigned secret)
{
    const kernel *k = chosen;
    fill(k->below, secret);
    lockstep_begins();
    k->run(k->argument);
    lockstep_ends();
}

static void once(const void *chosen, unsigned secret)
{
    const kernel *k = chosen;
    fill(k->below, secret);
    k->run(k->argument);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "lockstep") == 0) {
        const unsigned secrets[2] = {(unsigned)atoi(argv[3]), (unsigned)atoi(argv[4])};
        return lockstep(one_of_two, find(argv[2]), secrets);
    }
    if (argc == 3 && strcmp(argv[1], "leftovers") == 0) {
        printf("%zu\n", leftovers(once, find(argv[2]), (const unsigned[]){2, 3}));
        return 0;
    }
    if (argc == 1) {
        for (const kernel *k = kernels; k->name; k++) puts(k->name);
    }
    for (int i = 2; i < argc; i++) memcheck(find(argv[i]));
    return 0;
}
