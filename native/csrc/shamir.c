/* Shamir's sharing of 32-byte secrets: five polynomials over GF(2^61 - 1) a secret, one for each limb. */
#include "p61.h"

static const size_t limb_bytes[SFL_LIMBS] = {7, 7, 7, 7, 4};

static void cut(uint64_t limbs[SFL_LIMBS], const uint8_t *secret)
{
    for (int l = 0; l < SFL_LIMBS; l++) {
        limbs[l] = 0;
        for (size_t byte = limb_bytes[l]; byte-- > 0;) limbs[l] = limbs[l] << 8 | secret[byte];
        secret += limb_bytes[l];
    }
}

/* The way back; returns 1, or 0 when a limb is too long. */
static int join(uint8_t *secret, const uint64_t limbs[SFL_LIMBS])
{
    uint64_t over = 0;
    for (int l = 0; l < SFL_LIMBS; l++) {
        for (size_t byte = 0; byte < limb_bytes[l]; byte++) *secret++ = (uint8_t)(limbs[l] >> 8 * byte);
        over |= limbs[l] >> 8 * limb_bytes[l];
    }
    return over == 0;
}

/* What the arithmetic left below the frame of its caller, where this one lies. */
__attribute__((noinline)) static void wipe_stack(void)
{
    uint8_t below[1 << 13];
    sfl_wipe(below, sizeof below);
}

int sfl_shamir_share(const sfl_mod_kernels *field, uint64_t *shares, uint64_t *scratch, const uint8_t *secrets,
                     const uint64_t *random, size_t number, size_t degree, const uint64_t *points, size_t count)
{
    int elements = 1;
    for (size_t s = 0; s < number; s++) {
        cut(scratch, secrets + 32 * s);
        memcpy(scratch + SFL_LIMBS, random + SFL_LIMBS * degree * s, SFL_LIMBS * degree * sizeof *random);
        elements &= field->evaluate(shares + SFL_LIMBS * count * s, scratch, degree + 1, SFL_LIMBS, points, count, P);
    }
    sfl_wipe(scratch, SFL_LIMBS * (degree + 1) * sizeof *scratch);
    wipe_stack();
    return elements;
}

#define LAZY 32 /* products below 2^122 that are added before one folding; 63 would still fit in 128 bits */

/* limbs[l] = sum of weights[i] * words[i][l]; returns 1, or 0 when a word is no field element. */
static int weighted_sum(uint64_t limbs[SFL_LIMBS], const uint64_t *weights, const uint64_t *words, size_t count)
{
    sfl_u128 sum[SFL_LIMBS] = {0};
    uint64_t outside = 0;
    for (size_t i = 0; i < count;) {
        const size_t stop = count - i < LAZY ? count : i + LAZY;
        for (; i < stop; i++, words += SFL_LIMBS) {
            for (int l = 0; l < SFL_LIMBS; l++) {
                outside |= (uint64_t)(words[l] >= P);
                sum[l] += (sfl_u128)weights[i] * words[l];
            }
        }
        for (int l = 0; l < SFL_LIMBS; l++) sum[l] = (sum[l] & P) + (sum[l] >> 61);
    }
    for (int l = 0; l < SFL_LIMBS; l++) limbs[l] = p61_canonical(p61_fold(p61_reduce(sum[l])));
    return outside == 0;
}

/* In a frame of its own, which wipe_stack overwrites. */
__attribute__((noinline)) static int open_secret(uint8_t *secret, const uint64_t *weights, const uint64_t *words,
                                                 size_t count)
{
    uint64_t limbs[SFL_LIMBS];
    const int elements = weighted_sum(limbs, weights, words, count);
    return join(secret, limbs) & elements;
}

int sfl_shamir_reconstruct(const sfl_mod_kernels *field, uint8_t *secrets, uint64_t *scratch, const uint64_t *points,
                           const uint64_t *shares, size_t number, size_t count)
{
    uint64_t *const weights = scratch + count;
    int good = 1;
    for (size_t i = 0; i < count; i++) good &= points[i] != 0;
    if (!good || !sfl_mod_lagrange(field, weights, scratch, points, count, 0, P)) return 0;
    for (size_t s = 0; s < number; s++) {
        good &= open_secret(secrets + 32 * s, weights, shares + SFL_LIMBS * count * s, count);
    }
    wipe_stack();
    return good;
}
