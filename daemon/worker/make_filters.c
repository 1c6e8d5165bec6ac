/* SPDX-License-Identifier: MIT */
/*
 * Runs when the worker is built, and writes the header filter_programs.h: for each mode of a worker
 * the seccomp(2) program that lets through what the table allows, made by libseccomp, and the names
 * of all system calls.
 *
 * The tables name families, not the very calls of today's C library, where another version of it
 * may take another one for the same thing (fstat: newfstatat, fstat or statx). Nothing in them
 * opens a way out: no sockets, no programs, no other processes, no memory that can be executed, no
 * new handlers of signals. Which paths openat2 may open is Landlock's to say: a filter sees no
 * text.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util/macro.h"
#include "daemon/worker/filter_pid.h"

#define MAX_STEPS 1024
#define MAX_CALLS 1024
/* A tracer that skips a call puts this in its place; it does nothing. seccomp(2) */
#define SKIPPED_CALL (-1)

enum mode {
	PREPARE = 1 << 0,
	CONVERT = 1 << 1,
	STORAGE = 1 << 2,
	EVERY = PREPARE | CONVERT | STORAGE,
	/* What the sanitizers do besides, in all modes. */
	SANITIZED = 1 << 3,
};

struct rule {
	const char *call;
	unsigned modes;
	/* Only where the argument & mask is value; mask 0: always. */
	unsigned argument;
	uint64_t mask, value;
};

#define ALWAYS			      0, 0, 0
#define MASKED(argument, mask, value) argument, mask, value
#define EQUALS(argument, value)	      argument, UINT64_MAX, value

static const struct rule rules[] = {
	/* memory */
	{"brk", EVERY, ALWAYS},
	{"mmap", EVERY, MASKED(2, PROT_EXEC, 0)},
	{"mprotect", EVERY, MASKED(2, PROT_EXEC, 0)},
	{"mremap", EVERY, ALWAYS},
	{"munmap", EVERY, ALWAYS},
	{"madvise", EVERY, ALWAYS},
	{"getrandom", EVERY, ALWAYS}, /* malloc(3) and temporary names */
	{"sysinfo", EVERY, ALWAYS},   /* qsort(3) asks how much there is */
	/* descriptors that are open */
	{"read", EVERY, ALWAYS},
	{"write", EVERY, ALWAYS},
	{"writev", EVERY, ALWAYS}, /* the C library's last words */
	{"pread64", EVERY, ALWAYS},
	{"pwrite64", EVERY, ALWAYS},
	{"lseek", EVERY, ALWAYS},
	{"fstat", EVERY, ALWAYS},
	{"newfstatat", EVERY, ALWAYS},
	{"statx", EVERY, ALWAYS},
	{"close", EVERY, ALWAYS},
	/* time, waiting and the end */
	{"clock_gettime", EVERY, ALWAYS},
	{"clock_nanosleep", EVERY, ALWAYS},
	{"restart_syscall", EVERY, ALWAYS}, /* a wait goes on after SIGCONT */
	{"rt_sigreturn", EVERY, ALWAYS},
	{"rt_sigprocmask", EVERY, ALWAYS},
	{"getpid", EVERY, ALWAYS},
	{"gettid", EVERY, ALWAYS},
	{"tgkill", EVERY, EQUALS(0, FILTER_PID)}, /* abort(3) */
	{"exit", EVERY, ALWAYS},
	{"exit_group", EVERY, ALWAYS},
	{"futex", EVERY, ALWAYS},
	/* inputs and outputs */
	{"fallocate", CONVERT, ALWAYS},
	{"openat2", PREPARE | CONVERT, ALWAYS},
	{"getdents64", PREPARE | STORAGE, ALWAYS},
	{"fcntl", PREPARE | STORAGE, EQUALS(1, F_GETFL)}, /* fdopendir(3) */
	{"fcntl", PREPARE | STORAGE, EQUALS(1, F_SETFD)}, /* the same */
	/* requests of the supervisor */
	{"recvmsg", STORAGE, ALWAYS},
	{"sendto", STORAGE, EQUALS(4, 0)},
	{"poll", STORAGE, ALWAYS},
	{"ppoll", STORAGE, ALWAYS},
	{"openat", STORAGE, ALWAYS},
	{"renameat", STORAGE, ALWAYS},
	{"renameat2", STORAGE, ALWAYS},
	{"unlinkat", STORAGE, ALWAYS},
	{"mkdirat", STORAGE, ALWAYS},
	{"fchmod", STORAGE, ALWAYS},
	{"ftruncate", STORAGE, ALWAYS},
	{"fsync", STORAGE, ALWAYS},
	{"fdatasync", STORAGE, ALWAYS},
	{"fcntl", STORAGE, EQUALS(1, F_SETLEASE)},
	{"geteuid", STORAGE, ALWAYS},
	/* the leak sanitizer stops this process, from a process of its own, and reads what it has;
	 * reports look for names in programs and libraries */
	{"clone", SANITIZED, ALWAYS},
	{"wait4", SANITIZED, ALWAYS},
	{"ptrace", SANITIZED, ALWAYS},
	{"prctl", SANITIZED, ALWAYS},
	{"openat", SANITIZED, ALWAYS},
	{"open", SANITIZED, ALWAYS},
	{"readlink", SANITIZED, ALWAYS},
	{"getdents64", SANITIZED, ALWAYS},
	{"getdents", SANITIZED, ALWAYS},
	{"fcntl", SANITIZED, ALWAYS},
	{"ioctl", SANITIZED, ALWAYS},
	{"sigaltstack", SANITIZED, ALWAYS},
	{"rt_sigaction", SANITIZED, ALWAYS},
	{"sched_yield", SANITIZED, ALWAYS},
	{"sched_getaffinity", SANITIZED, ALWAYS},
	{"prlimit64", SANITIZED, ALWAYS},
	{"getppid", SANITIZED, ALWAYS},
	{"tgkill", SANITIZED, ALWAYS},
};

static const struct {
	const char *name;
	unsigned modes;
} filters[] = {
	{"prepare", PREPARE},
	{"convert", CONVERT},
	{"storage", STORAGE},
};

static int add_rule(scmp_filter_ctx filter, uint32_t arch, const struct rule *rule)
{
	int number = seccomp_syscall_resolve_name_arch(arch, rule->call);

	if (number == __NR_SCMP_ERROR) {
		fprintf(stderr, "make_filters: libseccomp knows no %s\n", rule->call);
		return -EINVAL;
	}
	const struct scmp_arg_cmp condition = {rule->argument, SCMP_CMP_MASKED_EQ, rule->mask,
					       rule->value};
	bool is_always = rule->mask == 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, is_always ? 0 : 1,
				      is_always ? NULL : &condition);
}

static int fill(scmp_filter_ctx filter, uint32_t arch, unsigned modes)
{
	int r;

	if ((r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_API_TSKIP, 1)) < 0 ||
	    (r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SKIPPED_CALL, 0)) < 0) {
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if ((rules[i].modes & modes) == 0) {
			continue;
		}
		r = add_rule(filter, arch, &rules[i]);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* Returns how many steps the filter's program has, or -errno. */
static ssize_t export(scmp_filter_ctx filter, struct sock_filter ret_steps[static MAX_STEPS])
{
	int fd = memfd_create("filter", MFD_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = seccomp_export_bpf(filter, fd);
	ssize_t n = pread(fd, ret_steps, MAX_STEPS * sizeof(*ret_steps), 0);
	close(fd);
	if (r < 0) {
		return r;
	}
	return n < 0 ? -errno : n / (ssize_t)sizeof(*ret_steps);
}

static int write_filter(uint32_t arch, const char *name, unsigned modes)
{
	struct sock_filter steps[MAX_STEPS] = {{0}};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);

	if (filter == NULL) {
		return -ENOMEM;
	}
	int r = 0;
	if (arch != seccomp_arch_native()) {
		r = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
		r = r < 0 ? r : seccomp_arch_add(filter, arch);
	}
	r = r < 0 ? r : fill(filter, arch, modes);
	ssize_t n = r < 0 ? r : export(filter, steps);
	seccomp_release(filter);
	if (n < 0) {
		return (int)n;
	}
	if (n == MAX_STEPS) {
		return -E2BIG;
	}
	printf("static const struct sock_filter filter_%s[] = {\n", name);
	for (ssize_t i = 0; i < n; i++) {
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", steps[i].code, steps[i].jt, steps[i].jf,
		       steps[i].k);
	}
	puts("};\n");
	return 0;
}

static void write_table(void)
{
	puts("/* In the order of enum syscall_filter. */\n"
	     "static const struct {\n\tconst struct sock_filter *steps;\n"
	     "\tunsigned short n_steps;\n} filter_programs[] = {");
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		printf("\t{filter_%s, ARRAY_SIZE(filter_%s)},\n", filters[i].name, filters[i].name);
	}
	puts("};\n");
}

static void write_names(uint32_t arch)
{
	puts("static const char *const filter_call_names[] = {");
	for (int number = 0; number < MAX_CALLS; number++) {
		char *name = seccomp_syscall_resolve_num_arch(arch, number);

		if (name != NULL) {
			printf("\t[%d] = \"%s\",\n", number, name);
		}
		free(name);
	}
	puts("};");
}

int main(int argc, char **argv)
{
	uint32_t arch = argc >= 2 ? seccomp_arch_resolve_name(argv[1]) : 0;
	bool is_sanitized = argc == 3 && strcmp(argv[2], "sanitized") == 0;

	if (arch == 0 || (argc == 3 && !is_sanitized)) {
		fputs("usage: make_filters ARCHITECTURE [sanitized]\n", stderr);
		return 2;
	}
	printf("/* Made by make_filters.c. */\n#pragma once\n\n"
	       "#include <linux/filter.h>\n#include <stddef.h>\n\n"
	       "#include \"common/util/macro.h\"\n\n#define FILTER_MAX_STEPS %d\n\n",
	       MAX_STEPS);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		int r = write_filter(arch, filters[i].name,
				     filters[i].modes | (is_sanitized ? SANITIZED : 0));

		if (r < 0) {
			fprintf(stderr, "make_filters: %s: %s\n", filters[i].name, strerror(-r));
			return 1;
		}
	}
	write_table();
	write_names(arch);
	return fflush(stdout) == 0 ? 0 : 1;
}
