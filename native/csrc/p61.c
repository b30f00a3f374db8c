/* GF(2^61 - 1). Sharing and reconstructing are one matrix product: powers or Lagrange weights times words. */
#include "kernels.h"

#define P SFL_P61

/* x < 2P */
static inline uint64_t canonical(uint64_t x)
{
    const uint64_t y = x - P;
    return y + (P & (0 - (y >> 63)));
}

/* x <= (P - 1)^2: since 2^61 = 1, its two pieces of 61 bits are added, and the upper one is below P. */
static inline uint64_t reduce(sfl_u128 x)
{
    return canonical(((uint64_t)x & P) + (uint64_t)(x >> 61));
}

static inline uint64_t multiply(uint64_t a, uint64_t b)
{
    return reduce((sfl_u128)a * b);
}

static inline uint64_t subtract(uint64_t a, uint64_t b)
{
    return canonical(a + P - b);
}

/* x^(P - 2): the exponent has every bit but the second. */
static uint64_t inverse(uint64_t x)
{
    uint64_t power = 1;
    for (int bit = 60; bit >= 0; bit--) {
        power = multiply(power, power);
        if (bit != 1) power = multiply(power, x);
    }
    return power;
}

void sfl_p61_powers(uint64_t *powers, const uint64_t *points, size_t count, size_t terms)
{
    for (size_t i = 0; i < count; i++, powers += terms) {
        powers[0] = 1;
        if (terms > 1) powers[1] = points[i];
        for (size_t k = 2; k < terms; k++) powers[k] = multiply(powers[k / 2], powers[k - k / 2]);
    }
}

#define CHAINS 4 /* independent products that hide the latency of one */

/* denominators[i] = x_i * product over j != i of (x_j - x_i); the factor for j = i is the only zero and becomes one. */
static void lagrange_denominators(uint64_t *denominators, const uint64_t *x, size_t count)
{
    for (size_t i = 0; i < count; i += CHAINS) {
        uint64_t at[CHAINS], product[CHAINS];
        for (size_t c = 0; c < CHAINS; c++) product[c] = at[c] = x[i + c < count ? i + c : i];
        for (size_t j = 0; j < count; j++) {
            for (size_t c = 0; c < CHAINS; c++) {
                const uint64_t factor = subtract(x[j], at[c]);
                product[c] = multiply(product[c], factor + (factor == 0));
            }
        }
        for (size_t c = 0; c < CHAINS && i + c < count; c++) denominators[i + c] = product[c];
    }
}

void sfl_p61_weights(uint64_t *weights, uint64_t *scratch, const uint64_t *points, size_t count)
{
    uint64_t numerator = 1, product = 1;
    lagrange_denominators(scratch, points, count);
    for (size_t i = 0; i < count; i++) {
        numerator = multiply(numerator, points[i]);
        weights[i] = product;
        product = multiply(product, scratch[i]);
    }
    uint64_t rest = multiply(numerator, inverse(product));
    for (size_t i = count; i-- > 0;) {
        weights[i] = multiply(weights[i], rest);
        rest = multiply(rest, scratch[i]);
    }
}

#define LAZY 32 /* products below 2^122 that are added before one folding; 63 would still fit in 128 bits */

static void dot(uint64_t out[SFL_LIMBS], const uint64_t *factors, const uint64_t *words, size_t terms)
{
    sfl_u128 sum[SFL_LIMBS] = {0};
    for (size_t k = 0; k < terms;) {
        const size_t stop = terms - k < LAZY ? terms : k + LAZY;
        for (; k < stop; k++) {
            for (int l = 0; l < SFL_LIMBS; l++) sum[l] += (sfl_u128)factors[k] * words[SFL_LIMBS * k + (size_t)l];
        }
        for (int l = 0; l < SFL_LIMBS; l++) sum[l] = (sum[l] & P) + (sum[l] >> 61);
    }
    for (int l = 0; l < SFL_LIMBS; l++) out[l] = reduce(sum[l]);
}

void sfl_p61_combine(uint64_t *out, const uint64_t *matrix, const uint64_t *values, size_t secrets, size_t rows,
                     size_t terms)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t s = 0; s < secrets; s++) {
            dot(out + SFL_LIMBS * (s * rows + i), matrix + i * terms, values + SFL_LIMBS * s * terms, terms);
        }
    }
}
