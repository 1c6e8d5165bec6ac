/* SPDX-License-Identifier: MIT */

/*
 * zooparallel-worker with a mind of its own: at a marked row (at its first request, if it is the
 * storage process) it does what someone would try who has taken it over. The linker puts this
 * file's functions before the real ones (--wrap, see meson.build); all else is the real program.
 *
 * ZOOPARALLEL_TEST_MARK is the word that marks a row, ZOOPARALLEL_TEST_MODE the mode of the worker
 * that is curious: convert, prepare or storage.
 *
 * ZOOPARALLEL_TEST_PATHS has lines "FLAG PATH", to be opened for reading (r) or writing (w) or to
 * be created (c); what became of each goes to stderr, "curious: FLAG PATH: " and the error's name
 * or 0. SUPERVISOR in a path is the daemon's pid.
 *
 * ZOOPARALLEL_TEST_CALL is a system call to make, by its name in the table below. What can be aimed
 * at a process is aimed at the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/model/worker_protocol.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "daemon/pipe/csv_scanner.h"
#include "daemon/worker/storage_ops.h"

const struct csv_scanner *__real_csv_scanner_find(const char *name);
const struct csv_scanner *__wrap_csv_scanner_find(const char *name);
size_t __real_dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
			    uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault);
size_t __wrap_dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
			    uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault);
int __real_storage_ops_run(const struct storage_request *request, const int *fds,
			   struct storage_reply *reply);
int __wrap_storage_ops_run(const struct storage_request *request, const int *fds,
			   struct storage_reply *reply);

#define SUPERVISOR "SUPERVISOR"

static const struct csv_scanner *real;

/* The filter lets openat2 through in some modes, openat in the others. */
static long open_path(const char *path, int flags, bool is_storage)
{
	const struct open_how how = {.flags = (unsigned)flags, .mode = flags & O_CREAT ? 0600 : 0};

	return is_storage ? syscall(SYS_openat, AT_FDCWD, path, flags, how.mode)
			  : syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static void try_path(char flag, const char *path, bool is_storage)
{
	int flags = flag == 'r' ? O_RDONLY : flag == 'w' ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL;
	const char *place = strstr(path, SUPERVISOR);
	char true_path[512];

	snprintf(true_path, sizeof(true_path), "%.*s%s%s",
		 place != NULL ? (int)(place - path) : (int)strlen(path), path,
		 place != NULL ? getenv(WORKER_ENV_SUPERVISOR) : "",
		 place != NULL ? place + strlen(SUPERVISOR) : "");
	long fd = open_path(true_path, flags | O_CLOEXEC, is_storage);

	log_error("curious: %c %s: %s", flag, path, fd < 0 ? strerrorname_np(errno) : "0");
	fd_close((int)fd);
}

static void try_paths(bool is_storage)
{
	const char *text = getenv("ZOOPARALLEL_TEST_PATHS");
	char *copy = text != NULL ? strdup(text) : NULL;
	char *rest = NULL;

	for (char *line = copy != NULL ? strtok_r(copy, "\n", &rest) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		try_path(line[0], line + 2, is_storage);
	}
	free(copy);
}

static void try_call(const char *wanted, int pid)
{
	static char program[] = "/bin/true";
	static char *const arguments[] = {program, NULL};
	const size_t page = 4096;
	void *memory = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct call {
		const char *name;
		long number;
		long arguments[6];
	} calls[] = {
		{"execve", SYS_execve, {(long)program, (long)arguments, (long)environ}},
		{"clone", SYS_clone, {SIGCHLD}},
		{"socket", SYS_socket, {AF_UNIX, SOCK_STREAM}},
		{"connect", SYS_connect, {0}},
		{"kill", SYS_kill, {pid, SIGKILL}},
		{"tgkill", SYS_tgkill, {pid, pid, SIGKILL}},
		{"ptrace", SYS_ptrace, {PTRACE_ATTACH, pid}},
		{"process_vm_readv", SYS_process_vm_readv, {pid}},
		{"rt_sigaction", SYS_rt_sigaction, {SIGSYS, 0, 0, 8}},
		{"open", SYS_open, {(long)"/etc/passwd", O_RDONLY}},
		{"unlink", SYS_unlink, {(long)"/nonexistent"}},
		{"mprotect", SYS_mprotect, {(long)memory, page, PROT_READ | PROT_EXEC}},
		{"mmap", SYS_mmap, {0, page, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
		{"io_uring_setup", SYS_io_uring_setup, {1}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const long *with = calls[i].arguments;

		if (strcmp(calls[i].name, wanted) == 0) {
			long r = syscall(calls[i].number, with[0], with[1], with[2], with[3],
					 with[4], with[5]);
			log_error("curious: %s: %ld", wanted, r);
		}
	}
}

static void be_curious(const char *mode)
{
	static bool was_curious;
	const char *wanted = getenv("ZOOPARALLEL_TEST_MODE");
	const char *call = getenv("ZOOPARALLEL_TEST_CALL");
	const char *supervisor = getenv(WORKER_ENV_SUPERVISOR);
	uint64_t pid;

	if (was_curious || wanted == NULL || strcmp(wanted, mode) != 0 || supervisor == NULL ||
	    num_parse_u64(supervisor, &pid) < 0) {
		return;
	}
	was_curious = true;
	try_paths(strcmp(mode, "storage") == 0);
	if (call != NULL) {
		try_call(call, (int)pid);
	}
}

static void taste(const uint8_t *row, size_t len, const char *mode)
{
	const char *mark = getenv("ZOOPARALLEL_TEST_MARK");

	if (mark != NULL && memmem(row, len, mark, strlen(mark)) != NULL) {
		be_curious(mode);
	}
}

static size_t emit(const struct json_rows *rows, size_t row, uint8_t *out, uint8_t **ret_out)
{
	uint32_t start = csv_index_row_start(rows->index, row);

	taste(rows->bytes + start, csv_index_row_start(rows->index, rows->end_row) - start,
	      "convert");
	return real->emit(rows, row, out, ret_out);
}

const struct csv_scanner *__wrap_csv_scanner_find(const char *name)
{
	static struct csv_scanner curious;
	const struct csv_scanner *found = __real_csv_scanner_find(name);

	if (found != NULL && real == NULL) {
		real = found;
		curious = *found;
		curious.emit = emit;
		return &curious;
	}
	return found;
}

/* A converting worker has looked for its scanner by then, one that prepares never does. */
size_t __wrap_dialect_split(const struct dialect *dialect, const uint8_t *row, size_t len,
			    uint32_t *ret_ends, size_t max_ends, struct dialect_fault *ret_fault)
{
	taste(row, len, real != NULL ? "convert" : "prepare");
	return __real_dialect_split(dialect, row, len, ret_ends, max_ends, ret_fault);
}

int __wrap_storage_ops_run(const struct storage_request *request, const int *fds,
			   struct storage_reply *reply)
{
	be_curious("storage");
	return __real_storage_ops_run(request, fds, reply);
}
