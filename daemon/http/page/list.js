/* SPDX-License-Identifier: MIT */
/* What is shown of the daemon as a whole: its sums and its jobs. */

function jobHash(id, state) {
	const query = state === null ? "" : `?state=${state}`;

	return `#/${id === null ? "" : `jobs/${id}`}${query}`;
}

/* "running" says all while it converts; else what it does. */
function stateText(job) {
	return job.state === "running" && job.phase !== "converting" ? job.phase : job.state;
}

function progressText(job) {
	if (job.state === "running") {
		return formatRatio(job.progress);
	}
	return isFinal(job) ? `ended ${formatTime(job.finished_at_seconds)}` : "";
}

function drawFailure(parts, job) {
	const isBad = job.state === "failed" || job.state === "aborted";

	setShown(parts.why, isBad);
	setText(parts.reason, isBad ? job.reason : "");
	setText(parts.message, isBad ? job.message : "");
}

function drawSpark(parts, job) {
	const history = model.histories.get(job.id);
	const isLive = job.state === "running" && history !== undefined;

	parts.spark.classList.toggle("empty", !isLive);
	if (isLive) {
		history.draw(parts.spark, SPARK_SECONDS);
	}
}

function drawJobRow(parts, job, element) {
	const hasEnded = isFinal(job);

	setAttribute(element, "data-state", job.state);
	setAttribute(element, "data-id", job.id);
	setAttribute(parts.link, "href", jobHash(job.id, view.state));
	setAttribute(parts.link, "aria-current", job.id === view.id ? "true" : null);
	setAttribute(parts.link, "title", job.id);
	setText(parts.name, job.name || job.id);
	setText(parts.state, stateText(job));
	setShown(parts.bar, job.state === "running");
	setBar(parts.bar, parts.fill, job.progress, `Progress of ${job.name}`);
	setText(parts.progress, progressText(job));
	drawSpark(parts, job);
	setText(parts.rate, job.state === "pending" ? "" : formatCount(job.items_per_second));
	setText(parts.eta, hasEnded || job.state === "pending" ? "" : formatEta(job.eta_seconds));
	setText(parts.rows, formatCount(job.total_processed));
	setText(parts.rejected, formatCount(job.error_count));
	parts.rejected.classList.toggle("some", job.error_count > 0);
	setText(parts.ram, job.state === "running" ? formatSize(job.ram_bytes) : "");
	setText(parts.time, job.state === "pending" ? "" : formatDuration(job.duration_seconds));
	drawFailure(parts, job);
}

const jobList = new KeyedList(byId("job-rows"), byId("job-row"), (job) => job.id, drawJobRow);

const filterList = new KeyedList(byId("filters"), byId("filter-row"), (filter) => filter.name,
	(parts, filter) => {
		setAttribute(parts.link, "href", jobHash(view.id, filter.state));
		setAttribute(parts.link, "aria-current", filter.state === view.state ? "true" : null);
		setAttribute(parts.link, "data-state", filter.state ?? "all");
		setText(parts.name, filter.name);
		setText(parts.count, filter.n === null ? "" : formatCount(filter.n));
	});

function drawFilters() {
	const counts = model.status?.jobs;
	const sum = counts && Object.values(counts).reduce((a, b) => a + b, 0);

	filterList.update([{name: "all", state: null, n: sum ?? null},
		...STATES.map((state) => ({name: state, state, n: counts?.[state] ?? null}))]);
}

/* The number of jobs that there are under the filter, as the sums have it. */
function jobsInAll() {
	const counts = model.status.jobs;

	return view.state === null ? Object.values(counts).reduce((a, b) => a + b, 0) : counts[view.state];
}

function drawJobs() {
	const jobs = jobsShown(view.state);
	const what = view.state === null ? "job" : `${view.state} job`;

	drawFilters();
	jobList.update(jobs, `${view.id} ${view.state}`);
	setShown(byId("no-jobs"), jobs.length === 0 && model.status !== null);
	setText(byId("no-jobs"), jobsInAll() > 0 ? "…"
		: view.state === null ? "There are no jobs yet. Drop a spec into the spool, or: zooparallel submit SPEC"
		: `There is no ${what}.`);
	setShown(byId("more"), model.isMore && view.state !== "running");
	setText(byId("more-text"), `${formatCount(jobs.length)} of ${formatMany(jobsInAll(), what)}`);
}

function drawWorkerSum(workers) {
	const others = ["starting", "restarting"].filter((state) => workers[state] > 0)
		.map((state) => `${formatCount(workers[state])} ${state}`);

	return [formatCount(workers.running), ...others].join(", ");
}

/* The area with the least room, of those whose room is known. */
function leastSpace(areas) {
	const known = areas.filter((area) => isNumber(area.avail_bytes));

	return known.reduce((least, area) => (area.avail_bytes < least.avail_bytes ? area : least),
		known[0] ?? {name: "", avail_bytes: null});
}

function drawSums() {
	const status = model.status;
	const space = leastSpace(status.areas);
	const note = model.history.draw(byId("rate-graph"), model.history.span());

	setText(byId("rate"), formatCount(status.items_per_second));
	setText(byId("rate-note"), note);
	setText(byId("sum-running"), formatCount(status.jobs.running));
	setText(byId("sum-pending"), formatCount(status.jobs.pending));
	setText(byId("sum-workers"), drawWorkerSum(status.workers));
	setText(byId("sum-ram"), formatSize(status.ram_bytes));
	setText(byId("sum-rows"), formatCount(status.total_processed));
	setText(byId("sum-rejected"), formatCount(status.error_count));
	setText(byId("sum-space"), formatSize(space.avail_bytes));
	setAttribute(byId("sum-space"), "title", space.name);
}

function warningsOf(status) {
	const warnings = status.reasons.map((reason) => `Not ready: ${reason}`);

	if (!status.config_last_reload_successful) {
		warnings.push("The configuration could not be read again; the one before is in force. The log says why.");
	}
	if (status.workers_with_invalid_stats > 0) {
		warnings.push(`${formatMany(status.workers_with_invalid_stats, "worker")} with a broken stats file.`);
	}
	return warnings;
}

function drawDaemon() {
	const status = model.status;
	const warnings = warningsOf(status).join("\n");
	const uptime = Date.now() / 1000 - status.started_at_seconds;

	setText(byId("version"), status.version);
	setText(byId("ready"), status.ready ? "ready" : "not ready");
	setAttribute(byId("ready"), "data-ready", String(status.ready));
	setText(byId("warnings"), warnings);
	setShown(byId("warnings"), warnings !== "");
	setText(byId("daemon"), `The daemon: up ${formatDuration(Math.max(uptime, 0))}, RAM ${formatSize(status.daemon_ram_bytes)}, ` +
		`${formatCount(status.daemon_open_fds)} open files, ${formatDuration(status.daemon_cpu_seconds)} of CPU time, ` +
		`${formatMany(status.worker_restarts, "worker restart")}.`);
}
