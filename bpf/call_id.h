/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which system call a thread is in.
 */
#ifndef KMON_CALL_ID_H
#define KMON_CALL_ID_H

#include "record.h"

#define TS_COMPAT 0x0002  /* arch/x86/include/asm/thread_info.h */
#define TIF_32BIT_BIT 22  /* arch/arm64/include/asm/thread_info.h */

/* 32-bit calls have numbers of their own: they have one id. */
static __always_inline u32 call_id(struct pt_regs *regs, struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	u32 number = ((struct pt_regs___kernel *)regs)->orig_ax;
	bool compat = task->thread_info.status & TS_COMPAT;
#elif defined(__TARGET_ARCH_arm64)
	u32 number = ((struct pt_regs___kernel *)regs)->syscallno;
	bool compat = task->thread_info.flags & (1UL << TIF_32BIT_BIT);
#endif
	if (compat)
		return CALL_COMPAT;
	return number < CALL_NUMBERS ? number : CALL_NONE; /* -1: in none, or a return from a signal handler */
}

#endif
