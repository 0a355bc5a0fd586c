/* Copyright: the kubeproxy.ipvs authors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Preloaded into user-mode Linux: its ptrace(), for processors whose extended state is larger than it knows.
 *
 * Up to 6.1 user-mode Linux sets the extended registers of its processes with a buffer of 2,696 bytes (FP_SIZE, arch/x86/um), which was all of them when
 * it was written. The machine's kernel takes no other length than that of its own state (xstateregs_set, arch/x86/kernel/fpu/regset.c): 11,008 bytes
 * where the processor has AMX, so that every process ends with SIGSEGV at its first instruction. Here what user-mode Linux does not know is cut off when
 * it asks, and left in its initial state when it sets: its processes have no permission to use AMX.
 *
 * Needs nothing of the C library but errno, so that it loads beside any; its buffer is not on the stack, which is a small one in a kernel.
 */
#include <linux/ptrace.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define NT_X86_XSTATE 0x202
/* The legacy area and the header of the extended state: the least that a buffer of it has. */
#define LEAST 576
#define ROOM 65536

extern int *__errno_location(void);

static unsigned char state[ROOM] __attribute__((aligned(64)));

static long kernel_ptrace(long request, long process, long address, void *data)
{
	long result;
	register void *fourth __asm__("r10") = data;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_ptrace), "D"(request), "S"(process), "d"(address), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

static void copy(unsigned char *to, const unsigned char *from, unsigned long length)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

/* All of the state of a process is read, and as much as fits is handed on. */
static long get_state(long process, struct iovec *wanted)
{
	struct iovec all = { state, sizeof(state) };
	long result = kernel_ptrace(PTRACE_GETREGSET, process, NT_X86_XSTATE, &all);

	if (result < 0)
		return result;
	if (all.iov_len < wanted->iov_len)
		wanted->iov_len = all.iov_len;
	copy(wanted->iov_base, state, wanted->iov_len);
	return result;
}

/* The length that the kernel wants is that of what it gives. */
static long set_state(long process, struct iovec *wanted)
{
	static unsigned long length;
	struct iovec all = { state, sizeof(state) };
	unsigned long position;
	long result;

	if (length == 0) {
		result = kernel_ptrace(PTRACE_GETREGSET, process, NT_X86_XSTATE, &all);
		if (result < 0)
			return result;
		length = all.iov_len;
	}
	if (wanted->iov_len >= length || wanted->iov_len < LEAST)
		return kernel_ptrace(PTRACE_SETREGSET, process, NT_X86_XSTATE, wanted);
	copy(state, wanted->iov_base, wanted->iov_len);
	for (position = wanted->iov_len; position < length; position++)
		state[position] = 0;
	all.iov_len = length;
	return kernel_ptrace(PTRACE_SETREGSET, process, NT_X86_XSTATE, &all);
}

/* As the C library declares it. */
long ptrace(int request, ...)
{
	va_list arguments;
	long process, address, result, word = 0;
	void *data;

	va_start(arguments, request);
	process = va_arg(arguments, int);
	address = va_arg(arguments, long);
	data = va_arg(arguments, void *);
	va_end(arguments);
	if (request == PTRACE_GETREGSET && address == NT_X86_XSTATE)
		result = get_state(process, data);
	else if (request == PTRACE_SETREGSET && address == NT_X86_XSTATE)
		result = set_state(process, data);
	else if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSR) {
		/* The kernel stores the word, the C library returns it. */
		result = kernel_ptrace(request, process, address, &word);
		if (result >= 0) {
			*__errno_location() = 0;
			return word;
		}
	} else
		result = kernel_ptrace(request, process, address, data);
	if (result < 0) {
		*__errno_location() = (int)-result;
		return -1;
	}
	return result;
}
