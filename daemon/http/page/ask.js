/* SPDX-License-Identifier: MIT */
/*
 * Questions to the daemon. Each kind has at most one under way, and a slow answer is followed by a
 * pause as long: a daemon or a line that is busy is not made busier by who watches it.
 * While the page is hidden nothing is asked.
 */

const TICK_MS = 200;
const LATE_MS = 2000; /* an answer that takes longer is told of */
const TIMEOUT_MS = 10000;
const MAX_KEPT = 64;

/* The last answers that had an ETag: path -> {etag, body}. */
const kept = new Map();

class Refusal extends Error {
	constructor(status, detail) {
		super(detail);
		this.status = status;
	}
}

/* null if it is no JSON, as what stands between us and the daemon may say. */
async function bodyOf(response) {
	try {
		return await response.json();
	} catch (error) {
		if (error instanceof SyntaxError) {
			return null;
		}
		throw error;
	}
}

async function fetchJson(path, signal) {
	const known = kept.get(path);
	const response = await fetch(path, {
		cache: "no-store",
		headers: known === undefined ? {} : {"If-None-Match": known.etag},
		signal,
	});

	if (response.status === 304 && known !== undefined) {
		return known.body;
	}
	const body = await bodyOf(response);
	if (!response.ok || body === null) {
		throw new Refusal(response.status, String(body?.detail ?? "not in the daemon's words"));
	}
	const etag = response.headers.get("ETag");
	if (etag !== null) {
		kept.delete(path);
		kept.set(path, {etag, body});
		if (kept.size > MAX_KEPT) {
			kept.delete(kept.keys().next().value);
		}
	}
	return body;
}

class Question {
	/*
	 * path(): what to ask now, or null; every(): the least pause in ms; take(body, askedAt) gets
	 * an answer, refuse(error, path) what came instead of one.
	 */
	constructor({path, every, take, refuse}) {
		Object.assign(this, {path, every, take, refuse});
		this.settled = () => {}; /* called after either; an Asker sets it */
		this.controller = null; /* while one is under way */
		this.askedAt = 0;
		this.answeredAt = -Infinity;
		this.tookMs = 0;
	}

	isDue(now) {
		const pause = Math.max(this.every(), this.tookMs);

		return this.controller === null && now >= this.answeredAt + pause;
	}

	async ask(now) {
		const path = this.path();

		if (path === null) {
			return;
		}
		const controller = new AbortController();
		const timer = setTimeout(() => controller.abort(new Error("no answer")), TIMEOUT_MS);
		let body = null;
		let failure = null;

		this.controller = controller;
		this.askedAt = now;
		try {
			body = await fetchJson(path, controller.signal);
		} catch (error) {
			failure = error;
		}
		clearTimeout(timer);
		if (this.controller !== controller) {
			return; /* dropped meanwhile */
		}
		this.controller = null;
		this.answeredAt = performance.now();
		this.tookMs = this.answeredAt - this.askedAt;
		if (failure === null) {
			this.take(body, now);
		} else {
			this.refuse(failure, path);
		}
		this.settled();
	}

	/* Whatever comes now is not listened to any more. */
	drop() {
		this.controller?.abort();
		this.controller = null;
		this.answeredAt = -Infinity;
		this.tookMs = 0;
	}
}

class Asker {
	/* onTick(now) is called on each tick, settled() after each answer. */
	constructor(questions, onTick, settled) {
		this.questions = questions;
		this.onTick = onTick;
		this.timer = null; /* while it asks */
		questions.forEach((question) => {
			question.settled = settled;
		});
	}

	tick() {
		if (this.timer === null) {
			return;
		}
		const now = performance.now();

		for (const question of this.questions) {
			if (question.isDue(now)) {
				question.ask(now);
			}
		}
		this.onTick(now);
	}

	start() {
		if (this.timer === null) {
			this.timer = setInterval(() => this.tick(), TICK_MS);
			this.tick();
		}
	}

	stop() {
		clearInterval(this.timer);
		this.timer = null;
		this.questions.forEach((question) => question.drop());
	}
}
