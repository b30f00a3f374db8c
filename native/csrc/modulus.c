/* Vectors modulo an odd m < 2^64, by Montgomery's reduction with R = 2^64. */
#include "kernels.h"

typedef struct {
    uint64_t m;
    uint64_t inverse; /* of m, modulo R */
    uint64_t r;       /* R mod m */
    uint64_t r2;      /* R^2 mod m */
} modulus;

static modulus prepare(uint64_t m)
{
    modulus p = {.m = m, .inverse = m, .r = (0 - m) % m};
    for (int bits = 3; bits < 64; bits *= 2) p.inverse *= 2 - m * p.inverse; /* Newton: m m = 1 mod 8 to begin with */
    p.r2 = (uint64_t)((sfl_u128)p.r * p.r % m);
    return p;
}

static inline uint64_t subtract(uint64_t a, uint64_t b, uint64_t m)
{
    return a - b + (m & (0 - (uint64_t)(a < b)));
}

static inline uint64_t add(uint64_t a, uint64_t b, uint64_t m)
{
    return subtract(a, m - b, m);
}

/* a b / R mod m, canonical for any a when b < m. */
static inline uint64_t montgomery(uint64_t a, uint64_t b, const modulus *p)
{
    const sfl_u128 product = (sfl_u128)a * b;
    const uint64_t quotient = (uint64_t)product * p->inverse;
    const uint64_t excess = (uint64_t)((sfl_u128)quotient * p->m >> 64);
    return subtract((uint64_t)(product >> 64), excess, p->m);
}

void sfl_mod_add(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    for (size_t i = 0; i < count; i++) out[i] = add(a[i], b[i], m);
}

void sfl_mod_sub(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    for (size_t i = 0; i < count; i++) out[i] = subtract(a[i], b[i], m);
}

void sfl_mod_mul(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const modulus p = prepare(m);
    for (size_t i = 0; i < count; i++) out[i] = montgomery(montgomery(a[i], b[i], &p), p.r2, &p);
}

#define CHAINS 4 /* independent products that hide the latency of one */

void sfl_mod_power(uint64_t *out, const uint64_t *a, size_t count, uint64_t exponent, uint64_t m)
{
    const modulus p = prepare(m);
    for (size_t i = 0; i < count; i += CHAINS) {
        const size_t chains = count - i < CHAINS ? count - i : CHAINS;
        uint64_t base[CHAINS] = {0}, power[CHAINS];
        for (size_t c = 0; c < chains; c++) base[c] = montgomery(a[i + c], p.r2, &p);
        for (size_t c = 0; c < CHAINS; c++) power[c] = p.r;
        for (int bit = 63; bit >= 0; bit--) {
            if (exponent >> bit == 0) continue;
            for (size_t c = 0; c < CHAINS; c++) power[c] = montgomery(power[c], power[c], &p);
            if (!(exponent >> bit & 1)) continue;
            for (size_t c = 0; c < CHAINS; c++) power[c] = montgomery(power[c], base[c], &p);
        }
        for (size_t c = 0; c < chains; c++) out[i + c] = montgomery(power[c], 1, &p);
    }
}

/* The products are summed in 192 bits, top * R^2 + high * R + low, and reduced once. */
uint64_t sfl_mod_dot(const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const modulus p = prepare(m);
    sfl_u128 sum = 0;
    uint64_t top = 0;
    for (size_t i = 0; i < count; i++) {
        const sfl_u128 product = (sfl_u128)a[i] * b[i];
        sum += product;
        top += sum < product;
    }
    const uint64_t low = montgomery((uint64_t)sum, p.r, &p);
    const uint64_t high = montgomery((uint64_t)(sum >> 64), p.r2, &p);
    const uint64_t over = montgomery(montgomery(top, p.r2, &p), p.r2, &p);
    return add(add(low, high, m), over, m);
}

/* 1/x mod m in *inverse and 1, or 0 when gcd(x, m) > 1: binary extended GCD. Invariant: a = u x and b = v x mod m, b odd.
 * Each step shortens a and b together by a bit, so 128 of them reach a = 0, b = gcd. */
static uint64_t invert(uint64_t *inverse, uint64_t x, uint64_t m)
{
    uint64_t a = x, b = m, u = 1, v = 0;
    for (int step = 0; step < 128; step++) {
        const uint64_t odd = 0 - (a & 1), swap = odd & (0 - (uint64_t)(a < b));
        const uint64_t ab = swap & (a ^ b), uv = swap & (u ^ v);
        a ^= ab, b ^= ab, u ^= uv, v ^= uv;
        a = (a - (b & odd)) >> 1;
        u = subtract(u, v & odd, m);
        u = (u >> 1) + ((m / 2 + 1) & (0 - (u & 1)));
    }
    *inverse = v;
    return b == 1;
}

/* Batch inversion (Montgomery's trick). The powers of R that the products lose on the way up come back on the way down. */
int sfl_mod_inverse(uint64_t *out, const uint64_t *a, size_t count, uint64_t m)
{
    const modulus p = prepare(m);
    const size_t chains = count < CHAINS ? count : CHAINS;
    uint64_t product[CHAINS] = {p.r, p.r, p.r, p.r}, rest[CHAINS] = {0}, coprime = 1;
    for (size_t i = 0; i < count; i++) {
        out[i] = product[i % CHAINS];
        product[i % CHAINS] = montgomery(product[i % CHAINS], a[i], &p);
    }
    for (size_t c = 0; c < chains; c++) coprime &= invert(&rest[c], product[c], m);
    for (size_t i = count; i-- > 0;) {
        out[i] = montgomery(rest[i % CHAINS], out[i], &p);
        rest[i % CHAINS] = montgomery(rest[i % CHAINS], a[i], &p);
    }
    return (int)coprime;
}
