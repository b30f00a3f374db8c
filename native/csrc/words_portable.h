/* Registers of one residue, for modulus_kernels.h: any machine. */
#ifndef SFL_WORDS_PORTABLE_H
#define SFL_WORDS_PORTABLE_H

#include "modulus.h"

#define TARGET
#define INLINE static inline __attribute__((always_inline))
#define WIDTH 1

typedef uint64_t word;

INLINE word fill(uint64_t x)
{
    return x;
}

INLINE word load(const uint64_t *a, size_t n, word rest)
{
    (void)n, (void)rest;
    return *a;
}

INLINE void store(uint64_t *a, size_t n, word x)
{
    (void)n;
    *a = x;
}

INLINE word put(word x, size_t lane, word y)
{
    return lane == 0 ? y : x;
}

/* How many were not below m. */
INLINE word watch(word seen, word a, word m)
{
    return seen + (word)(a >= m);
}

INLINE int clean(word seen, word m)
{
    (void)m;
    return seen == 0;
}

#endif
