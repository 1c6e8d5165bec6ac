/* SPDX-License-Identifier: MIT */
/*
 * The screen's loop. Keys, signals and the clock are awaited in one poll(2), so whatever happens is
 * drawn at once and the terminal is given back in one place, however it ends. A signal that asks
 * for our end is raised again after that, for the shell to see; SIGINT is how people leave a top.
 */
#include "daemon/ctl/top_live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/macro.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/top_screen.h"
#include "daemon/ctl/top_view.h"

static const int signals[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGINT,
			      SIGTERM,	SIGHUP,	 SIGQUIT, SIGPIPE};

struct live {
	const struct ctl *ctl;
	struct api *api;
	struct screen *screen;
	struct top_view view;
	int signal_fd;
	uint64_t n_left; /* looks; UINT64_MAX: no end */
	int64_t next_look_ns;
	int signal; /* that ended it; 0: none */
	bool is_over;
};

static sigset_t signal_set(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaddset(&set, signals[i]);
	}
	return set;
}

static void look(struct live *live)
{
	top_view_load(&live->view, live->api, live->ctl->socket_path);
	live->next_look_ns = clock_monotonic_ns() + live->view.interval_ns;
	if (live->n_left != UINT64_MAX) {
		live->n_left--;
	}
}

static void take_signals(struct live *live)
{
	struct signalfd_siginfo info;

	while (read(live->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch ((int)info.ssi_signo) {
		case SIGWINCH:
		case SIGCONT:
			screen_refresh(live->screen);
			break;
		case SIGTSTP:
			screen_stop(live->screen);
			live->next_look_ns = 0; /* what was shown is old */
			break;
		case SIGINT:
			live->is_over = true;
			break;
		case SIGPIPE: /* of a write to the daemon or the terminal, which says so itself */
			break;
		default:
			live->signal = (int)info.ssi_signo;
			live->is_over = true;
		}
	}
}

static void take_keys(struct live *live)
{
	int key;

	while (!live->is_over && (key = screen_read_key(live->screen)) != SCREEN_KEY_NONE) {
		enum top_wish wish = key == SCREEN_KEY_CLOSED ? TOP_WISH_QUIT
							      : top_view_key(&live->view, key);

		live->is_over = wish == TOP_WISH_QUIT;
		if (wish == TOP_WISH_LOAD) {
			top_view_load(&live->view, live->api, live->ctl->socket_path);
		}
	}
	/* The interval may have become shorter. */
	live->next_look_ns = MIN(live->next_look_ns, clock_monotonic_ns() + live->view.interval_ns);
}

static int run(struct live *live)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = live->signal_fd, .events = POLLIN},
	};

	look(live);
	while (!live->is_over) {
		int64_t wait_ns = MAX(live->next_look_ns - clock_monotonic_ns(), INT64_C(0));

		top_view_draw(&live->view, live->screen);
		if (poll(fds, ARRAY_SIZE(fds),
			 (int)((wait_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS)) < 0 &&
		    errno != EINTR) {
			return -errno;
		}
		take_signals(live);
		take_keys(live);
		if (live->is_over || clock_monotonic_ns() < live->next_look_ns) {
			continue;
		}
		if (live->n_left == 0) {
			break;
		}
		look(live);
	}
	return 0;
}

/* By the signal's own action; comes back only if that is not to end us. */
static void die_of(int signal_number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal_number);
	(void)sigaction(signal_number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	(void)raise(signal_number);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int finish(struct live *live, int result)
{
	int code = live->view.data.error ? (int)client_exit_of_error(live->view.data.error)
					 : CTL_EXIT_COMPLETED;

	if (live->signal) {
		die_of(live->signal);
	}
	if (result < 0) {
		errno = -result;
		term_error("cannot watch the terminal: %m");
		return CTL_EXIT_FAILED;
	}
	/* Who leaves it by a key has seen what is wrong. */
	return live->is_over ? CTL_EXIT_COMPLETED : code;
}

int top_live(const struct ctl *ctl, struct api *api, const struct top_options *options)
{
	sigset_t set = signal_set();
	sigset_t old_set;
	CLEANUP(fd_closep) int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct live live = {
		.ctl = ctl,
		.api = api,
		.signal_fd = signal_fd,
		.n_left = options->n_looks ? options->n_looks : UINT64_MAX,
		.view = {.choice = options->choice, .interval_ns = options->interval_ns},
	};
	int r;

	if (signal_fd < 0 || sigprocmask(SIG_BLOCK, &set, &old_set) < 0) {
		return TOP_LIVE_NO_SCREEN;
	}
	live.screen = screen_open(term_has_color(STDOUT_FILENO, ctl->color));
	if (!live.screen) {
		(void)sigprocmask(SIG_SETMASK, &old_set, NULL);
		return TOP_LIVE_NO_SCREEN;
	}
	r = run(&live);
	live.screen = screen_close(live.screen);
	r = finish(&live, r);
	top_view_deinit(&live.view);
	return r;
}
