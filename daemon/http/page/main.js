/* SPDX-License-Identifier: MIT */
/*
 * The wiring. The address says what is shown: #/jobs/ID?state=STATE, both parts may be left out, so
 * what one sees can be linked to and "back" works. Answers change the model only; it is drawn once
 * for all that came in before the next frame.
 */

const GONE_PAUSE_MS = 1000;
const ENDED_PAUSE_MS = 1000;
const WALK_PAUSE_MS = 1000;
const MAX_SAID = 3;
const ADDRESS = /^#\/(?:jobs\/([0-9A-Za-z]{1,32}))?(?:\?state=([a-z]+))?$/;

const view = {id: null, state: null};
let gone = null; /* null, or a sentence */
let lastAnswerAt = Date.now();
let isDrawDue = false;
const said = []; /* since the last frame */

/* For those who cannot see it happen. */
function say(text) {
	said.push(text);
}

function openedJob() {
	return opened === null ? undefined : model.jobs.get(opened.id);
}

/* --- gone and back ---------------------------------------------------------------------------- */

function setGone(what) {
	if (gone === what) {
		return;
	}
	gone = what;
	drawSoon();
	setText(byId("gone"), `${what}. The last answer came at ${formatTime(lastAnswerAt / 1000)}; ` +
		"what is shown is from then. This page goes on asking.");
	document.body.classList.add("gone");
}

function setBack() {
	lastAnswerAt = Date.now();
	if (gone === null) {
		return;
	}
	gone = null;
	setText(byId("gone"), "");
	document.body.classList.remove("gone");
	say("The daemon is back.");
	restartWalk();
}

function refuseStatus(error) {
	if (error instanceof Refusal) {
		setGone(`The daemon at ${location.host} refuses to answer (${error.status}: ${error.message})`);
	} else {
		setGone(`The daemon at ${location.host} is gone: nobody answers`);
	}
}

/* Silence is worse than a refusal: nothing would tell. */
function watchSilence(now) {
	if (statusQuestion.controller !== null && now - statusQuestion.askedAt > LATE_MS) {
		setGone(`The daemon at ${location.host} does not answer`);
	}
}

/* --- questions -------------------------------------------------------------------------------- */

function askedJob(path) {
	return opened !== null && path.startsWith(`api/v1/jobs/${opened.id}`);
}

function refuseJob(error, path) {
	const id = path.split("/")[3];

	if (error.status === 404) {
		forgetJob(id);
		if (askedJob(path)) {
			opened.isMissing = true;
		}
	}
}

/* It is asked again on the next tick, and the status tells when the daemon is gone. */
function nothing() {}

const statusQuestion = new Question({
	path: () => "api/v1/status",
	every: () => (gone === null ? 0 : GONE_PAUSE_MS),
	take: (body) => {
		setBack();
		takeStatus(body);
	},
	refuse: refuseStatus,
});

const listQuestion = new Question({
	path: () => {
		const walk = model.walk;
		const isBegun = walk.after !== null;
		const now = performance.now();

		if (gone !== null || view.state === "running" ||
		    (!isBegun && !walk.isDue && now < walk.at + WALK_PAUSE_MS)) {
			return null;
		}
		walk.isDue = isBegun && walk.isDue;
		walk.at = now;
		return `api/v1/jobs?limit=${PAGE_JOBS}${view.state === null ? "" : `&state=${view.state}`}` +
			`${isBegun ? `&after=${walk.after}` : ""}`;
	},
	every: () => 0,
	take: takePage,
	refuse: hurryWalk,
});

const runningQuestion = new Question({
	path: () => (gone === null && (view.state === null || view.state === "running")
		? "api/v1/jobs?state=running&limit=1000" : null),
	every: () => 0,
	take: takeRunning,
	refuse: nothing,
});

/* How jobs have ended that ran a moment ago. */
const endQuestion = new Question({
	path: () => {
		const id = unknownEnd();

		return gone === null && id !== null ? `api/v1/jobs/${id}` : null;
	},
	every: () => 0,
	take: learn,
	refuse: refuseJob,
});

/* Failures, wherever in the list they are. */
const failureQuestion = new Question({
	path: () => {
		const sums = model.status && `${model.status.jobs.failed} ${model.status.jobs_failed}`;

		if (gone !== null || model.failuresOf === sums) {
			return null;
		}
		model.failuresAskedOf = sums;
		return `api/v1/jobs?state=failed&limit=${N_FAILURES}`;
	},
	every: () => 0,
	take: takeFailures,
	refuse: nothing,
});

const jobQuestion = new Question({
	path: () => (gone === null && opened !== null ? `api/v1/jobs/${opened.id}` : null),
	every: () => (opened?.isMissing || (openedJob() && isFinal(openedJob())) ? ENDED_PAUSE_MS : 0),
	take: (body, askedAt) => {
		learn(body, askedAt);
		opened.isMissing = false;
	},
	refuse: refuseJob,
});

const workersQuestion = new Question({
	path: () => (gone === null && openedJob()?.state === "running" ? `api/v1/jobs/${opened.id}/workers` : null),
	every: () => 0,
	take: (body) => {
		opened.workers = body.workers;
	},
	refuse: nothing,
});

const rejectsQuestion = new Question({
	path: () => {
		const job = openedJob();

		if (gone !== null || job === undefined || rejectsKey(job) === opened.rejectsOf) {
			return null;
		}
		opened.rejectsAskedOf = rejectsKey(job);
		return `api/v1/jobs/${opened.id}/errors?limit=${opened.n_rejectsWanted}`;
	},
	every: () => 0,
	take: (body) => {
		opened.rejects = body.errors;
		opened.isMore = body.more;
		opened.rejectsOf = opened.rejectsAskedOf;
	},
	refuse: nothing,
});

const jobQuestions = [jobQuestion, workersQuestion, rejectsQuestion];

const asker = new Asker([statusQuestion, runningQuestion, listQuestion, failureQuestion, endQuestion, ...jobQuestions],
	watchSilence, drawSoon);

/* --- drawing ---------------------------------------------------------------------------------- */

function drawSaid() {
	const sentences = said.splice(0);

	if (sentences.length > MAX_SAID) {
		sentences.push(`And ${formatCount(sentences.splice(MAX_SAID).length)} more.`);
	}
	if (sentences.length > 0) {
		setText(byId("said"), sentences.join(" "));
	}
}

function drawTitle() {
	const job = openedJob();
	const what = job === undefined ? `${formatCount(model.status.jobs.running)} running`
		: `${job.name}: ${job.state === "running" ? progressText(job) : job.state}`;
	const title = `${gone === null ? what : "gone"} · ZooParallel`;

	if (document.title !== title) {
		document.title = title;
	}
}

function draw() {
	isDrawDue = false;
	drawSaid();
	if (model.status === null) {
		return;
	}
	drawDaemon();
	drawSums();
	drawJobs();
	drawOpened();
	drawTitle();
}

function drawSoon() {
	if (!isDrawDue) {
		isDrawDue = true;
		requestAnimationFrame(draw);
	}
}

/* --- what people do --------------------------------------------------------------------------- */

function readAddress() {
	const [, id = null, state = null] = ADDRESS.exec(location.hash) ?? [];

	return {id, state: STATES.includes(state) ? state : null};
}

function onAddress() {
	const before = {...view};

	Object.assign(view, readAddress());
	if (view.state !== before.state) {
		model.isMore = false;
		model.walk.n_wanted = PAGE_JOBS;
		restartWalk();
		listQuestion.drop();
	}
	if (view.id !== before.id) {
		openJob(view.id);
		jobQuestions.forEach((question) => question.drop());
	}
	draw();
	if (view.id !== null && view.id !== before.id) {
		byId("job").scrollTop = 0;
		byId("job-name").focus({preventScroll: window.innerWidth >= 840});
	} else if (view.id === null && before.id !== null) {
		jobList.element(before.id)?.querySelector("a").focus();
	}
	asker.tick();
}

/* Up and down go from job to job. */
function moveFocus(step) {
	const row = document.activeElement?.closest("#job-rows > tr");
	const next = step > 0 ? row?.nextElementSibling : row?.previousElementSibling;

	next?.querySelector("a").focus();
	return row !== undefined && row !== null;
}

function onKey(event) {
	const steps = {ArrowDown: 1, ArrowUp: -1};

	if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) {
		return;
	}
	if (event.key === "Escape" && view.id !== null) {
		location.hash = jobHash(null, view.state);
	} else if (event.key in steps && moveFocus(steps[event.key])) {
		event.preventDefault();
	}
}

/* A click anywhere in a row opens it, unless it ends a selection. */
function onRowClick(event) {
	const row = event.target.closest("tr");

	if (row !== null && event.target.closest("a") === null && getSelection().isCollapsed) {
		location.hash = jobHash(row.dataset.id, view.state);
	}
}

function onVisibility() {
	if (document.visibilityState === "visible") {
		restartWalk(); /* what was under way was dropped */
		asker.start();
	} else {
		asker.stop();
	}
}

setShown(byId("app"), true);
Object.assign(view, readAddress());
openJob(view.id);
window.addEventListener("hashchange", onAddress);
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", onVisibility);
byId("job-rows").addEventListener("click", onRowClick);
byId("more-button").addEventListener("click", wantMoreJobs);
byId("rejects-button").addEventListener("click", () => {
	opened.n_rejectsWanted = Math.min(opened.n_rejectsWanted * 5, MAX_REJECTS);
});
onVisibility();
