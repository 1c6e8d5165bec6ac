/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/*
 * The status page, HTML in one piece; made at build time by page/embed.py out of the files in
 * page/, so the program needs no file to serve it. It asks the API from the browser, so its bytes
 * are the same for everybody.
 */
struct page {
	const unsigned char *html;
	size_t html_len;
	const unsigned char *gzip; /* the same, compressed */
	size_t gzip_len;
	const char *policy; /* Content-Security-Policy: its own style and script, by their hashes */
};

extern const struct page page_status;
