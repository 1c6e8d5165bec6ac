/* SPDX-License-Identifier: MIT */
/*
 * What this page knows of the daemon. Running jobs are asked for by themselves, on each tick: they
 * alone change all the time, and a long one may stand far behind many younger jobs. The list is
 * walked page by page, at most one page a tick: at once when the daemon's sums say that jobs have
 * come or ended, else once a second.
 */

const STATES = ["running", "pending", "completed", "failed", "aborted"];
const PAGE_JOBS = 100;
const MAX_WITNESSED = 50;
const N_FAILURES = 10;
const MAX_TOLD = 1000;

function isFinal(job) {
	return job.state !== "running" && job.state !== "pending";
}

const model = {
	status: null, /* /api/v1/status, as last told */
	jobs: new Map(), /* id -> a job, as last told */
	askedAt: new Map(), /* id -> when that was asked for */
	running: new Set(), /* ids */
	listed: new Set(), /* ids of the last whole walk */
	witnessed: new Set(), /* ids of jobs that have ended before our eyes */
	histories: new Map(), /* id -> History */
	history: new History(), /* of all jobs */
	failures: new Set(), /* ids of failed jobs that were told of */
	failuresAfter: null, /* when the last one before this page ended; null: not asked for yet */
	failuresOf: null, /* the sums when those that are known were asked for */
	failuresAskedOf: null, /* the same of those that are asked for */
	isMore: false, /* there are jobs behind the last listed one */

	walk: {ids: [], after: null, n_wanted: PAGE_JOBS, isDue: true, at: 0},
};

/* Answers to several questions tell of a job; one that was overtaken is not listened to. */
function learn(job, askedAt) {
	const known = model.jobs.get(job.id);

	if (known !== undefined && model.askedAt.get(job.id) > askedAt) {
		return;
	}
	model.jobs.set(job.id, job);
	model.askedAt.set(job.id, askedAt);
	if (job.state === "running") {
		if (!model.histories.has(job.id)) {
			model.histories.set(job.id, new History());
		}
		model.histories.get(job.id).add(job.items_per_second, job.total_processed, Date.now());
	}
	if (job.state === "failed" && known !== undefined && !isFinal(known)) {
		tellFailure(job);
	}
}

/* Each failure that this page has lived to see, once, however it came to be known. */
function tellFailure(job) {
	if (model.failuresAfter === null || job.finished_at_seconds <= model.failuresAfter || model.failures.has(job.id)) {
		return;
	}
	model.failures.add(job.id);
	if (model.failures.size > MAX_TOLD) {
		model.failures.delete(model.failures.keys().next().value);
	}
	say(`Job ${job.name} failed: ${job.reason}. ${job.message}`);
}

function hurryWalk() {
	model.walk.isDue = true;
}

function restartWalk() {
	Object.assign(model.walk, {ids: [], after: null, isDue: true});
}

function wantMoreJobs() {
	model.walk.n_wanted *= 2;
	hurryWalk();
}

function takeStatus(status) {
	const before = model.status;

	if (before !== null && before.started_at_seconds !== status.started_at_seconds) {
		say("The daemon was started again.");
	}
	if (before === null || JSON.stringify(before.jobs) !== JSON.stringify(status.jobs) ||
	    jobsEnded(before) !== jobsEnded(status)) {
		hurryWalk();
	}
	model.status = status;
	model.history.add(status.items_per_second, status.total_processed, Date.now());
}

function jobsEnded(status) {
	return status.jobs_completed + status.jobs_failed + status.jobs_aborted;
}

function takeRunning(body, askedAt) {
	const ids = new Set(body.jobs.map((job) => job.id));

	for (const id of model.running) {
		if (!ids.has(id)) {
			model.witnessed.add(id);
			hurryWalk();
		}
	}
	while (model.witnessed.size > MAX_WITNESSED) {
		model.witnessed.delete(model.witnessed.keys().next().value);
	}
	model.running = ids;
	body.jobs.forEach((job) => learn(job, askedAt));
	forgetJobs();
}

function takePage(body, askedAt) {
	const walk = model.walk;

	for (const job of body.jobs) {
		learn(job, askedAt);
		walk.ids.push(job.id);
	}
	if (body.next !== null && walk.ids.length < walk.n_wanted) {
		walk.after = body.next;
		walk.ids.forEach((id) => model.listed.add(id)); /* what is known may be shown */
		return;
	}
	model.listed = new Set(walk.ids);
	walk.ids.forEach((id) => model.witnessed.delete(id));
	model.isMore = body.next !== null;
	walk.ids = [];
	walk.after = null;
	forgetJobs();
}

/* What nothing refers to any more. */
function forgetJobs() {
	const isHeld = (id) => model.listed.has(id) || model.running.has(id) ||
		model.witnessed.has(id) || id === view.id;

	for (const id of model.jobs.keys()) {
		if (!isHeld(id)) {
			model.jobs.delete(id);
			model.askedAt.delete(id);
			model.histories.delete(id);
		}
	}
}

function takeFailures(body) {
	if (model.failuresAfter === null) {
		model.failuresAfter = Math.max(0, ...body.jobs.map((job) => job.finished_at_seconds));
	}
	model.failuresOf = model.failuresAskedOf;
	body.jobs.forEach(tellFailure);
}

/* A witnessed job whose end is not known yet, or null. */
function unknownEnd() {
	for (const id of model.witnessed) {
		const job = model.jobs.get(id);

		if (job !== undefined && !isFinal(job) && !model.running.has(id)) {
			return id;
		}
	}
	return null;
}

function forgetJob(id) {
	model.jobs.delete(id);
	model.listed.delete(id);
	model.witnessed.delete(id);
}

/* Those to be shown: what runs, then the newest. */
function jobsShown(state) {
	const ids = new Set([...model.running, ...model.listed, ...model.witnessed]);
	const rank = (job) => (job.state === "running" ? 0 : 1);

	return [...ids].map((id) => model.jobs.get(id))
		.filter((job) => job !== undefined && (state === null || job.state === state))
		.sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? 1 : -1));
}
