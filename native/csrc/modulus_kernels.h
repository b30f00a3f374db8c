/* The kernels over vectors of residues, written once for every arithmetic and included at the end of its file. Before
 * that the file defines, all canonical (< m) unless said otherwise:
 *
 *   TARGET, INLINE      how kernels and their parts are compiled
 *   word, WIDTH         a register and the number of residues in it
 *   fill(x), load(a, n, rest), store(a, n, x), put(x, lane, y)
 *                       x everywhere; the first n residues of an array, in the other lanes those of rest; the way back;
 *                       x with y in that lane, if there is one
 *   watch(seen, a, m), clean(seen, m)
 *                       notes whether a is below m; whether all were
 *   ring, prepare(m)    the constants of a modulus: words m, unit = R mod m and square = R^2 mod m, R the file's own
 *   add, subtract
 *   times(a, b)         a b / R, loose; a may be loose, or a sum that plus gave
 *   multiply(a, b)      a b, loose
 *   settle(a)           canonical from loose
 *   plus(a, b)          a + b for a loose a; only times takes it
 *
 * and after it names KERNELS. A residue a is entered as a R: times of one that is and one that is not is the plain
 * product, times of two that are is entered again. */

#define CHAINS 8 /* independent products that hide the latency of one */
#define BLOCK (CHAINS * WIDTH)
#define EACH(i, count) _Pragma("GCC unroll 8") for (size_t i = 0; i < (count); i++)

INLINE word enter(word a, const ring *r)
{
    return settle(times(a, r->square, r), r);
}

INLINE void load_block(word x[CHAINS], const uint64_t *a, size_t count, word rest)
{
    EACH(c, CHAINS) x[c] = count > c * WIDTH ? load(a + c * WIDTH, count - c * WIDTH, rest) : rest;
}

INLINE void store_block(uint64_t *a, size_t count, const word x[CHAINS], const ring *r)
{
    EACH(c, CHAINS)
    {
        if (count > c * WIDTH) store(a + c * WIDTH, count - c * WIDTH, settle(x[c], r));
    }
}

/* ---- Element by element ---- */

typedef enum { ADD, SUB, MUL, SCALE } operation;

INLINE word apply(operation op, word a, word b, const ring *r)
{
    switch (op) {
    case ADD: return add(a, b, r);
    case SUB: return subtract(a, b, r);
    case MUL: return settle(multiply(a, b, r), r);
    default: return settle(times(a, b, r), r);
    }
}

/* One register; `factor` stands for b when op is SCALE. */
INLINE word step(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n, operation op, word factor, word seen,
                 const ring *r)
{
    const word x = load(a, n, fill(0)), y = op == SCALE ? factor : load(b, n, fill(0));
    store(out, n, apply(op, x, y, r));
    seen = watch(seen, x, r->m);
    return op == SCALE ? seen : watch(seen, y, r->m);
}

INLINE int elementwise(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, operation op, word factor,
                       const ring *r)
{
    word seen = fill(0);
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) seen = step(out + i, a + i, b + i, WIDTH, op, factor, seen, r);
    if (i < count) seen = step(out + i, a + i, b + i, count - i, op, factor, seen, r);
    return clean(seen, r->m);
}

TARGET static int add_all(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    return elementwise(out, a, b, count, ADD, fill(0), &r);
}

TARGET static int sub_all(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    return elementwise(out, a, b, count, SUB, fill(0), &r);
}

TARGET static int mul_all(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    return elementwise(out, a, b, count, MUL, fill(0), &r);
}

TARGET static int scale_all(uint64_t *out, const uint64_t *a, uint64_t factor, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    return elementwise(out, a, a, count, SCALE, enter(fill(factor), &r), &r);
}

/* ---- Powers ---- */

INLINE word power_block(uint64_t *out, const uint64_t *a, size_t count, uint64_t exponent, word seen, const ring *r)
{
    word base[CHAINS], power[CHAINS];
    load_block(base, a, count, fill(0));
    EACH(c, CHAINS)
    {
        seen = watch(seen, base[c], r->m);
        base[c] = enter(base[c], r);
        power[c] = r->unit;
    }
    for (int bit = 63; bit >= 0; bit--) {
        if (exponent >> bit == 0) continue;
        EACH(c, CHAINS) power[c] = settle(times(power[c], power[c], r), r);
        if (!(exponent >> bit & 1)) continue;
        EACH(c, CHAINS) power[c] = settle(times(power[c], base[c], r), r);
    }
    EACH(c, CHAINS) power[c] = times(power[c], fill(1), r);
    store_block(out, count, power, r);
    return seen;
}

TARGET static int power_all(uint64_t *out, const uint64_t *a, size_t count, uint64_t exponent, uint64_t m)
{
    const ring r = prepare(m);
    word seen = fill(0);
    for (size_t i = 0; i < count; i += BLOCK) seen = power_block(out + i, a + i, count - i, exponent, seen, &r);
    return clean(seen, r.m);
}

/* ---- Sums of products ---- */

#if WIDTH > 1
INLINE void dot_block(word sum[CHAINS], const uint64_t *a, const uint64_t *b, size_t count, word *seen, const ring *r)
{
    word x[CHAINS], y[CHAINS];
    load_block(x, a, count, fill(0));
    load_block(y, b, count, fill(0));
    EACH(c, CHAINS)
    {
        *seen = watch(watch(*seen, x[c], r->m), y[c], r->m);
        sum[c] = add(sum[c], settle(times(x[c], y[c], r), r), r);
    }
}

TARGET static int dot_all(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    word sum[CHAINS], seen = fill(0);
    uint64_t lanes[BLOCK];
    size_t i = 0;
    EACH(c, CHAINS) sum[c] = fill(0);
    for (; i + BLOCK <= count; i += BLOCK) dot_block(sum, a + i, b + i, BLOCK, &seen, &r);
    if (i < count) dot_block(sum, a + i, b + i, count - i, &seen, &r);
    EACH(c, CHAINS) sum[c] = enter(sum[c], &r);
    store_block(lanes, BLOCK, sum, &r);
    *out = 0;
    for (i = 0; i < BLOCK; i++) *out = mod_add(*out, lanes[i], m);
    sfl_wipe(lanes, sizeof lanes);
    return clean(seen, r.m);
}
#else
/* In 192 bits, top * 2^128 + sum, and reduced once. */
static int dot_all(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count, uint64_t m)
{
    const mod_constants p = mod_prepare(m, 64);
    sfl_u128 sum = 0;
    uint64_t top = 0, outside = 0;
    for (size_t i = 0; i < count; i++) {
        const sfl_u128 product = (sfl_u128)a[i] * b[i];
        sum += product;
        top += sum < product;
        outside += (uint64_t)(a[i] >= m) + (uint64_t)(b[i] >= m);
    }
    const uint64_t low = mod_times((uint64_t)sum, p.unit, &p), high = mod_times((uint64_t)(sum >> 64), p.square, &p);
    const uint64_t over = mod_times(mod_times(top, p.square, &p), p.square, &p);
    *out = mod_add(mod_add(low, high, m), over, m);
    return outside == 0;
}
#endif

/* ---- Batch inversion (Montgomery's trick) ----
 * Every lane multiplies its own residues. The powers of R that the products lose on the way up come back on the way
 * down; lanes without a residue multiply by R, which changes nothing. */

TARGET static int inverse_all(uint64_t *out, const uint64_t *a, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    word x[CHAINS], product[CHAINS], before[CHAINS], seen = fill(0);
    uint64_t ends[BLOCK];
    EACH(c, CHAINS) product[c] = r.unit;
    for (size_t i = 0; i < count; i += BLOCK) {
        load_block(x, a + i, count - i, r.unit);
        store_block(out + i, count - i, product, &r);
        EACH(c, CHAINS)
        {
            seen = watch(seen, x[c], r.m);
            product[c] = settle(times(product[c], x[c], &r), &r);
        }
    }
    store_block(ends, BLOCK, product, &r);
    const int units = sfl_mod_invert_few(ends, count < BLOCK ? count : BLOCK, m);
    load_block(product, ends, BLOCK, fill(0));
    for (size_t i = (count + BLOCK - 1) / BLOCK * BLOCK; i > 0;) {
        i -= BLOCK;
        load_block(x, a + i, count - i, r.unit);
        load_block(before, out + i, count - i, fill(0));
        EACH(c, CHAINS)
        {
            before[c] = times(product[c], before[c], &r);
            product[c] = settle(times(product[c], x[c], &r), &r);
        }
        store_block(out + i, count - i, before, &r);
    }
    sfl_wipe(ends, sizeof ends);
    return clean(seen, r.m) & units;
}

/* ---- Values of polynomials (Horner) ----
 * Coefficient k of polynomial p stands at [k][p], its value at point i at [i][p]. */

typedef struct {
    const uint64_t *coefficients;
    size_t terms, polynomials;
} family;

/* The first n lanes, `stride` words apart. */
INLINE void scatter(uint64_t *out, size_t stride, size_t n, word x)
{
    uint64_t lanes[WIDTH];
    store(lanes, WIDTH, x);
    for (size_t i = 0; i < WIDTH && i < n; i++) out[stride * i] = lanes[i];
}

/* `across` registers of points times `deep` polynomials, which hide each other's latency. */
INLINE word evaluate_tile(uint64_t *out, const family *f, size_t across, size_t deep, const uint64_t *points,
                          size_t count, word seen, const ring *r)
{
    word x[CHAINS], value[CHAINS][SFL_LIMBS];
    load_block(x, points, count < across * WIDTH ? count : across * WIDTH, fill(0));
    EACH(w, across)
    {
        seen = watch(seen, x[w], r->m);
        x[w] = enter(x[w], r);
        EACH(p, deep) value[w][p] = fill(0);
    }
    for (size_t k = f->terms; k-- > 0;) {
        EACH(p, deep)
        {
            const word coefficient = fill(f->coefficients[k * f->polynomials + p]);
            EACH(w, across) value[w][p] = plus(times(value[w][p], x[w], r), coefficient, r);
        }
    }
    EACH(w, across)
    {
        if (count <= w * WIDTH) break;
        uint64_t *const at = out + w * WIDTH * f->polynomials;
        EACH(p, deep) scatter(at + p, f->polynomials, count - w * WIDTH, settle(times(value[w][p], r->unit, r), r));
    }
    return seen;
}

TARGET static int evaluate_all(uint64_t *out, const uint64_t *coefficients, size_t terms, size_t polynomials,
                               const uint64_t *points, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    word seen = fill(0);
    for (size_t i = 0; i < terms * polynomials; i += WIDTH) {
        seen = watch(seen, load(coefficients + i, terms * polynomials - i, fill(0)), r.m);
    }
    for (size_t p = 0; p < polynomials;) {
        const family f = {coefficients + p, terms, polynomials};
        const size_t deep = polynomials - p < SFL_LIMBS ? 1 : SFL_LIMBS, across = deep == 1 ? CHAINS : 1;
        for (size_t i = 0; i < count; i += across * WIDTH) {
            uint64_t *const at = out + i * polynomials + p;
            seen = deep == 1 ? evaluate_tile(at, &f, CHAINS, 1, points + i, count - i, seen, &r)
                             : evaluate_tile(at, &f, 1, SFL_LIMBS, points + i, count - i, seen, &r);
        }
        p += deep;
    }
    return clean(seen, r.m);
}

/* ---- Products of differences, as in Lagrange's denominators ---- */

INLINE void differences_block(word product[CHAINS], const uint64_t *entered, size_t first, size_t count, const ring *r)
{
    word x[CHAINS];
    load_block(x, entered + first, count - first, fill(0));
    EACH(c, CHAINS) product[c] = r->unit;
    for (size_t j = 0; j < count; j++) {
        const word other = fill(entered[j]);
        EACH(c, CHAINS)
        {
            const word difference = put(subtract(x[c], other, r), j - first - c * WIDTH, r->unit);
            product[c] = settle(times(product[c], difference, r), r);
        }
    }
    EACH(c, CHAINS) product[c] = times(product[c], fill(1), r);
}

TARGET static int differences_all(uint64_t *out, uint64_t *scratch, const uint64_t *points, size_t count, uint64_t m)
{
    const ring r = prepare(m);
    const int residues = elementwise(scratch, points, points, count, SCALE, r.square, &r);
    for (size_t i = 0; i < count; i += BLOCK) {
        word product[CHAINS];
        differences_block(product, scratch, i, count, &r);
        store_block(out + i, count - i, product, &r);
    }
    return residues;
}

#define KERNELS \
    add_all, sub_all, mul_all, scale_all, power_all, dot_all, inverse_all, evaluate_all, differences_all
