/* SPDX-License-Identifier: MIT */
/*
 * Only reads, so it may be done while workers of a daemon that died still work: they know nothing
 * of the account. The boot is compared, not just the directory looked for: a runtime directory need
 * not be on a tmpfs.
 */
#include "daemon/sched/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/fd.h"
#include "daemon/sched/account_pages.h"
#include "daemon/sched/checkpoint.h"

static int open_dir(int parent_fd, const char *id)
{
	int fd = openat(parent_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static bool is_this_boot(const struct sched_env *env, const struct account *account)
{
	return env->boot_id[0] != '\0' &&
	       strncmp(env->boot_id, account->boot_id, sizeof(account->boot_id)) == 0;
}

/* 1: found; 0: nothing of use; -ENOMEM. */
static int load_live(const struct sched_env *env, const char *id, struct resume *resume)
{
	CLEANUP(fd_closep) int run_dir_fd = open_dir(env->options.run_jobs_dir_fd, id);
	int r = run_dir_fd < 0 ? run_dir_fd : account_pages_read(run_dir_fd, &resume->account);

	if (r < 0) {
		return r == -ENOMEM ? r : 0;
	}
	if (!is_this_boot(env, &resume->account)) {
		account_deinit(&resume->account);
		return 0;
	}
	resume->is_live = true;
	return 1;
}

/* A checkpoint is looked at in any case: its record must not be overwritten first. */
static int load(const struct sched_env *env, const char *id, bool is_live_lost,
		struct resume *resume)
{
	struct account saved = {0};
	CLEANUP(fd_closep) int job_dir_fd = open_dir(env->options.jobs_dir_fd, id);
	int found = is_live_lost ? 0 : load_live(env, id, resume);
	int r = job_dir_fd < 0 || found < 0
			? -ENOENT
			: checkpoint_read(job_dir_fd, &saved, &resume->next_record);

	if (found < 0 || r == -ENOMEM) {
		return -ENOMEM;
	}
	if (r < 0) {
		return found;
	}
	if (found > 0) {
		account_deinit(&saved);
	} else {
		resume->account = saved;
	}
	return 1;
}

int resume_load(const struct sched_env *env, const char *id, bool is_live_lost,
		struct resume **ret_resume)
{
	CLEANUP(resume_freep) struct resume *resume = calloc(1, sizeof(*resume));

	if (resume == NULL) {
		return -ENOMEM;
	}
	int r = load(env, id, is_live_lost, resume);
	if (r < 0) {
		return r;
	}
	resume->is_same_build = r > 0 && env->build_id != 0 &&
				resume->account.build_id == env->build_id;
	*ret_resume = r > 0 ? TAKE_PTR(resume) : NULL;
	return 0;
}

struct resume *resume_free(struct resume *resume)
{
	if (resume != NULL) {
		account_deinit(&resume->account);
		free(resume);
	}
	return NULL;
}

void resume_freep(struct resume **resume)
{
	*resume = resume_free(*resume);
}
