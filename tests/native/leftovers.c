#include "leftovers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK_BYTES (1 << 18)

static _Alignas(64) char stack[STACK_BYTES], first[STACK_BYTES];

static struct {
    void (*run)(const void *argument, unsigned secret);
    const void *argument;
    unsigned secret;
} call;

static void enter(void) /* the arguments of a context are ints */
{
    call.run(call.argument, call.secret);
}

static void run_on_zeros(unsigned secret)
{
    ucontext_t caller, callee;
    memset(stack, 0, sizeof stack);
    call.secret = secret;
    getcontext(&callee);
    callee.uc_stack.ss_sp = stack;
    callee.uc_stack.ss_size = sizeof stack;
    callee.uc_link = &caller;
    makecontext(&callee, enter, 0);
    if (swapcontext(&caller, &callee) == 0) return;
    perror("swapcontext");
    exit(2);
}

size_t leftovers(void (*run)(const void *, unsigned), const void *argument, const unsigned secrets[2])
{
    size_t differing = 0;
    call.run = run;
    call.argument = argument;
    run_on_zeros(secrets[0]);
    memcpy(first, stack, sizeof stack);
    run_on_zeros(secrets[1]);
    for (size_t i = 0; i < sizeof stack; i++) differing += first[i] != stack[i];
    return differing;
}
