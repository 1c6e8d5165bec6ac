/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' counters must not go back, but results are removed after a while. So each result is
 * added, once, to a base that outlives it; the base knows the last finish sequence inside it, and
 * a result up to that is not added again, however often the daemon starts.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/model/job_id.h"
#include "common/util/clock.h"
#include "common/util/str.h"
#include "daemon/sched/job_store.h"
#include "daemon/sched/record.h"

#define OTHER_NAME "_other"

#define FIELD(kind, member) RECORD_FIELD(struct name_totals_view, kind, member, false)
static const struct record_field name_fields[] = {
	FIELD(RECORD_COUNT, rows_processed),
	FIELD(RECORD_COUNT, rows_success),
	FIELD(RECORD_COUNT, rows_error),
	FIELD(RECORD_COUNT, rows_filtered),
	FIELD(RECORD_COUNT, input_bytes),
	FIELD(RECORD_COUNT, output_bytes),
	FIELD(RECORD_COUNT, jobs_completed),
	FIELD(RECORD_COUNT, jobs_failed),
	FIELD(RECORD_COUNT, jobs_aborted),
	FIELD(RECORD_DOUBLE, last_success_timestamp_seconds),
	FIELD(RECORD_DOUBLE, last_failure_timestamp_seconds),
	FIELD(RECORD_COUNT, last_rows_processed),
	FIELD(RECORD_DOUBLE, last_duration_seconds),
	FIELD(RECORD_DOUBLE, last_queue_seconds),
};
#undef FIELD

#define FIELD(kind, member) RECORD_FIELD(struct totals_view, kind, member, false)
static const struct record_field totals_fields[] = {
	RECORD_WORKER_EXITS(struct totals_view),
	FIELD(RECORD_COUNT, worker_restarts),
	FIELD(RECORD_COUNT, stats_files_invalid),
	FIELD(RECORD_DOUBLE, duration_sum),
};
#undef FIELD

/* The views hold pointers to const for their readers; the base owns what they point to. */
static struct name_totals_view *owned_names(const struct totals_view *totals)
{
	struct name_totals_view *names;
	memcpy(&names, &totals->names, sizeof(void *));
	return names;
}

static void free_const(const char *text)
{
	char *owned;
	memcpy(&owned, &text, sizeof(owned));
	free(owned);
}

void counter_base_free(struct counter_base *base)
{
	if (!base) {
		return;
	}
	for (size_t i = 0; i < base->totals.n_names; i++) {
		free_const(base->totals.names[i].name);
	}
	free(owned_names(&base->totals));
	free(base);
}

static void counter_base_freep(struct counter_base **base)
{
	counter_base_free(*base);
}

static struct name_totals_view *find_name(const struct totals_view *totals, const char *name)
{
	struct name_totals_view *names = owned_names(totals);
	for (size_t i = 0; i < totals->n_names; i++) {
		if (str_equal(names[i].name, name)) {
			return &names[i];
		}
	}
	return NULL;
}

struct name_totals_view *totals_of(struct totals_view *totals, const char *name)
{
	struct name_totals_view *found = find_name(totals, name);
	if (!found && totals->n_names >= NAME_TOTALS_MAX - 1) {
		name = OTHER_NAME; /* the last place is kept for it */
		found = find_name(totals, name);
	}
	if (found) {
		return found;
	}
	char *copy = strdup(name);
	struct name_totals_view *names = copy ? reallocarray(owned_names(totals),
							     totals->n_names + 1, sizeof(*names))
					      : NULL;
	if (!names) {
		free(copy);
		return NULL;
	}
	totals->names = names;
	found = &names[totals->n_names++];
	*found = (struct name_totals_view){.name = copy};
	return found;
}

static size_t duration_bucket(double seconds)
{
	static const double bounds[JOB_DURATION_N_BOUNDS] = JOB_DURATION_BOUNDS;
	size_t i = 0;
	while (i < JOB_DURATION_N_BOUNDS && seconds > bounds[i]) {
		i++;
	}
	return i;
}

/* Times come from a clock that may jump: a distance below 0 counts as 0. */
static double seconds_between(int64_t from_ns, int64_t to_ns)
{
	return from_ns == 0 || to_ns < from_ns
		       ? 0
		       : (double)(to_ns - from_ns) / (double)CLOCK_NS_PER_SEC;
}

static int64_t *outcome_of(struct name_totals_view *name, enum job_state state)
{
	return state == JOB_STATE_COMPLETED ? &name->jobs_completed
	       : state == JOB_STATE_FAILED  ? &name->jobs_failed
					    : &name->jobs_aborted;
}

/* The numbers come from a file: their sum stops at the top instead of wrapping. */
static void add(int64_t *sum, int64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum)) {
		*sum = INT64_MAX;
	}
}

static void fold_name(struct name_totals_view *name, const struct job_result *result)
{
	add(&name->rows_processed, result->total_processed);
	add(&name->rows_success, result->success_count);
	add(&name->rows_error, result->error_count);
	add(&name->rows_filtered, result->filtered);
	add(&name->input_bytes, result->input_bytes);
	add(&name->output_bytes, result->output_bytes);
	for (size_t code = 0; code < REJECT_N_CODES; code++) {
		add(&name->rejects[code], result->rejects[code]);
	}
	double finished_at = (double)result->finished_at_ns / (double)CLOCK_NS_PER_SEC;
	(*outcome_of(name, result->state))++;
	if (result->state == JOB_STATE_COMPLETED) {
		name->last_success_timestamp_seconds = finished_at;
	} else if (result->state == JOB_STATE_FAILED) {
		name->last_failure_timestamp_seconds = finished_at;
	}
	name->last_rows_processed = result->total_processed;
	name->last_duration_seconds = seconds_between(result->started_at_ns,
						      result->finished_at_ns);
	name->last_queue_seconds = seconds_between(result->submitted_at_ns, result->started_at_ns);
}

static void fold_totals(struct totals_view *totals, const struct job_result *result)
{
	double seconds = seconds_between(result->started_at_ns, result->finished_at_ns);
	totals->duration_counts[duration_bucket(seconds)]++;
	totals->duration_sum += seconds;
	for (int cause = 0; cause < WORKER_N_CAUSES; cause++) {
		add(&totals->worker_exits[cause], result->worker_exits[cause]);
	}
	add(&totals->worker_restarts, result->n_worker_restarts);
	add(&totals->stats_files_invalid, result->stats_files_invalid);
}

void totals_add_result(struct totals_view *totals, struct name_totals_view *name,
		       const struct job_result *result)
{
	fold_name(name, result);
	fold_totals(totals, result);
}

int counter_base_fold(struct counter_base *base, const struct job_result *result)
{
	if (result->finish_sequence <= base->finish_sequence) {
		return 0;
	}
	struct name_totals_view *name = totals_of(&base->totals, result->name);
	if (!name) {
		return -ENOMEM;
	}
	totals_add_result(&base->totals, name, result);
	base->finish_sequence = result->finish_sequence;
	return 0;
}

static void render_name(const struct name_totals_view *name, struct buf *out)
{
	buf_add_str(out, "{\"name\":");
	buf_add_json_string(out, name->name, strlen(name->name));
	buf_add_char(out, ',');
	record_render(name_fields, ARRAY_SIZE(name_fields), name, out);
	buf_add_str(out, ",\"rejects\":");
	record_render_rejects(name->rejects, out);
	buf_add_char(out, '}');
}

void counter_base_render(const struct counter_base *base, struct buf *out)
{
	const struct totals_view *totals = &base->totals;
	buf_printf(out, "{\"version\":1,\"finish_sequence\":%lld,\"last_id\":\"%s\",",
		   (long long)base->finish_sequence, base->last_id);
	record_render(totals_fields, ARRAY_SIZE(totals_fields), totals, out);
	buf_add_str(out, ",\"duration_counts\":[");
	for (size_t i = 0; i < ARRAY_SIZE(totals->duration_counts); i++) {
		buf_printf(out, "%s%lld", i > 0 ? "," : "", (long long)totals->duration_counts[i]);
	}
	buf_add_str(out, "],\"names\":[");
	for (size_t i = 0; i < totals->n_names; i++) {
		buf_add_str(out, i > 0 ? "," : "");
		render_name(&totals->names[i], out);
	}
	buf_add_str(out, "]}\n");
}

static int parse_durations(const json_t *array, struct totals_view *totals)
{
	if (json_array_size(array) != ARRAY_SIZE(totals->duration_counts)) {
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(totals->duration_counts); i++) {
		const json_t *json = json_array_get(array, i);
		totals->duration_counts[i] = json_integer_value(json);
		if (!json_is_integer(json) || totals->duration_counts[i] < 0) {
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_name(const json_t *object, struct totals_view *totals)
{
	const char *text = json_string_value(json_object_get(object, "name"));
	if (!text || find_name(totals, text)) {
		return -EINVAL;
	}
	struct name_totals_view *name = totals_of(totals, text);
	if (!name) {
		return -ENOMEM;
	}
	int r = record_parse(name_fields, ARRAY_SIZE(name_fields), object, name);
	return r < 0 ? r : record_parse_rejects(json_object_get(object, "rejects"), name->rejects);
}

static int parse_names(const json_t *array, struct totals_view *totals)
{
	if (!json_is_array(array) || json_array_size(array) > NAME_TOTALS_MAX) {
		return -EINVAL;
	}
	for (size_t i = 0; i < json_array_size(array); i++) {
		int r = parse_name(json_array_get(array, i), totals);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int parse_head(const json_t *object, struct counter_base *base)
{
	const json_t *sequence = json_object_get(object, "finish_sequence");
	const char *last_id = json_string_value(json_object_get(object, "last_id"));
	if (!json_is_integer(sequence) || json_integer_value(sequence) < 0 || !last_id ||
	    (last_id[0] != '\0' && !job_id_is_valid(last_id))) {
		return -EINVAL;
	}
	base->finish_sequence = (uint64_t)json_integer_value(sequence);
	if (base->finish_sequence > JOB_RESULT_MAX_SEQUENCE) {
		return -EINVAL;
	}
	snprintf(base->last_id, sizeof(base->last_id), "%s", last_id);
	return record_parse(totals_fields, ARRAY_SIZE(totals_fields), object, &base->totals);
}

int counter_base_parse(const char *text, size_t len, struct counter_base **ret_base)
{
	CLEANUP(record_unrefp) json_t *object = NULL;
	CLEANUP(counter_base_freep) struct counter_base *base = calloc(1, sizeof(*base));
	int r = base ? record_load(text, len, &object) : -ENOMEM;
	if (r < 0) {
		return r;
	}
	r = parse_head(object, base);
	if (r == 0) {
		r = parse_durations(json_object_get(object, "duration_counts"), &base->totals);
	}
	if (r == 0) {
		r = parse_names(json_object_get(object, "names"), &base->totals);
	}
	if (r == 0) {
		*ret_base = TAKE_PTR(base);
	}
	return r;
}
