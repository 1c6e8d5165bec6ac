/* SPDX-License-Identifier: MIT */
/*
 * What a start finds on the disk. A file that can't be read or parsed counts as missing, never as
 * a reason not to start: the rest of the jobs has done nothing wrong. The order of loading is the
 * order of IDs, which is the order of submission.
 */
#include "daemon/sched/job_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/model/job_id.h"
#include "common/model/job_spec.h"
#include "common/util/atomic_file.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"
#include "daemon/sched/record.h"

#define MAX_RECORD_BYTES (4 * 1024 * 1024)
#define ID_LEN		 19

#define REQUIRED(kind, member) RECORD_FIELD(struct job_meta, kind, member, true)
static const struct record_field meta_fields[] = {
	REQUIRED(RECORD_STRING, id),
	REQUIRED(RECORD_STRING, file_name),
	REQUIRED(RECORD_U32, uid),
	REQUIRED(RECORD_COUNT, submitted_at_ns),
};
#undef REQUIRED

void job_meta_free(struct job_meta *meta)
{
	if (meta) {
		record_free_strings(meta_fields, ARRAY_SIZE(meta_fields), meta);
		free(meta);
	}
}

void job_meta_render(const struct job_meta *meta, struct buf *out)
{
	buf_add_str(out, "{\"version\":1,");
	record_render(meta_fields, ARRAY_SIZE(meta_fields), meta, out);
	buf_add_str(out, "}\n");
}

int job_meta_parse(const char *text, size_t len, struct job_meta **ret_meta)
{
	CLEANUP(record_unrefp) json_t *object = NULL;
	struct job_meta *meta = calloc(1, sizeof(*meta));
	int r = meta ? record_load(text, len, &object) : -ENOMEM;
	if (r == 0) {
		r = record_parse(meta_fields, ARRAY_SIZE(meta_fields), object, meta);
	}
	if (r == 0 && !job_id_is_valid(meta->id)) {
		r = -EINVAL;
	}
	if (r < 0) {
		job_meta_free(meta);
		return r;
	}
	*ret_meta = meta;
	return 0;
}

void stored_job_free(struct stored_job *job)
{
	if (!job) {
		return;
	}
	free(job->id);
	free(job->spec);
	free(job->receipt);
	job_meta_free(job->meta);
	job_result_free(job->result);
	commit_record_free(job->commit);
	free(job);
}

static void stored_job_freep(struct stored_job **job)
{
	stored_job_free(*job);
}

struct names {
	char **items;
	size_t n_items, capacity;
};

static void names_deinit(struct names *names)
{
	for (size_t i = 0; i < names->n_items; i++) {
		free(names->items[i]);
	}
	free(names->items);
}

static int names_add(struct names *names, const char *name)
{
	if (names->n_items == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 64;
		char **items = reallocarray(names->items, capacity, sizeof(*items));
		if (!items) {
			return -ENOMEM;
		}
		names->items = items;
		names->capacity = capacity;
	}
	char *copy = strdup(name);
	if (!copy) {
		return -ENOMEM;
	}
	names->items[names->n_items++] = copy;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The entries of a directory that begin with an ID, sorted. */
static int names_read(int dir_fd, struct names *names)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int r = -errno;
		fd_close(fd);
		return r;
	}
	struct dirent *entry;
	int r = 0;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		char id[ID_LEN + 1] = "";
		memcpy(id, entry->d_name, strnlen(entry->d_name, ID_LEN));
		r = job_id_is_valid(id) ? names_add(names, entry->d_name) : 0;
	}
	if (r == 0) {
		r = -errno;
	}
	closedir(dir);
	if (r == 0 && names->n_items > 0) {
		qsort(names->items, names->n_items, sizeof(*names->items), compare_names);
	}
	return r;
}

/* The receipt "ID.file_name", or NULL. */
static const char *find_receipt(const struct names *receipts, const char *id)
{
	size_t low = 0, high = receipts->n_items;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(receipts->items[middle], id) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	const char *found = low < receipts->n_items ? receipts->items[low] : "";
	return str_starts_with(found, id) && found[ID_LEN] == '.' && found[ID_LEN + 1] != '\0'
		       ? found
		       : NULL;
}

/* NULL and 0 if there is no such file, or none that can be used; else only -ENOMEM. */
static int read_text(int dir_fd, const char *name, size_t max_bytes, char **ret_text,
		     size_t *ret_len)
{
	struct buf text = BUF_INIT;
	CLEANUP(fd_closep)
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_read_all(fd, max_bytes, &text);
	*ret_len = text.len;
	*ret_text = r == 0 ? buf_take(&text) : NULL;
	if (r == 0 && !*ret_text) {
		r = -ENOMEM;
	}
	buf_deinit(&text);
	return r == -ENOMEM ? r : 0;
}

typedef int (*parse_fn)(const char *text, size_t len, void *ret_parsed);

static int parse_meta(const char *text, size_t len, void *ret_parsed)
{
	return job_meta_parse(text, len, ret_parsed);
}

static int parse_result(const char *text, size_t len, void *ret_parsed)
{
	return job_result_parse(text, len, ret_parsed);
}

static int parse_commit(const char *text, size_t len, void *ret_parsed)
{
	return commit_record_parse(text, len, ret_parsed);
}

static int read_record(int dir_fd, const char *name, parse_fn parse, void *ret_parsed)
{
	CLEANUP(free_p) char *text = NULL;
	size_t len = 0;
	int r = read_text(dir_fd, name, MAX_RECORD_BYTES, &text, &len);
	if (r == 0 && text) {
		r = parse(text, len, ret_parsed);
	}
	return r == -ENOMEM ? r : 0;
}

/* What meta.json would say: a claim that was cut off before it was written has left the receipt. */
static int meta_of_receipt(int active_dir_fd, const char *id, const char *receipt,
			   struct job_meta **ret_meta)
{
	struct stat st;
	if (fstatat(active_dir_fd, receipt, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return 0;
	}
	struct job_meta *meta = calloc(1, sizeof(*meta));
	if (!meta) {
		return -ENOMEM;
	}
	meta->id = strdup(id);
	meta->file_name = strdup(receipt + ID_LEN + 1);
	meta->uid = st.st_uid;
	meta->submitted_at_ns = st.st_ctim.tv_sec * CLOCK_NS_PER_SEC + st.st_ctim.tv_nsec;
	if (!meta->id || !meta->file_name) {
		job_meta_free(meta);
		return -ENOMEM;
	}
	*ret_meta = meta;
	return 0;
}

/* Records that tell of another job came here by some accident: they count as missing. */
static void drop_strangers(struct stored_job *job)
{
	if (job->meta && !str_equal(job->meta->id, job->id)) {
		job_meta_free(job->meta);
		job->meta = NULL;
	}
	if (job->result && !str_equal(job->result->id, job->id)) {
		job_result_free(job->result);
		job->result = NULL;
	}
	if (job->commit && !str_equal(job->commit->result->id, job->id)) {
		commit_record_free(job->commit);
		job->commit = NULL;
	}
}

static int read_spec(int dir_fd, struct stored_job *job)
{
	struct stat st;
	int r = read_text(dir_fd, "spec.json", JOB_SPEC_MAX_BYTES, &job->spec, &job->spec_len);
	job->is_spec_unreadable = r == 0 && !job->spec &&
				  fstatat(dir_fd, "spec.json", &st, AT_SYMLINK_NOFOLLOW) == 0;
	return r;
}

static int read_job(int dir_fd, struct stored_job *job)
{
	int r = read_spec(dir_fd, job);
	if (r == 0) {
		r = read_record(dir_fd, "meta.json", parse_meta, &job->meta);
	}
	if (r == 0) {
		r = read_record(dir_fd, "result.json", parse_result, &job->result);
	}
	if (r == 0) {
		r = read_record(dir_fd, "commit.json", parse_commit, &job->commit);
	}
	drop_strangers(job);
	if (r == 0 && !job->result && atomic_file_sweep(dir_fd) < 0) {
		log_job(LOG_LEVEL_WARNING, job->id, -1, "cannot look for temporary files");
	}
	return r;
}

/* Returns 1 and a job, 0 if the entry is no job, or -ENOMEM. */
static int load_job(int jobs_dir_fd, int active_dir_fd, const char *id,
		    const struct names *receipts, struct stored_job **ret_job)
{
	CLEANUP(stored_job_freep) struct stored_job *job = calloc(1, sizeof(*job));
	CLEANUP(fd_closep)
	int dir_fd = openat(jobs_dir_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const char *receipt = find_receipt(receipts, id);
	if (!job || !(job->id = strdup(id))) {
		return -ENOMEM;
	}
	if (receipt && !(job->receipt = strdup(receipt))) {
		return -ENOMEM;
	}
	if (dir_fd < 0) {
		return 0;
	}
	int r = read_job(dir_fd, job);
	if (r == 0 && receipt && !job->meta) {
		r = meta_of_receipt(active_dir_fd, id, receipt, &job->meta);
	}
	if (r < 0) {
		return r;
	}
	*ret_job = TAKE_PTR(job);
	return 1;
}

int job_store_load(int jobs_dir_fd, int active_dir_fd, stored_job_fn fn, void *userdata)
{
	CLEANUP(names_deinit) struct names ids = {0}, receipts = {0};
	int r = names_read(jobs_dir_fd, &ids);
	if (r == 0) {
		r = names_read(active_dir_fd, &receipts);
	}
	for (size_t i = 0; r >= 0 && i < ids.n_items; i++) {
		CLEANUP(stored_job_freep) struct stored_job *job = NULL;
		if (!job_id_is_valid(ids.items[i])) {
			continue;
		}
		r = load_job(jobs_dir_fd, active_dir_fd, ids.items[i], &receipts, &job);
		if (r > 0) {
			r = fn(userdata, job);
		}
	}
	return r < 0 ? r : 0;
}
