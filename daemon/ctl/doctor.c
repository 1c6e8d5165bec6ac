/* SPDX-License-Identifier: MIT */
/*
 * Findings are JSON from the start: what people read and what scripts read can't differ. A check
 * that finds nothing wrong is told too, so that its silence never means "not looked at".
 */
#include "daemon/ctl/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/util/buf.h"
#include "common/util/str.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/style.h"
#include "daemon/ctl/text.h"

enum { MESSAGE_SIZE = 1024, LABEL_COLUMNS = 8 };

static const struct {
	const char *name;
	enum style style;
} levels[DOCTOR_N_LEVELS] = {
	[DOCTOR_OK] = {"ok", STYLE_GOOD},
	[DOCTOR_WARNING] = {"warning", STYLE_WARNING},
	[DOCTOR_PROBLEM] = {"problem", STYLE_BAD},
};

/* What is no UTF-8 is replaced: JSON can't hold it. */
static json_t *clean_string(const char *text)
{
	CLEANUP(buf_deinit) struct buf clean = BUF_INIT;

	if (!text) {
		return json_null();
	}
	text_add_clean(&clean, text);
	return buf_terminated(&clean) ? json_string(clean.data) : NULL;
}

void doctor_add(struct doctor *doctor, const struct doctor_finding *finding, const char *format,
		...)
{
	char message[MESSAGE_SIZE];
	json_t *object;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	object = json_pack("{s:s, s:s, s:o, s:o, s:o}", "check", finding->check, "level",
			   levels[finding->level].name, "subject", clean_string(finding->subject),
			   "message", clean_string(message), "advice",
			   clean_string(finding->advice));
	doctor->has_problem = doctor->has_problem || finding->level == DOCTOR_PROBLEM;
	if (json_array_append_new(doctor->findings, object) < 0) {
		doctor->has_problem = true; /* no memory: the list is not whole */
	}
}

static enum doctor_level level_of(const json_t *finding)
{
	const char *name = job_info_text(finding, "level");
	enum doctor_level level = DOCTOR_OK;

	while (level < DOCTOR_PROBLEM && !str_equal(name, levels[level].name)) {
		level++;
	}
	return level;
}

static void add_line(struct buf *out, const json_t *finding, bool has_color)
{
	const char *subject = job_info_text(finding, "subject");
	const char *advice = job_info_text(finding, "advice");
	enum doctor_level level = level_of(finding);
	enum style style = has_color ? levels[level].style : STYLE_PLAIN;

	buf_printf(out, "%s%-*s%s %s: ", style_begin(style), LABEL_COLUMNS, levels[level].name,
		   style_end(style), job_info_text(finding, "check"));
	if (subject[0]) {
		buf_printf(out, "%s: ", subject);
	}
	buf_printf(out, "%s\n", job_info_text(finding, "message"));
	if (advice[0]) {
		buf_printf(out, "%*s try: %s\n", LABEL_COLUMNS, "", advice);
	}
}

int doctor_render(const struct doctor *doctor, enum doctor_level least, bool has_color,
		  struct buf *out)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(doctor->findings, i, finding)
	{
		if (level_of(finding) >= least) {
			add_line(out, finding, has_color);
		}
	}
	return buf_error(out);
}

const char *doctor_config_text(const struct doctor *doctor, const char *key)
{
	return json_string_value(json_object_get(doctor->config, key));
}

bool doctor_config_path(const struct doctor *doctor, const char *key, const char *name,
			char *ret_path, size_t size)
{
	const char *directory = doctor_config_text(doctor, key);
	int len = directory ? snprintf(ret_path, size, "%s/%s", directory, name) : -1;

	return len >= 0 && (size_t)len < size;
}
