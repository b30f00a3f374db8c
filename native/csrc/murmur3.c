#include "murmur3.h"

void sfl_murmur3(uint64_t *out, const uint64_t *keys, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        const murmur3_digest digest = murmur3(keys[i], seed);
        out[2 * i] = digest.a;
        out[2 * i + 1] = digest.b;
    }
}
