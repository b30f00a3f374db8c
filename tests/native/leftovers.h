/* What of a secret a function leaves behind on its stack. */
#ifndef LEFTOVERS_H
#define LEFTOVERS_H

#include <stddef.h>

/* Calls run(argument, secrets[i]), i = 0, 1, each time on a stack of zeros, and returns the number of bytes by which the
 * two stacks differ afterwards. */
size_t leftovers(void (*run)(const void *argument, unsigned secret), const void *argument, const unsigned secrets[2]);

#endif
