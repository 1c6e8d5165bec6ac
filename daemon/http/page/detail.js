/* SPDX-License-Identifier: MIT */
/* What is shown of the one job that is opened. */

const FIRST_REJECTS = 20;
const MAX_REJECTS = 1000;

/* Begun anew with each job that is opened. */
let opened = null;

function openJob(id) {
	opened = id === null ? null
		: {id, workers: [], rejects: [], isMore: false, n_rejectsWanted: FIRST_REJECTS, rejectsOf: null,
			rejectsAskedOf: null, isMissing: false};
}

/* What the rejects that are shown stand for; when it changes they are asked for again. */
function rejectsKey(job) {
	const isFull = opened.rejects.length >= opened.n_rejectsWanted;

	return `${isFinal(job)} ${opened.n_rejectsWanted} ${isFull ? "full" : job.accepted_error}`;
}

function factsOf(job) {
	return [
		["Rows", formatCount(job.total_processed)],
		["Accepted", formatCount(job.success_count)],
		["Rejected", formatCount(job.error_count)],
		["Filtered", formatCount(job.filtered)],
		["Time", formatDuration(job.duration_seconds)],
		isFinal(job) ? ["Ended", formatTime(job.finished_at_seconds)] : ["ETA", formatEta(job.eta_seconds)],
		["RAM", job.state === "running" ? formatSize(job.ram_bytes) : NONE],
		["Written", formatSize(job.output_bytes)],
	];
}

function moreFactsOf(job) {
	const exits = Object.entries(job.worker_exits).map(([cause, n]) => `${formatCount(n)} ${cause}`);

	return [
		["Submitted", formatTime(job.submitted_at_seconds)],
		["Started", formatTime(job.started_at_seconds)],
		["Waited", formatDuration(job.queue_seconds)],
		["Priority", String(job.priority)],
		["Read", formatSize(job.input_bytes_done)],
		["Peak RAM", formatSize(job.peak_ram_bytes)],
		["PSS", job.state === "running" ? formatSize(job.pss_bytes) : NONE],
		["Rows add up", job.verified ? "verified" : "as reported"],
		["Workers", `${isFinal(job) ? "" : `${formatCount(job.workers_alive)} of `}${formatCount(job.workers)}`],
		["Restarts", formatCount(job.worker_restarts)],
		["Worker ends", exits.join(", ") || NONE],
	];
}

function drawFact(parts, [name, value]) {
	setText(parts.name, name);
	setText(parts.value, value);
}

const factList = new KeyedList(byId("job-facts"), byId("fact-row"), ([name]) => name, drawFact);
const moreFactList = new KeyedList(byId("job-more-facts"), byId("fact-row"), ([name]) => name, drawFact);

const codeList = new KeyedList(byId("reject-codes"), byId("code-row"), ([code]) => code,
	(parts, [code, n]) => {
		setText(parts.code, code);
		setText(parts.count, formatCount(n));
	});

/* The text of a row comes only where the daemon may show it. */
function rowText(reject) {
	if (reject.row === undefined) {
		return reject.row_base64 === undefined ? null : "(bytes that are not UTF-8)";
	}
	return reject.row + (reject.row_truncated ? " …" : "");
}

const rejectList = new KeyedList(byId("rejects"), byId("reject-row"), (reject) => reject.key,
	(parts, reject) => {
		const text = rowText(reject);

		setText(parts.where, `${reject.input}:${reject.line}, byte ${formatCount(reject.offset)}`);
		setText(parts.code, reject.code);
		setText(parts.field, reject.field === null ? "" : `in ${reject.field}`);
		setText(parts.message, reject.message);
		setShown(parts.row, text !== null);
		setText(parts.row, text ?? "");
	});

const workerList = new KeyedList(byId("workers"), byId("worker-row"), (worker) => worker.slot,
	(parts, worker) => {
		const state = worker.state === "running" ? worker.phase ?? worker.state : worker.state;

		setText(parts.slot, String(worker.slot));
		setText(parts.state, worker.is_stats_valid ? state : `${state}, stats file broken`);
		setText(parts.pid, worker.pid > 0 ? String(worker.pid) : NONE);
		setText(parts.rows, formatCount(worker.total_processed));
		setText(parts.ram, formatSize(worker.ram_bytes));
		setText(parts.seen, formatDuration(worker.heartbeat_age_seconds));
	});

const pipeList = new KeyedList(byId("pipes"), byId("pipe-row"), (pipe) => pipe.key,
	(parts, pipe) => {
		const read = pipe.bytes_total === null ? formatSize(pipe.bytes_done)
			: `${formatSize(pipe.bytes_done)} of ${formatSize(pipe.bytes_total)}`;

		setText(parts.input, pipe.input);
		setText(parts.output, pipe.output);
		setText(parts.rows, `${formatMany(pipe.total_processed, "row")}, ${formatCount(pipe.error_count)} rejected, ${read} read`);
		setText(parts.errors, pipe.errors ?? "kept with the job");
	});

function drawJobHead(job) {
	const isBad = job.state === "failed" || job.state === "aborted";
	const bar = byId("job-progress");
	const read = isNumber(job.input_bytes_total)
		? `, ${formatSize(job.input_bytes_done)} of ${formatSize(job.input_bytes_total)} read` : "";
	const progress = formatRatio(job.progress);

	setText(byId("job-name"), job.name || job.id);
	setText(byId("job-state"), stateText(job));
	setAttribute(byId("job"), "data-state", job.state);
	setShown(byId("job-why"), isBad);
	setText(byId("job-why"), isBad ? `${job.reason}: ${job.message}` : "");
	setShown(bar, isNumber(job.progress));
	setBar(bar, bar.firstElementChild, job.progress, "Progress");
	setText(byId("job-progress-text"), job.state === "pending" ? "It waits for its turn."
		: progress === NONE ? "" : `${progress}${read}`);
}

function drawJobPace(job) {
	const history = model.histories.get(job.id);

	setShown(byId("job-pace"), job.state !== "pending");
	setText(byId("job-rate"), formatCount(job.items_per_second));
	setText(byId("job-rate-unit"), isFinal(job) ? "rows/s on average" : "rows/s");
	byId("job-graph").classList.toggle("empty", history === undefined);
	setText(byId("job-rate-note"), history === undefined ? "" : history.draw(byId("job-graph"), history.span()));
}

function drawRejects(job) {
	const n = opened.rejects.length;

	setShown(byId("job-rejects"), job.error_count > 0 || n > 0);
	codeList.update(Object.entries(job.rejects));
	rejectList.update(opened.rejects.map((reject, key) => ({...reject, key})));
	setText(byId("rejects-note"), n > 0 && n < job.error_count
		? `The first ${formatCount(n)} of ${formatCount(job.error_count)}.` : "");
	setShown(byId("rejects-button"), opened.isMore && opened.n_rejectsWanted < MAX_REJECTS);
}

function drawOpened() {
	const job = opened === null ? undefined : model.jobs.get(opened.id);

	setShown(byId("job"), opened !== null);
	setAttribute(document.body, "data-opened", opened === null ? null : "");
	if (opened === null) {
		return;
	}
	setAttribute(byId("job-close"), "href", jobHash(null, view.state));
	setText(byId("job-id"), opened.id);
	setAttribute(byId("job-json"), "href", `api/v1/jobs/${opened.id}?pretty`);
	setShown(byId("job-body"), job !== undefined);
	if (job === undefined) {
		setText(byId("job-name"), opened.id);
		setText(byId("job-state"), opened.isMissing ? "unknown" : "");
		setShown(byId("job-why"), opened.isMissing);
		setText(byId("job-why"), opened.isMissing
			? "The daemon knows no such job: it was forgotten, by somebody or at the end of its retention." : "");
		return;
	}
	drawJobHead(job);
	drawJobPace(job);
	factList.update(factsOf(job));
	moreFactList.update(moreFactsOf(job));
	drawRejects(job);
	setShown(byId("job-workers"), job.state === "running");
	workerList.update(job.state === "running" ? opened.workers : []);
	pipeList.update(job.pipes.map((pipe, key) => ({...pipe, key})));
}
