/* SPDX-License-Identifier: MIT */
/* Lenient on purpose: a daemon of another version may leave out or add members. */
#include "daemon/ctl/job_info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util/clock.h"

const char *job_info_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

double job_info_number(const json_t *object, const char *key, double fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : fallback;
}

int64_t job_info_integer(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : 0;
}

/* Seconds since 1970, which are told to the millisecond; 0 if there is no such time. */
static int64_t time_ns(const json_t *json, const char *key)
{
	double seconds = job_info_number(json, key, 0);

	return seconds > 0 && seconds < 9e9 ? (int64_t)(seconds * 1000 + 0.5) * CLOCK_NS_PER_MS : 0;
}

/* A result.json has the two ends of it instead. */
static double duration_seconds(const json_t *json)
{
	int64_t started_ns = job_info_integer(json, "started_at_ns");
	int64_t finished_ns = job_info_integer(json, "finished_at_ns");
	double difference = started_ns > 0 && finished_ns > started_ns
				    ? (double)(finished_ns - started_ns) / (double)CLOCK_NS_PER_SEC
				    : 0;

	return job_info_number(json, "duration_seconds", difference);
}

int job_info_read(const json_t *json, struct job_info *ret_info)
{
	struct job_info info = {
		.id = job_info_text(json, "id"),
		.name = job_info_text(json, "name"),
		.reason = job_info_text(json, "reason"),
		.message = job_info_text(json, "message"),
		.phase = job_info_text(json, "phase"),
		.total_processed = job_info_integer(json, "total_processed"),
		.success_count = job_info_integer(json, "success_count"),
		.error_count = job_info_integer(json, "error_count"),
		.filtered = job_info_integer(json, "filtered"),
		.ram_bytes = job_info_integer(json, "ram_bytes"),
		.items_per_second = job_info_number(json, "items_per_second", 0),
		.progress = job_info_number(json, "progress", -1),
		.eta_seconds = job_info_number(json, "eta_seconds", -1),
		.duration_seconds = duration_seconds(json),
		.submitted_at_ns = time_ns(json, "submitted_at_seconds"),
		.json = json,
	};

	if (!info.id[0] || job_state_parse(job_info_text(json, "state"), &info.state) < 0) {
		return -EPROTO;
	}
	*ret_info = info;
	return 0;
}

enum job_reason job_info_reason(const struct job_info *info)
{
	enum job_reason reason;

	return job_reason_parse(info->reason, &reason) == 0 ? reason : JOB_REASON_INTERNAL;
}
