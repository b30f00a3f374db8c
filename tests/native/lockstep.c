/* Both runs are forks of one process, so that all their addresses are the same, stepped through by ptrace (2). What then
 * differs between their registers comes from the secrets. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lockstep.h"

#define REGISTERS (sizeof(struct user_regs_struct) / sizeof(unsigned long long))

/* Bit i of `registers`: word i of user_regs_struct differs. Bits of `flags`: those of the flags register that do. */
typedef struct {
    uint64_t instruction;
    uint32_t registers, flags;
} record;

typedef union {
    struct user_regs_struct named;
    unsigned long long word[REGISTERS];
} registers;

static void give_up(const char *why)
{
    perror(why);
    exit(2);
}

void lockstep_begins(void)
{
    __asm__ __volatile__("int3");
}

void lockstep_ends(void)
{
    __asm__ __volatile__("");
}

static void wait_for(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) < 0) give_up("waitpid");
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) return;
    fputs("a run ended before it was finished\n", stderr);
    exit(2);
}

static registers look(pid_t child)
{
    registers now;
    if (ptrace(PTRACE_GETREGS, child, NULL, &now) < 0) give_up("ptrace");
    return now;
}

static int compare(const registers *a, const registers *b)
{
    record r = {.instruction = a->named.rip, .flags = (uint32_t)(a->named.eflags ^ b->named.eflags)};
    for (unsigned i = 0; i < REGISTERS; i++) r.registers |= (uint32_t)(a->word[i] != b->word[i]) << i;
    if (fwrite(&r, sizeof r, 1, stdout) != 1) give_up("standard output");
    return a->named.rip != b->named.rip;
}

static int step(const pid_t child[2])
{
    for (;;) {
        const registers a = look(child[0]), b = look(child[1]);
        if (a.named.rip == (uintptr_t)lockstep_ends && b.named.rip == (uintptr_t)lockstep_ends) return 0;
        if (compare(&a, &b)) return 1;
        for (int i = 0; i < 2; i++) {
            if (ptrace(PTRACE_SINGLESTEP, child[i], NULL, NULL) < 0) give_up("ptrace");
            wait_for(child[i]);
        }
    }
}

static pid_t start(void (*run)(const void *, unsigned), const void *argument, unsigned secret)
{
    const pid_t child = fork();
    if (child < 0) give_up("fork");
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) give_up("ptrace");
        run(argument, secret);
        _exit(0);
    }
    wait_for(child);
    return child;
}

/* All on one processor: a step that has to wake up another takes three times as long. */
static void stay_here(void)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    if (sched_setaffinity(0, sizeof here, &here) < 0) give_up("sched_setaffinity");
}

int lockstep(void (*run)(const void *, unsigned), const void *argument, const unsigned secrets[2])
{
    stay_here();
    const pid_t child[2] = {start(run, argument, secrets[0]), start(run, argument, secrets[1])};
    const int parted = step(child);
    for (int i = 0; i < 2; i++) {
        kill(child[i], SIGKILL);
        waitpid(child[i], NULL, 0);
    }
    return parted;
}
