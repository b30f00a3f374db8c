/* MurmurHash3_x64_128 (Austin Appleby) of keys of exactly eight bytes: the body loop is empty, the tail is the key. */
#include "kernels.h"

static inline uint64_t rotate31(uint64_t x)
{
    return x << 31 | x >> 33;
}

static inline uint64_t finish(uint64_t x)
{
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

void sfl_murmur3(uint64_t *out, const uint64_t *keys, size_t count, uint32_t seed)
{
    const uint64_t length = 8;
    for (size_t i = 0; i < count; i++) {
        const uint64_t key = rotate31(keys[i] * UINT64_C(0x87c37b91114253d5)) * UINT64_C(0x4cf5ad432745937f);
        uint64_t a = seed ^ key ^ length, b = seed ^ length;
        a += b;
        b += a;
        a = finish(a);
        b = finish(b);
        a += b;
        b += a;
        out[2 * i] = a;
        out[2 * i + 1] = b;
    }
}
