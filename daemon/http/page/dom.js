/* SPDX-License-Identifier: MIT */
/*
 * The only ways in which this page changes what is seen. Nothing is written that is there already,
 * and what is written is text or an attribute, never markup: so focus, selection and scrolling
 * survive an update, and a name can mean nothing but itself.
 */

function byId(id) {
	return document.getElementById(id);
}

/* The text node stays the same one: a selection that begins in it is kept. */
function setText(element, text) {
	if (element.firstChild === null) {
		element.textContent = text;
	} else if (element.firstChild.data !== text) {
		element.firstChild.data = text;
	}
}

/* null takes the attribute away. */
function setAttribute(element, name, value) {
	if (value === null) {
		element.removeAttribute(name);
	} else if (element.getAttribute(name) !== value) {
		element.setAttribute(name, value);
	}
}

function setShown(element, isShown) {
	if (element.hidden === isShown) {
		element.hidden = !isShown;
	}
}

/* ratio: null while it is not known. */
function setBar(bar, fill, ratio, label) {
	const isKnown = isNumber(ratio);
	const width = `${isKnown ? (100 * ratio).toFixed(2) : 0}%`;

	if (fill.style.width !== width) {
		fill.style.width = width;
	}
	setAttribute(bar, "aria-valuenow", isKnown ? (100 * ratio).toFixed(1) : null);
	setAttribute(bar, "aria-label", label);
}

/* Elements made from a template, one for each key, in the order of the items. */
class KeyedList {
	/* draw(parts, item, element): parts are the elements that carry data-part, by its value. */
	constructor(parent, template, keyOf, draw) {
		this.parent = parent;
		this.template = template.content.firstElementChild;
		this.keyOf = keyOf;
		this.draw = draw;
		this.rows = new Map();
	}

	make() {
		const element = this.template.cloneNode(true);
		const parts = {};

		for (const part of element.querySelectorAll("[data-part]")) {
			parts[part.dataset.part] = part;
		}
		if (element.dataset.part) {
			parts[element.dataset.part] = element;
		}
		return {element, parts};
	}

	/* A row is drawn only if its item is another object, or the stamp another text, than before. */
	update(items, stamp = null) {
		const focused = document.activeElement;
		const keys = new Set(items.map(this.keyOf));

		for (const [key, row] of this.rows) {
			if (!keys.has(key)) {
				row.element.remove();
				this.rows.delete(key);
			}
		}
		let next = this.parent.firstElementChild;
		for (const item of items) {
			const key = this.keyOf(item);
			const row = this.rows.get(key) ?? this.make();

			this.rows.set(key, row);
			if (row.element === next) {
				next = next.nextElementSibling;
			} else {
				this.parent.insertBefore(row.element, next);
			}
			if (row.item !== item || row.stamp !== stamp) {
				this.draw(row.parts, item, row.element);
				row.item = item;
				row.stamp = stamp;
			}
		}
		/* Who was moved has lost it. */
		if (focused !== document.activeElement && focused?.isConnected) {
			focused.focus({preventScroll: true});
		}
	}

	element(key) {
		return this.rows.get(key)?.element ?? null;
	}
}
