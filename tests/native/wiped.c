/* No round key stays on the stack, whichever backend masked. With an argument the kernel is called without its driver,
 * which wipes, to show that a key would be found. */
#include <stdio.h>

#include "mask.h"

enum { DEPTH = 1 << 17 };

static uint8_t out[32768], digests[32 * 70];

/* Is a round key in the memory below this frame? */
__attribute__((noinline)) static int found(const sfl_schedule *s)
{
    const volatile uint32_t *frame = __builtin_frame_address(0);
    for (const volatile uint32_t *p = frame - DEPTH / sizeof *p; p < frame; p++) {
        for (int r = 2; r < 15; r++) {
            const uint32_t *w = s->word + 4 * r;
            if (p[0] == w[0] && p[1] == w[1] && p[2] == w[2] && p[3] == w[3]) return 1;
        }
    }
    return 0;
}

__attribute__((noinline)) static void mask(const sfl_mask_backend *b, const uint8_t keys[64], int leak)
{
    const sfl_streams dense = {out, 5000, 4, keys, digests, 2, 0};
    sfl_row_streams rows = {.out = out, .rows = 70, .bytes = 76, .word = 4, .digests = digests, .keys = keys, .count = 1};
    sfl_schedule schedule;
    rows.subtract = digests;
    sfl_add_streams(b, &dense, 1);
    sfl_add_row_streams(b, &rows, 1);
    rows.rows = 2, rows.bytes = 16384;
    sfl_add_row_streams(b, &rows, 1);
    if (!leak) return;
    b->kernels->expand(&schedule, keys);
    b->kernels->mask_run(out, 5000, 0, SFL_ADD32, &schedule);
}

int main(int argc, char **argv)
{
    (void)argv;
    static uint8_t keys[64];
    static sfl_schedule schedules[2];
    for (size_t i = 0; i < sizeof keys; i++) keys[i] = (uint8_t)(i * i + 7);
    for (const sfl_mask_backend *b = sfl_mask_backends; b->backend.name; b++) {
        if (!b->backend.usable()) continue;
        for (int k = 0; k < 2; k++) b->kernels->expand(schedules + k, keys + 32 * k);
        mask(b, keys, argc > 1);
        for (int k = 0; k < 2; k++) {
            if (found(schedules + k)) return printf("%s leaves a round key\n", b->backend.name), 1;
        }
    }
    return 0;
}
