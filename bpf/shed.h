/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is left out for now, so that recording stays within its budget
 * (--max-overhead). Whatever a program leaves out it counts, in a loss slot of
 * its own; hooks that are detached instead count nothing (record/probe/shed.go).
 */
#ifndef KMON_SHED_H
#define KMON_SHED_H

#include "kernel.h"

enum shed_parts {
	SHED_USER_STACKS = 1 << 0,
	SHED_OFF_CPU = 1 << 1,
	SHED_BLOCK = 1 << 2,
};

/* Set by the recorder: enum shed_parts. */
u32 shed = 0;
/* Of the connections one in 2^tcp_sampling is recorded. */
u32 tcp_sampling = 0;

#define TCP_SAMPLING_MAX 8

#endif
