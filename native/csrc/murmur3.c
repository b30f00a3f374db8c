#include "murmur3.h"

static int always(void)
{
    return 1;
}

static void hash(uint64_t *out, const uint64_t *keys, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        const murmur3_digest digest = murmur3(keys[i], seed);
        out[2 * i] = digest.a;
        out[2 * i + 1] = digest.b;
    }
}

const sfl_murmur3_backend sfl_murmur3_backends[] = {
#ifdef SFL_X86
    {{"avx512", sfl_murmur3_avx512_usable}, sfl_murmur3_avx512},
#endif
    {{"portable", always}, hash},
    {{NULL, NULL}, NULL},
};
