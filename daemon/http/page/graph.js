/* SPDX-License-Identifier: MIT */
/*
 * Rows per second over time, as this page has seen them. What it has not seen, hidden or before an
 * answer came late, is known as an average all the same: by how far the counter went on meanwhile.
 */

const HISTORY_SECONDS = 300;
const SPARK_SECONDS = 60;

class History {
	constructor() {
		this.values = new Float64Array(HISTORY_SECONDS).fill(NaN); /* a second each, newest last */
		this.second = null;
		this.n = 0; /* samples in the newest */
		this.total = 0;
		this.at = 0;
	}

	/* rate: rows/s now; total: the rows so far; now: ms of a clock that goes on while the machine sleeps. */
	add(rate, total, now) {
		const second = Math.floor(now / 1000);

		if (this.second !== null && second > this.second) {
			this.advance(second - this.second, total, now);
		}
		this.second = second; /* also if the clock was put back */
		const last = HISTORY_SECONDS - 1;
		const mean = this.n === 0 ? 0 : this.values[last];
		this.n++;
		this.values[last] = mean + (rate - mean) / this.n;
		this.total = total;
		this.at = now;
	}

	advance(seconds, total, now) {
		const n = Math.min(seconds, HISTORY_SECONDS);
		const missed = total >= this.total ? (1000 * (total - this.total)) / (now - this.at) : NaN;

		this.values.copyWithin(0, n);
		this.values.fill(missed, HISTORY_SECONDS - n);
		this.n = 0;
	}

	/* The top of a scale that holds them all: 1, 2 or 5 times a power of ten. */
	top(seconds) {
		const shown = this.values.subarray(HISTORY_SECONDS - seconds);
		const peak = shown.reduce((most, value) => (value > most ? value : most), 1);
		const power = 10 ** Math.floor(Math.log10(peak));

		return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= peak);
	}

	/* A minute until there is more to be seen, then all. */
	span() {
		return Number.isNaN(this.values[HISTORY_SECONDS - SPARK_SECONDS - 1]) ? SPARK_SECONDS : HISTORY_SECONDS;
	}

	/* Draws the last seconds; returns what to say of them. */
	draw(svg, seconds) {
		const top = this.top(seconds);
		const first = HISTORY_SECONDS - seconds;
		let line = "";
		let area = "";
		let piece = ""; /* since the last gap */
		let start = 0;

		for (let i = 0; i <= seconds; i++) {
			const value = i < seconds ? this.values[first + i] : NaN;

			if (!Number.isNaN(value)) {
				start = piece === "" ? i : start;
				piece += `${piece === "" ? "M" : "L"}${i} ${(100 - (100 * value) / top).toFixed(1)}`;
			} else if (piece !== "") {
				line += piece;
				area += `${piece}L${i - 1} 100L${start} 100Z`;
				piece = "";
			}
		}
		setAttribute(svg, "viewBox", `0 -2 ${seconds - 1} 104`);
		setAttribute(svg.querySelector(".line"), "d", line);
		setAttribute(svg.querySelector(".area"), "d", area);
		return `the last ${seconds > 60 ? `${seconds / 60} minutes` : "minute"}` +
			`${top > 1 ? `, up to ${formatCount(top)}` : ""}`;
	}
}
