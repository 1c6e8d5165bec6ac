/* SPDX-License-Identifier: MIT */
/*
 * Stands beside a copy of zooparalleld under the name of its worker, and becomes that worker; but
 * under strace(1) if the test wants the mode that it is started in watched or harmed. So one kind
 * of process is hit, and from its first system call on, without tracing the others.
 *
 *   ZOOPARALLEL_CHAOS_WORKER  the true zooparallel-worker
 *   ZOOPARALLEL_CHAOS_DIR     MODE.once: strace's options, one a line, for one process of the mode;
 *                             MODE: for every one; traces go to MODE.PID.trace
 *
 * strace runs as a grandchild (-D): the worker stays the child that the daemon has forked, with its
 * pid, its death signal and its parent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OPTIONS   64
#define OPTIONS_BYTES 8192
#define EXIT_BROKEN   125

static char *arguments[MAX_OPTIONS + 64];
static size_t n_arguments;

static void add(char *argument)
{
	if (n_arguments + 1 < sizeof(arguments) / sizeof(*arguments)) {
		arguments[n_arguments++] = argument;
	}
}

/* Whoever renames the file has it: of several workers that start at once, one. */
static int open_options(const char *dir, const char *mode, char *ret_text)
{
	char once[512], used[512], every[512];
	snprintf(once, sizeof(once), "%s/%s.once", dir, mode);
	snprintf(used, sizeof(used), "%s/%s.used", dir, mode);
	snprintf(every, sizeof(every), "%s/%s", dir, mode);
	FILE *file = fopen(rename(once, used) == 0 ? used : every, "re");
	if (!file) {
		return -errno;
	}
	size_t n = fread(ret_text, 1, OPTIONS_BYTES - 1, file);
	ret_text[n] = '\0';
	fclose(file);
	return 0;
}

static void add_options(char *text)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		add(line);
	}
}

int main(int argc, char **argv)
{
	static char text[OPTIONS_BYTES], trace[512];
	static char strace[] = "strace", apart[] = "-D", quiet[] = "-q", to[] = "-o";
	char *worker = getenv("ZOOPARALLEL_CHAOS_WORKER");
	const char *dir = getenv("ZOOPARALLEL_CHAOS_DIR");
	if (argc < 2 || !worker || !dir) {
		return EXIT_BROKEN;
	}
	int r = open_options(dir, argv[1], text);
	if (r == 0) {
		snprintf(trace, sizeof(trace), "%s/%s.%d.trace", dir, argv[1], (int)getpid());
		add(strace);
		add(apart);
		add(quiet);
		add(to);
		add(trace);
		add_options(text);
	}
	add(worker);
	for (int i = 1; i < argc; i++) {
		add(argv[i]);
	}
	execvp(arguments[0], arguments);
	return EXIT_BROKEN;
}
