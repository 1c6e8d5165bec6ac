/* SPDX-License-Identifier: MIT */
/*
 * The selection is a job's ID, not a line: the order changes with every look, and what Enter opens
 * must be what stood under the bar. Only when its job is gone the bar stays where it was.
 */
#include "daemon/ctl/top_view.h"

#include <stdio.h>
#include <string.h>

#include "common/util/buf.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/bar.h"
#include "daemon/ctl/summary.h"
#include "daemon/ctl/text.h"
#include "daemon/ctl/top_text.h"

/* Header, titles above the list; the line of keys below it. */
enum { LINE_TITLES = TOP_HEADER_LINES, LINE_LIST, LINES_AROUND = LINE_LIST + 1 };

static const char *const help_lines[] = {
	"up, down, j, k, PgUp, PgDn, g, G   select a job",
	"Enter                              its workers, and back",
	"n s r t e m p a                    sort by name, state, rows/s, rows, rejects,",
	"                                   memory, progress, age",
	"R                                  reverse the order",
	"f                                  next state only, or all of them again",
	"/                                  jobs whose name has this in it; Enter ends it",
	"+ -                                look more often, or less",
	"h, ?                               this page, and back",
	"q                                  quit",
};

#define INTERVAL_MIN_NS (100 * INT64_C(1000000))
#define INTERVAL_MAX_NS (60 * INT64_C(1000000000))

void top_view_deinit(struct top_view *view)
{
	top_data_deinit(&view->data);
	json_decref(view->workers);
	view->workers = NULL;
}

/* The line of the job that was selected before. */
static void find_selected(struct top_view *view)
{
	for (size_t i = 0; i < view->data.n_jobs; i++) {
		if (str_equal(view->data.jobs[i].id, view->selected_id)) {
			view->selected = i;
			return;
		}
	}
}

static void select_job(struct top_view *view, size_t index)
{
	size_t n_jobs = view->data.n_jobs;

	view->selected = n_jobs ? MIN(index, n_jobs - 1) : 0;
	if (n_jobs) {
		(void)snprintf(view->selected_id, sizeof(view->selected_id), "%s",
			       view->data.jobs[view->selected].id);
	}
}

/* Its workers; a job that has ended has none. */
static void load_workers(struct top_view *view, struct api *api)
{
	CLEANUP(api_reply_deinit) struct api_reply reply = {0};
	CLEANUP(free_p) char *id = api_escape(view->selected_id);
	char target[256];

	json_decref(view->workers);
	view->workers = NULL;
	(void)snprintf(target, sizeof(target), "/api/v1/jobs/%s/workers", id ? id : "");
	if (api_get(api, target, TOP_TIMEOUT_NS, &reply) == 0 && reply.status == 200) {
		view->workers = json_incref(json_object_get(reply.body, "workers"));
	}
}

void top_view_load(struct top_view *view, struct api *api, const char *socket_path)
{
	top_data_load(&view->data, api, socket_path, &view->choice);
	find_selected(view);
	if (view->mode == TOP_MODE_WORKERS) {
		if (!view->data.error) {
			load_workers(view, api);
		}
		return;
	}
	select_job(view, view->selected);
}

/* all -> running -> pending -> completed -> failed -> aborted -> all */
static void next_state(struct top_choice *choice)
{
	static const enum job_state order[] = {
		JOB_STATE_RUNNING, JOB_STATE_PENDING, JOB_STATE_COMPLETED,
		JOB_STATE_FAILED,  JOB_STATE_ABORTED,
	};
	size_t next = 0;

	for (size_t i = 0; choice->has_state && i < ARRAY_SIZE(order); i++) {
		next = choice->state == order[i] ? i + 1 : next;
	}
	choice->has_state = next < ARRAY_SIZE(order);
	choice->state = choice->has_state ? order[next] : JOB_STATE_PENDING;
}

static enum top_wish type_name(struct top_view *view, int key)
{
	char *name = view->choice.name;
	size_t len = strlen(name);

	if (key == SCREEN_KEY_ENTER) {
		view->mode = TOP_MODE_JOBS;
	} else if (key == SCREEN_KEY_ESCAPE) {
		name[0] = '\0';
		view->mode = TOP_MODE_JOBS;
	} else if (key == SCREEN_KEY_BACKSPACE) {
		name[len ? len - 1 : 0] = '\0';
	} else if (key > ' ' && key < 0x7f && len + 1 < sizeof(view->choice.name)) {
		name[len] = (char)key;
		name[len + 1] = '\0';
	} else {
		return TOP_WISH_NONE;
	}
	return TOP_WISH_LOAD;
}

static size_t n_items(const struct top_view *view)
{
	return view->mode == TOP_MODE_WORKERS ? json_array_size(view->workers) : view->data.n_jobs;
}

/* The list's bar, or in the list of workers its first line. */
static void move_to(struct top_view *view, int64_t index)
{
	size_t last = n_items(view) ? n_items(view) - 1 : 0;
	size_t to = (size_t)MIN(MAX(index, INT64_C(0)), (int64_t)last);

	if (view->mode == TOP_MODE_WORKERS) {
		view->first = to;
	} else {
		select_job(view, to);
	}
}

static bool move(struct top_view *view, int key)
{
	int64_t at = (int64_t)(view->mode == TOP_MODE_WORKERS ? view->first : view->selected);
	int64_t page = (int64_t)MAX(view->n_lines, (size_t)1);

	switch (key) {
	case SCREEN_KEY_UP:
	case 'k':
		move_to(view, at - 1);
		return true;
	case SCREEN_KEY_DOWN:
	case 'j':
		move_to(view, at + 1);
		return true;
	case SCREEN_KEY_PAGE_UP:
		move_to(view, at - page);
		return true;
	case SCREEN_KEY_PAGE_DOWN:
	case ' ':
		move_to(view, at + page);
		return true;
	case SCREEN_KEY_HOME:
	case 'g':
		move_to(view, 0);
		return true;
	case SCREEN_KEY_END:
	case 'G':
		move_to(view, INT64_MAX);
		return true;
	default:
		return false;
	}
}

static bool choose_order(struct top_view *view, int key)
{
	for (int i = 0; i < TOP_N_KEYS; i++) {
		if (top_key_letter((enum top_key)i) == key) {
			view->choice.key = (enum top_key)i;
			view->choice.is_reversed = false;
			return true;
		}
	}
	if (key == 'R') {
		view->choice.is_reversed = !view->choice.is_reversed;
		return true;
	}
	return false;
}

/* The new order, without asking again. */
static void sort(struct top_view *view)
{
	view->data.n_jobs = top_data_choose(view->data.jobs, view->data.n_jobs, &view->choice);
	find_selected(view);
}

static void change_interval(struct top_view *view, int key)
{
	int64_t interval_ns = key == '+' ? view->interval_ns / 2 : view->interval_ns * 2;

	view->interval_ns = MIN(MAX(interval_ns, INTERVAL_MIN_NS), INTERVAL_MAX_NS);
}

static void open_or_close_workers(struct top_view *view)
{
	if (view->mode == TOP_MODE_WORKERS) {
		view->mode = TOP_MODE_JOBS;
	} else if (view->data.n_jobs) {
		json_decref(view->workers);
		view->workers = NULL;
		view->mode = TOP_MODE_WORKERS;
	}
	view->first = 0;
}

static enum top_wish take_command(struct top_view *view, int key)
{
	switch (key) {
	case 'q':
		return TOP_WISH_QUIT;
	case 'f':
		next_state(&view->choice);
		return TOP_WISH_LOAD;
	case '/':
		view->choice.name[0] = '\0';
		view->mode = TOP_MODE_NAME;
		return TOP_WISH_LOAD;
	case '+':
	case '-':
		change_interval(view, key);
		return TOP_WISH_NONE;
	case 'h':
	case '?':
		view->mode = TOP_MODE_HELP;
		return TOP_WISH_NONE;
	case SCREEN_KEY_ENTER:
	case SCREEN_KEY_RIGHT:
		open_or_close_workers(view);
		return TOP_WISH_LOAD;
	default:
		return TOP_WISH_NONE;
	}
}

enum top_wish top_view_key(struct top_view *view, int key)
{
	bool is_back = key == SCREEN_KEY_ESCAPE || key == SCREEN_KEY_LEFT ||
		       key == SCREEN_KEY_ENTER;

	if (view->mode == TOP_MODE_NAME) {
		return type_name(view, key);
	}
	if (view->mode == TOP_MODE_HELP) {
		view->mode = TOP_MODE_JOBS;
		return key == 'q' ? TOP_WISH_QUIT : TOP_WISH_NONE;
	}
	if (view->mode == TOP_MODE_WORKERS && is_back) {
		open_or_close_workers(view);
		return TOP_WISH_LOAD;
	}
	if (move(view, key)) {
		return TOP_WISH_NONE;
	}
	if (view->mode == TOP_MODE_JOBS && choose_order(view, key)) {
		sort(view);
		return TOP_WISH_NONE;
	}
	return view->mode == TOP_MODE_JOBS || key == 'q' ? take_command(view, key) : TOP_WISH_NONE;
}

/* Puts the lines of a text from a line of the screen on; the first `n_skip` are passed over. */
static size_t put_lines(struct screen *screen, size_t line, size_t end, const char *text,
			size_t n_skip)
{
	while (*text && line < end) {
		size_t len = strcspn(text, "\n");
		CLEANUP(free_p) char *one = strndup(text, len);

		if (n_skip > 0) {
			n_skip--;
		} else {
			screen_put_line(screen, line++, one ? one : "", STYLE_PLAIN, false);
		}
		text += len + (text[len] == '\n');
	}
	return line;
}

/* The lines of the jobs from view->first on, each in its state's colour. */
static size_t put_jobs(struct top_view *view, struct screen *screen, const char *text, size_t end)
{
	size_t line = LINE_TITLES;

	for (size_t i = 0; *text && line < end; i++) {
		size_t len = strcspn(text, "\n");
		CLEANUP(free_p) char *one = strndup(text, len);
		size_t job = i - 1; /* after the titles */

		if (i == 0) {
			screen_put_line(screen, line++, one ? one : "", STYLE_PLAIN, true);
		} else if (job >= view->first) {
			screen_put_line(screen, line++, one ? one : "",
					style_of_state(view->data.jobs[job].state),
					job == view->selected);
		}
		text += len + (text[len] == '\n');
	}
	return line;
}

/* The bar in sight, and no empty lines where there are jobs to show. */
static void scroll_to_selected(struct top_view *view)
{
	size_t n_lines = MAX(view->n_lines, (size_t)1);
	size_t n_jobs = view->data.n_jobs;

	view->first = MIN(view->first, view->selected);
	if (view->selected >= view->first + n_lines) {
		view->first = view->selected - n_lines + 1;
	}
	if (n_jobs >= n_lines) {
		view->first = MIN(view->first, n_jobs - n_lines);
	} else {
		view->first = 0;
	}
}

static size_t draw_jobs(struct top_view *view, struct screen *screen, size_t end, size_t width)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	view->n_lines = end > LINE_LIST ? end - LINE_LIST : 0;
	scroll_to_selected(view);
	if (view->data.error || top_text_add_jobs(&text, &view->data, width, false) < 0 ||
	    !buf_terminated(&text)) {
		return LINE_TITLES;
	}
	return put_jobs(view, screen, text.data, end);
}

/* How it stands in a line; for a job that has ended, how. */
static void add_job_lines(struct buf *out, const struct top_view *view, size_t width)
{
	const struct job_info *job = NULL;

	if (view->selected < view->data.n_jobs &&
	    str_equal(view->data.jobs[view->selected].id, view->selected_id)) {
		job = &view->data.jobs[view->selected];
	}
	if (!job) {
		text_add_clean(out, view->selected_id);
		buf_add_str(out, " is not among the jobs any more");
	} else if (job_state_is_final(job->state)) {
		summary_add_line(out, job);
		out->len -= out->len > 0; /* its line end */
	} else {
		bar_add(out, job, width);
	}
	buf_add_str(out, "\n\n");
}

static size_t draw_workers(struct top_view *view, struct screen *screen, size_t end, size_t width)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(buf_deinit) struct buf table = BUF_INIT;
	size_t line = LINE_TITLES;
	const char *titles_end;

	if (view->data.error) {
		return line;
	}
	add_job_lines(&text, view, width);
	if (buf_terminated(&text)) {
		line = put_lines(screen, line, end, text.data, 0);
	}
	if (top_text_add_workers(&table, view->workers, width) < 0 || !buf_terminated(&table)) {
		return line;
	}
	view->n_lines = end > line + 1 ? end - line - 1 : 0;
	titles_end = strchr(table.data, '\n');
	if (titles_end) {
		CLEANUP(free_p)
		char *titles = strndup(table.data, (size_t)(titles_end - table.data));

		screen_put_line(screen, line++, titles ? titles : "", STYLE_PLAIN, true);
		line = put_lines(screen, line, end, titles_end + 1, view->first);
	}
	return line;
}

static size_t draw_help(struct screen *screen, size_t end)
{
	size_t line = LINE_TITLES;

	for (size_t i = 0; i < ARRAY_SIZE(help_lines) && line < end; i++) {
		screen_put_line(screen, line++, help_lines[i], STYLE_PLAIN, false);
	}
	return line;
}

static void add_footer(struct buf *out, const struct top_view *view)
{
	char interval[NUM_TEXT_SIZE];

	if (view->mode == TOP_MODE_NAME) {
		buf_printf(out, "name has: %s_", view->choice.name);
		return;
	}
	/* First of all how to get out: a narrow screen cuts the end off. */
	buf_add_str(out, view->mode == TOP_MODE_WORKERS ? "q quit  Enter back"
							: "q quit  h help  Enter workers");
	buf_printf(out, "  by %s%s", top_key_name(view->choice.key),
		   view->choice.is_reversed ? " reversed" : "");
	buf_printf(out, "  %s",
		   view->choice.has_state ? job_state_name(view->choice.state) : "all states");
	if (view->choice.name[0]) {
		buf_printf(out, "  name has \"%s\"", view->choice.name);
	}
	buf_printf(out, "  every %s", num_format_duration_ns(interval, view->interval_ns));
	if (view->data.is_partial) {
		buf_add_str(out, "  older jobs are not shown");
	}
}

static void draw_header(const struct top_view *view, struct screen *screen, size_t width)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	size_t line = 0;

	top_text_add_header(&text, &view->data, width);
	for (const char *at = buf_terminated(&text); at && *at; line++) {
		size_t len = strcspn(at, "\n");
		CLEANUP(free_p) char *one = strndup(at, len);

		screen_put_line(screen, line, one ? one : "",
				view->data.error ? STYLE_BAD : STYLE_PLAIN, false);
		at += len + 1;
	}
}

void top_view_draw(struct top_view *view, struct screen *screen)
{
	CLEANUP(buf_deinit) struct buf footer = BUF_INIT;
	size_t n_lines, width, line, end;

	screen_size(screen, &n_lines, &width);
	end = n_lines > LINES_AROUND ? n_lines - 1 : n_lines;
	draw_header(view, screen, width);
	switch (view->mode) {
	case TOP_MODE_HELP:
		line = draw_help(screen, end);
		break;
	case TOP_MODE_WORKERS:
		line = draw_workers(view, screen, end, width);
		break;
	default:
		line = draw_jobs(view, screen, end, width);
	}
	while (line < end) {
		screen_put_line(screen, line++, "", STYLE_PLAIN, false);
	}
	add_footer(&footer, view);
	if (end < n_lines && buf_terminated(&footer)) {
		screen_put_line(screen, end, footer.data, STYLE_PLAIN, true);
	}
	screen_flush(screen);
}
