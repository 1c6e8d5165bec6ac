/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and times as all of ZooParallel writes them; common/util/num.c is the model. */

const NONE = "–";

function isNumber(value) {
	return typeof value === "number" && Number.isFinite(value);
}

/* "1,234,567" */
function formatCount(value) {
	if (!isNumber(value)) {
		return NONE;
	}
	const digits = String(Math.floor(Math.min(Math.max(value, 0), 1e18)));
	return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}

/* "512 B", "1.5 MiB" */
function formatSize(bytes) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let value = bytes;
	let unit = 0;

	if (!isNumber(value) || value < 0) {
		return NONE;
	}
	/* 1023.95 would be written as 1024.0. */
	for (; value >= 1023.95 && unit + 1 < units.length; unit++) {
		value /= 1024;
	}
	return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/* "850 ms", "12.3 s", "4m 05s", "2h 10m", "3d 04h" */
function formatDuration(seconds) {
	const two = (value) => String(Math.floor(value)).padStart(2, "0");

	if (!isNumber(seconds) || seconds < 0 || seconds > 1e9) {
		return NONE;
	}
	const ms = Math.floor(seconds * 1000);
	const s = Math.floor(ms / 1000);
	if (ms < 1000) {
		return `${ms} ms`;
	}
	if (s < 60) {
		return `${s}.${Math.floor((ms % 1000) / 100)} s`;
	}
	if (s < 3600) {
		return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
	}
	if (s < 86400) {
		return `${Math.floor(s / 3600)}h ${two((s % 3600) / 60)}m`;
	}
	return `${Math.floor(s / 86400)}d ${two((s % 86400) / 3600)}h`;
}

/* What is left of a job that hardly moves is not known. */
function formatEta(seconds) {
	return seconds > 100 * 86400 ? NONE : formatDuration(seconds);
}

/* "45.2 %" */
function formatRatio(ratio) {
	return isNumber(ratio) ? `${(100 * Math.min(Math.max(ratio, 0), 1)).toFixed(1)} %` : NONE;
}

/* Seconds since 1970 -> "22:58:31" today, "2026-11-24 22:58" before; the reader's own time. */
function formatTime(seconds) {
	if (!isNumber(seconds)) {
		return NONE;
	}
	const date = new Date(seconds * 1000);
	const two = (value) => String(value).padStart(2, "0");
	const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
	if (date.toDateString() === new Date().toDateString()) {
		return `${clock}:${two(date.getSeconds())}`;
	}
	return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}

/* "1 row", "2 rows" */
function formatMany(value, noun) {
	return `${formatCount(value)} ${noun}${value === 1 ? "" : "s"}`;
}
