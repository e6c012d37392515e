// SPDX-License-Identifier: Apache-2.0
//
// LD_PRELOAD shim for User-mode Linux on processors with a large register file (AMX): UML asks for its child's extended
// registers with a buffer of a fixed size, and newer host kernels refuse to take them back when the buffer is shorter than
// the processor's own. The shim passes a buffer that is large enough, and gives UML the part that it asked for.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { WHOLE = 64 * 1024 };

static long (*real_ptrace)(int, int, void *, void *);

long ptrace(enum __ptrace_request request, ...)
{
	va_list args;
	va_start(args, request);
	int pid = va_arg(args, int);
	void *address = va_arg(args, void *);
	void *data = va_arg(args, void *);
	va_end(args);
	if (!real_ptrace)
		real_ptrace = (long (*)(int, int, void *, void *))dlsym(RTLD_NEXT, "ptrace");
	if ((request != PTRACE_GETREGSET && request != PTRACE_SETREGSET) || (long)address != NT_X86_XSTATE)
		return real_ptrace(request, pid, address, data);

	struct iovec *asked = data;
	static __thread unsigned char buffer[WHOLE] __attribute__((aligned(64)));
	struct iovec whole = { buffer, WHOLE };
	// Setting starts from what the processor has now, so that the states which UML doesn't know keep their values.
	long result = real_ptrace(PTRACE_GETREGSET, pid, address, &whole);
	if (result < 0)
		return result;
	size_t part = asked->iov_len < whole.iov_len ? asked->iov_len : whole.iov_len;
	if (request == PTRACE_GETREGSET) {
		memcpy(asked->iov_base, buffer, part);
		asked->iov_len = part;
		return 0;
	}
	memcpy(buffer, asked->iov_base, part);
	return real_ptrace(PTRACE_SETREGSET, pid, address, &whole);
}
