/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/util/macro.h"

/*
 * Which Host headers are ours. A page from elsewhere whose name is made to lead to this machine
 * (DNS rebinding) is still called by that name in Host; so unknown names get no answer.
 */
struct host_list {
	char **names;
	size_t n_names;
};

/* Copies the names and adds this machine's own. -ENOMEM, with *ret_list untouched. */
int host_list_init(struct host_list *ret_list, char *const *names, size_t n_names) MUST_CHECK;
void host_list_deinit(struct host_list *list);

/*
 * Whether "NAME", "NAME:PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT" is localhost, an IP address or
 * in the list. Any port will do: whoever forwards one to us may choose it.
 */
bool host_list_has(const struct host_list *list, const char *host);
