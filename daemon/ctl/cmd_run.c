/* SPDX-License-Identifier: MIT */
/*
 * `zooparallel run`: a daemon of its own on a private tree, watched until its one job has ended.
 * Everything that is made here is undone by the scope's end, in the order: daemon, tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/macro.h"
#include "common/util/str.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/progress.h"
#include "daemon/ctl/run_daemon.h"
#include "daemon/ctl/run_leftovers.h"
#include "daemon/ctl/run_report.h"
#include "daemon/ctl/run_tree.h"
#include "daemon/ctl/run_watch.h"
#include "daemon/ctl/spec_file.h"
#include "daemon/ctl/term.h"

/* zooparalleld takes 64 settings, some of which are ours. */
enum { SETTINGS_MAX = 48 };

struct run_options {
	const char *data_root; /* NULL: the current folder */
	char *settings[SETTINGS_MAX];
	size_t n_settings;
	bool strict;
	bool is_quiet;
	int64_t timeout_ns;
};

/* Settings that `run` makes itself, and what to use instead. */
static const struct {
	const char *prefix, *advice;
} own_settings[] = {
	{"data_roots=", "use --data-root"},
	{"spool_dir=", "run has a private one"},
	{"state_dir=", "run has a private one"},
	{"run_dir=", "run has a private one"},
};

static int add_setting(const struct ctl *ctl, struct run_options *options, char *setting)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_settings); i++) {
		if (str_starts_with(setting, own_settings[i].prefix)) {
			term_error("run: --set %s: %s", setting, own_settings[i].advice);
			return CTL_OPTION_BAD;
		}
	}
	if (!strchr(setting, '=') || options->n_settings == SETTINGS_MAX) {
		ctl_usage_error(ctl, "--set wants KEY=VALUE");
		return CTL_OPTION_BAD;
	}
	options->settings[options->n_settings++] = setting;
	return CTL_OPTION_END;
}

static int take_option(const struct ctl *ctl, struct run_options *options, int option)
{
	switch (option) {
	case 'd':
		options->data_root = optarg;
		return CTL_OPTION_END;
	case 'k':
		return add_setting(ctl, options, optarg);
	case 's':
		options->strict = true;
		return CTL_OPTION_END;
	case 'q':
		options->is_quiet = true;
		return CTL_OPTION_END;
	case 't':
		return ctl_option_timeout(ctl, &options->timeout_ns);
	default:
		return option;
	}
}

static int parse_options(struct ctl *ctl, int argc, char **argv, struct run_options *options)
{
	static const struct option table[] = {
		{"data-root", required_argument, NULL, 'd'}, {"set", required_argument, NULL, 'k'},
		{"strict", no_argument, NULL, 's'},	     {"quiet", no_argument, NULL, 'q'},
		{"timeout", required_argument, NULL, 't'},   {0},
	};
	int option;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		option = take_option(ctl, options, option);
		if (option != CTL_OPTION_END) {
			return option;
		}
	}
	return CTL_OPTION_END;
}

/* Absolute and resolved; NULL after a complaint. */
/* With errno set if not. */
static bool is_usable_folder(const char *path)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && access(path, R_OK | X_OK) == 0;
}

static char *resolve_data_root(const char *data_root)
{
	char *path = realpath(data_root ? data_root : ".", NULL);
	size_t len = path ? strlen(path) : 0;

	if (!path) {
		term_error("data root %s: %m", data_root ? data_root : ".");
		return NULL;
	}
	if (!is_usable_folder(path)) {
		term_error("data root %s: %m; name a folder that you may read with --data-root",
			   path);
		free(path);
		return NULL;
	}
	/* `--set data_roots=` is a list: commas part it, blanks around an item are dropped. */
	if (strchr(path, ',') || path[len - 1] == ' ' || path[len - 1] == '\t') {
		term_error("data root %s: a comma, or a blank at the end, can't be passed on",
			   path);
		free(path);
		return NULL;
	}
	return path;
}

static int make_tree(const char *data_root, struct run_tree *ret_tree)
{
	int r;

	run_tree_sweep();
	r = run_tree_make(data_root, ret_tree);

	if (r == -EXDEV) {
		term_error(
			"data root %s holds every folder for temporary files; choose a smaller one "
			"with --data-root, or a folder outside of it with TMPDIR",
			data_root);
		return CTL_EXIT_USAGE;
	}
	if (r < 0) {
		term_error("no folder for temporary files: %s (TMPDIR names one)", strerror(-r));
		return CTL_EXIT_FAILED;
	}
	return CTL_EXIT_COMPLETED;
}

static int start_daemon(const struct run_tree *tree, const struct spec_file *spec,
			const char *data_root, const struct run_options *options,
			struct run_daemon *ret_daemon)
{
	int r = run_tree_drop_spec(tree, spec_file_base_name(spec), spec->text, spec->len);

	if (r < 0) {
		term_error("cannot write into %s: %s", tree->path, strerror(-r));
		return CTL_EXIT_FAILED;
	}
	r = run_daemon_start(tree, data_root, options->settings, options->n_settings, ret_daemon);
	if (r == -ENOENT) {
		term_error("there is no zooparalleld beside this program");
		return CTL_EXIT_UNREACHABLE;
	}
	if (r < 0) {
		term_error("cannot start zooparalleld: %s", strerror(-r));
		return CTL_EXIT_UNREACHABLE;
	}
	return CTL_EXIT_COMPLETED;
}

static int64_t deadline_after(int64_t timeout_ns)
{
	int64_t now_ns = clock_monotonic_ns();

	return timeout_ns < INT64_MAX - now_ns ? now_ns + timeout_ns : INT64_MAX;
}

/* From here on signals are ours, so that nothing is left behind. */
static int run(const struct ctl *ctl, const struct spec_file *spec, const char *data_root,
	       const struct run_options *options)
{
	CLEANUP(fd_closep) int signal_fd = run_watch_open_signals();
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;
	CLEANUP(run_daemon_deinit) struct run_daemon daemon = RUN_DAEMON_INIT;
	struct progress progress = progress_init(options->is_quiet);
	char socket_path[RUN_TREE_PATH_SIZE];
	struct run_watch watch = {
		.daemon = &daemon,
		.progress = &progress,
		.socket_path = socket_path,
		.signal_fd = signal_fd,
		.deadline_ns = deadline_after(options->timeout_ns),
	};
	int code, end = signal_fd;

	if (end >= 0) {
		code = make_tree(data_root, &tree);
		code = code ? code : start_daemon(&tree, spec, data_root, options, &daemon);
		if (code) {
			return code;
		}
		run_tree_path(&tree, "run/control.sock", socket_path);
		end = run_watch(&watch);
		run_daemon_deinit(&daemon);
		run_leftovers_remove(&tree, data_root, spec);
	}
	if (end < 0) {
		term_error("cannot watch the daemon: %s", strerror(-end));
		return CTL_EXIT_FAILED;
	}
	return run_report(ctl, &(struct run_report){
				       .tree = &tree,
				       .spec = spec,
				       .data_root = options->data_root,
				       .end = (enum run_end)end,
				       .daemon_status = daemon.status,
				       .is_strict = options->strict,
				       .is_quiet = options->is_quiet,
			       });
}

int cmd_run(struct ctl *ctl, int argc, char **argv)
{
	struct run_options options = {.timeout_ns = INT64_MAX};
	CLEANUP(spec_file_deinit) struct spec_file spec = SPEC_FILE_INIT;
	CLEANUP(free_p) char *data_root = NULL;
	int option = parse_options(ctl, argc, argv, &options);

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (argc - optind != 1) {
		return ctl_usage_error(ctl, "one spec, please");
	}
	if (spec_file_load_or_complain(argv[optind], &spec)) {
		return CTL_EXIT_USAGE;
	}
	data_root = resolve_data_root(options.data_root);
	return data_root ? run(ctl, &spec, data_root, &options) : CTL_EXIT_USAGE;
}
