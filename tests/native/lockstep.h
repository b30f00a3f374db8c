/* Two runs of one function on different secrets, an instruction at a time: Linux on x86-64. */
#ifndef LOCKSTEP_H
#define LOCKSTEP_H

/* Calls run(argument, secrets[i]), i = 0, 1, and writes to standard output what differs before each instruction between
 * its calls of lockstep_begins and lockstep_ends. Returns 0, or 1 when the runs part: the last record says where. */
int lockstep(void (*run)(const void *argument, unsigned secret), const void *argument, const unsigned secrets[2]);

void lockstep_begins(void);
void lockstep_ends(void);

#endif
