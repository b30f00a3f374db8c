/* Bit packing. One body serves both words: `word` is a constant wherever it is inlined. */
#include "kernels.h"

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LITTLE16(x) __builtin_bswap16(x)
#define LITTLE32(x) __builtin_bswap32(x)
#define LITTLE64(x) __builtin_bswap64(x)
#else
#define LITTLE16(x) (x)
#define LITTLE32(x) (x)
#define LITTLE64(x) (x)
#endif
#define LITTLE8(x) (x)

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t get(const void *values, size_t word, size_t i)
{
    return word == 4 ? ((const uint32_t *)values)[i] : ((const uint64_t *)values)[i];
}

INLINE void set(void *values, size_t word, size_t i, uint64_t value)
{
    if (word == 4) ((uint32_t *)values)[i] = (uint32_t)value;
    else ((uint64_t *)values)[i] = value;
}

INLINE uint64_t low(unsigned bits)
{
    return UINT64_MAX >> (64 - bits);
}

/* ---- Whole bytes: a copy that narrows or widens ---- */

#define WHOLE(width)                                                                                                  \
    INLINE void narrow##width(uint8_t *out, const void *values, size_t word, size_t count)                            \
    {                                                                                                                 \
        for (size_t i = 0; i < count; i++) {                                                                          \
            const uint##width##_t part = LITTLE##width((uint##width##_t)get(values, word, i));                        \
            memcpy(out + i * sizeof part, &part, sizeof part);                                                        \
        }                                                                                                             \
    }                                                                                                                 \
    INLINE void widen##width(void *values, size_t word, const uint8_t *data, size_t count)                            \
    {                                                                                                                 \
        for (size_t i = 0; i < count; i++) {                                                                          \
            uint##width##_t part;                                                                                     \
            memcpy(&part, data + i * sizeof part, sizeof part);                                                       \
            set(values, word, i, LITTLE##width(part));                                                                \
        }                                                                                                             \
    }
WHOLE(8)
WHOLE(16)
WHOLE(32)
WHOLE(64)

/* ---- Any other width, below 64 ---- */

INLINE void pack_bits(uint8_t *out, const void *values, size_t word, size_t count, unsigned bits)
{
    uint64_t pending = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t value = get(values, word, i) & low(bits);
        pending |= value << filled;
        filled += bits;
        if (filled < 64) continue;
        narrow64(out, &pending, 8, 1);
        out += 8;
        filled -= 64;
        pending = value >> (bits - filled);
    }
    for (unsigned done = 0; done < filled; done += 8) *out++ = (uint8_t)(pending >> done);
}

/* The `bits` bits from `position` on; reads nine bytes. */
INLINE uint64_t bits_at(const uint8_t *data, size_t position, unsigned bits)
{
    uint64_t first;
    const unsigned shift = position & 7;
    data += position >> 3;
    widen64(&first, 8, data, 1);
    first >>= shift;
    if (bits > 57) first |= (uint64_t)data[8] << 1 << (63 - shift); /* fewer are all in the first eight */
    return first & low(bits);
}

INLINE void unpack_bits(void *values, size_t word, const uint8_t *data, size_t count, unsigned bits)
{
    const size_t bytes = (count * bits + 7) / 8, safe = bytes < 9 ? 0 : (8 * (bytes - 9)) / bits + 1;
    uint8_t end[24] = {0};
    size_t i = 0;
    for (; i < safe && i < count; i++) set(values, word, i, bits_at(data, i * bits, bits));
    if (i == count) return;
    const size_t done = i * bits >> 3;
    memcpy(end, data + done, bytes - done);
    for (; i < count; i++) set(values, word, i, bits_at(end, i * bits - 8 * done, bits));
}

/* ---- Both at both words ---- */

INLINE void pack(uint8_t *out, const void *values, size_t word, size_t count, unsigned bits)
{
    switch (bits) {
    case 8: narrow8(out, values, word, count); break;
    case 16: narrow16(out, values, word, count); break;
    case 32: narrow32(out, values, word, count); break;
    case 64: narrow64(out, values, word, count); break;
    default: pack_bits(out, values, word, count, bits);
    }
}

INLINE void unpack(void *values, size_t word, const uint8_t *data, size_t count, unsigned bits)
{
    switch (bits) {
    case 8: widen8(values, word, data, count); break;
    case 16: widen16(values, word, data, count); break;
    case 32: widen32(values, word, data, count); break;
    case 64: widen64(values, word, data, count); break;
    default: unpack_bits(values, word, data, count, bits);
    }
}

void sfl_portable_pack(uint8_t *out, const void *values, size_t word, size_t count, unsigned bits)
{
    if (word == 4) pack(out, values, 4, count, bits);
    else pack(out, values, 8, count, bits);
}

static void portable_unpack(void *values, const uint8_t *data, size_t word, size_t count, unsigned bits)
{
    if (word == 4) unpack(values, 4, data, count, bits);
    else unpack(values, 8, data, count, bits);
}

static int always(void)
{
    return 1;
}

const sfl_pack_backend sfl_pack_backends[] = {
#ifdef SFL_X86
    {{"vbmi", sfl_vbmi_usable}, sfl_vbmi_pack, sfl_vbmi_unpack},
#endif
    {{"portable", always}, sfl_portable_pack, portable_unpack},
    {{NULL, NULL}, NULL, NULL},
};
