/* Every kernel on secrets that valgrind takes for uninitialised: a branch or an address that depends on one is an error.
 * With an argument it branches on a secret on purpose, to show that the error is seen. */
#include <stdio.h>
#include <valgrind/memcheck.h>

#include "kernels.h"

#define COUNT 37

static uint64_t words[COUNT * SFL_LIMBS], more[COUNT * SFL_LIMBS], out[COUNT * SFL_LIMBS];
static uint8_t keys[2 * 64], bytes[8 * COUNT];

static void fill(uint64_t below)
{
    for (uint64_t i = 0; i < COUNT * SFL_LIMBS; i++) {
        words[i] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) % below;
        more[i] = (i + 1) * UINT64_C(0xbf58476d1ce4e5b9) % below;
    }
    VALGRIND_MAKE_MEM_UNDEFINED(words, sizeof words);
    VALGRIND_MAKE_MEM_UNDEFINED(more, sizeof more);
}

static void masks(void)
{
    static const uint8_t digests[32 * 11], subtract[] = {0, 1};
    static const int64_t index[] = {0, 1, 2, 3, 4, 7, 8, 9, 10, 5}, ends[] = {9, 10};
    sfl_streams dense = {.out = bytes, .keys = keys, .subtract = subtract, .count = 2, .first = 250};
    sfl_row_streams rows = {.out = bytes, .rows = 11, .bytes = 24, .digests = digests, .keys = keys};
    rows.subtract = subtract, rows.count = 2, rows.index = index, rows.ends = ends;
    for (const sfl_mask_backend *b = sfl_mask_backends; b->backend.name; b++) {
        if (!b->backend.usable()) continue;
        for (size_t word = 4; word <= 8; word += 4) {
            VALGRIND_MAKE_MEM_UNDEFINED(keys, sizeof keys);
            VALGRIND_MAKE_MEM_UNDEFINED(bytes, sizeof bytes);
            dense.bytes = sizeof bytes, dense.word = rows.word = word;
            sfl_add_streams(b, &dense, 2);
            sfl_add_row_streams(b, &rows, 2);
        }
    }
}

static void quantization(void)
{
    static double values[36];
    static float floats[36];
    static uint32_t draws[36];
    static const uint32_t weights[] = {1, 0, 77};
    sfl_quantization job = {out, 8, values, 8, weights, 3, 12, 2.5, 1000};
    VALGRIND_MAKE_MEM_UNDEFINED(values, sizeof values);
    VALGRIND_MAKE_MEM_UNDEFINED(floats, sizeof floats);
    VALGRIND_MAKE_MEM_UNDEFINED(draws, sizeof draws);
    out[0] = (uint64_t)sfl_quantize(&job, draws);
    job.values = floats, job.real = 4, job.word = 4;
    out[0] = (uint64_t)sfl_quantize(&job, draws);
}

static void packing(void)
{
    fill(UINT64_MAX);
    for (unsigned bits = 1; bits <= 64; bits++) {
        sfl_pack64(bytes, words, COUNT, bits);
        sfl_unpack64(out, bytes, COUNT, bits);
        sfl_pack32(bytes, (const uint32_t *)words, COUNT, bits);
        if (bits <= 32) sfl_unpack32((uint32_t *)out, bytes, COUNT, bits);
    }
}

static void shamir(const sfl_mod_kernels *field)
{
    static uint64_t points[COUNT], scratch[SFL_LIMBS * COUNT];
    for (uint64_t i = 0; i < COUNT; i++) points[i] = i + 1;
    fill(SFL_P61);
    VALGRIND_MAKE_MEM_UNDEFINED(bytes, sizeof bytes);
    out[0] = (uint64_t)sfl_shamir_share(field, out, scratch, bytes, words, 1, COUNT - 1, points, COUNT);
    out[0] = (uint64_t)sfl_shamir_reconstruct(field, bytes, scratch, points, words, 1, COUNT);
}

static void modulus(const sfl_mod_kernels *field, uint64_t m)
{
    fill(m);
    out[0] = (uint64_t)field->add(out, words, more, COUNT, m);
    out[0] = (uint64_t)field->sub(out, words, more, COUNT, m);
    out[0] = (uint64_t)field->mul(out, words, more, COUNT, m);
    out[0] = (uint64_t)field->scale(out, words, more[0], COUNT, m);
    out[0] = (uint64_t)field->power(out, words, COUNT, 65537, m);
    out[0] = (uint64_t)field->dot(out + 1, words, more, COUNT, m);
    out[0] = (uint64_t)field->inverse(out + 1, words, COUNT, m);
    out[0] = (uint64_t)field->evaluate(out, words, COUNT, 1, more, COUNT, m);
}

/* Valgrind knows no AVX-512: of the arithmetics it runs the portable ones, whose loops the others share. */
static void moduli(void)
{
    static const uint64_t m[] = {3, SFL_P61, UINT64_MAX - 58};
    for (const sfl_mod_backend *b = sfl_mod_backends; b->backend.name; b++) {
        for (int i = 0; i < 3 && b->backend.usable(); i++) {
            if (b->lowest <= m[i] && m[i] <= b->highest) modulus(b->kernels, m[i]);
            if (b->lowest <= m[i] && m[i] <= b->highest && m[i] == SFL_P61) shamir(b->kernels);
        }
    }
}

static void hashing(void)
{
    fill(UINT64_MAX);
    for (const sfl_murmur3_backend *b = sfl_murmur3_backends; b->backend.name; b++) {
        if (b->backend.usable()) b->hash(out, words, COUNT, 7);
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    masks();
    quantization();
    packing();
    moduli();
    hashing();
    if (argc > 1 && words[0] > 5) puts("a leak");
    return 0;
}
