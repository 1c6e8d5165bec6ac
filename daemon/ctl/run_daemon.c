/* SPDX-License-Identifier: MIT */
/*
 * The child is set up between fork and exec with what signal-safety(7) allows: all texts are made
 * before. Its log goes to a file, so that no line of it tears the progress bar.
 */
#include "daemon/ctl/run_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/process.h"
#include "daemon/ctl/program.h"

enum { LOG_MODE = 0600, EXIT_NO_EXEC = 127, OWN_SETTINGS = 5 };

struct command_line {
	char *program;
	char *log_path;
	char **argv; /* owned, with its strings */
};

static void command_line_deinit(struct command_line *line)
{
	for (size_t i = 0; line->argv && line->argv[i]; i++) {
		free(line->argv[i]);
	}
	free(line->argv);
	free(line->program);
	free(line->log_path);
}

/* The next argument; what is missing in the end was no memory. */
PRINTF_FORMAT(2, 3) static void add_argument(char ***end, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(*end, format, args) < 0) {
		**end = NULL;
	}
	va_end(args);
	*end += **end != NULL;
}

/* The user's settings come last: of two equal keys the later one counts. */
static int make_command_line(const struct run_tree *tree, const char *data_root,
			     char *const *settings, size_t n_settings, struct command_line *line)
{
	size_t n_arguments = 4 + 2 * (OWN_SETTINGS + n_settings);
	char **end;
	int r = program_find_daemon(&line->program);

	if (r < 0) {
		return r;
	}
	line->argv = calloc(n_arguments + 1, sizeof(*line->argv));
	if (!line->argv || asprintf(&line->log_path, "%s/log", tree->path) < 0) {
		return -ENOMEM;
	}
	end = line->argv;
	add_argument(&end, "%s", line->program);
	add_argument(&end, "--once");
	add_argument(&end, "--config");
	add_argument(&end, "%s/conf/zooparalleld.conf", tree->path);
	add_argument(&end, "--set");
	add_argument(&end, "data_roots=%s", data_root);
	add_argument(&end, "--set");
	add_argument(&end, "spool_dir=%s/spool", tree->path);
	add_argument(&end, "--set");
	add_argument(&end, "state_dir=%s/state", tree->path);
	add_argument(&end, "--set");
	add_argument(&end, "run_dir=%s/run", tree->path);
	add_argument(&end, "--set");
	add_argument(&end, "listen=");
	for (size_t i = 0; i < n_settings; i++) {
		add_argument(&end, "--set");
		add_argument(&end, "%s", settings[i]);
	}
	return end == line->argv + n_arguments ? 0 : -ENOMEM;
}

/* An empty one: what the machine's own daemon is told is not for this one. */
static int make_config(const struct run_tree *tree)
{
	char path[RUN_TREE_PATH_SIZE];
	int fd = open(run_tree_path(tree, "conf/zooparalleld.conf", path),
		      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, LOG_MODE);

	if (fd < 0) {
		return -errno;
	}
	fd_close(fd);
	return 0;
}

static void become_daemon(const struct command_line *line, pid_t parent, int lock_fd)
{
	sigset_t none;
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int log_fd = open(line->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_MODE);

	(void)fcntl(lock_fd, F_SETFD, 0); /* the tree is in use for as long as we live */
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0) {
		_exit(EXIT_NO_EXEC);
	}
	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execv(line->program, line->argv);
	_exit(EXIT_NO_EXEC);
}

int run_daemon_start(const struct run_tree *tree, const char *data_root, char *const *settings,
		     size_t n_settings, struct run_daemon *ret_daemon)
{
	CLEANUP(command_line_deinit) struct command_line line = {0};
	CLEANUP(run_daemon_deinit) struct run_daemon daemon = RUN_DAEMON_INIT;
	pid_t self = getpid();
	int r = make_command_line(tree, data_root, settings, n_settings, &line);

	/* Whose service we may be is not to hear from this daemon. */
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	r = r < 0 ? r : make_config(tree);
	if (r < 0) {
		return r;
	}
	daemon.pid = fork();
	if (daemon.pid < 0) {
		daemon.pid = 0;
		return -errno;
	}
	if (daemon.pid == 0) {
		become_daemon(&line, self, tree->lock_fd);
	}
	daemon.pid_fd = process_pidfd_open(daemon.pid);
	if (daemon.pid_fd < 0) {
		return daemon.pid_fd;
	}
	*ret_daemon = daemon;
	daemon = RUN_DAEMON_INIT;
	return 0;
}

void run_daemon_kill(const struct run_daemon *daemon, int signal_number)
{
	if (daemon->pid > 0) {
		(void)kill(daemon->pid, signal_number);
	}
}

void run_daemon_reap(struct run_daemon *daemon)
{
	while (daemon->pid > 0 && waitpid(daemon->pid, &daemon->status, 0) < 0 && errno == EINTR) {
	}
	daemon->pid = 0;
}

void run_daemon_deinit(struct run_daemon *daemon)
{
	run_daemon_kill(daemon, SIGKILL);
	run_daemon_reap(daemon);
	daemon->pid_fd = fd_close(daemon->pid_fd);
}
