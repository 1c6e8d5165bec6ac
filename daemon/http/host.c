/* SPDX-License-Identifier: MIT */
/*
 * The machine's names are asked once: gethostname(2), whole and up to its first dot. The resolver
 * is not asked at all: it may block, and what it says is not this machine's word.
 */
#include "daemon/http/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOST_MAX_BYTES = 255 };

static int add_name(struct host_list *list, const char *name)
{
	char **names = reallocarray(list->names, list->n_names + 1, sizeof(*names));
	char *copy;

	if (names == NULL) {
		return -ENOMEM;
	}
	list->names = names;
	copy = strdup(name);
	if (copy == NULL) {
		return -ENOMEM;
	}
	names[list->n_names++] = copy;
	return 0;
}

static int add_own_names(struct host_list *list)
{
	char name[HOST_MAX_BYTES + 1] = "";
	char *dot;
	int r;

	if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0') {
		return 0; /* then it is known by localhost and its addresses */
	}
	r = add_name(list, name);
	dot = strchr(name, '.');
	if (r < 0 || dot == NULL || dot == name) {
		return r;
	}
	*dot = '\0';
	return add_name(list, name);
}

int host_list_init(struct host_list *ret_list, char *const *names, size_t n_names)
{
	struct host_list list = {0};
	int r = add_name(&list, "localhost");

	for (size_t i = 0; r == 0 && i < n_names; i++) {
		r = add_name(&list, names[i]);
	}
	if (r == 0) {
		r = add_own_names(&list);
	}
	if (r < 0) {
		host_list_deinit(&list);
		return r;
	}
	*ret_list = list;
	return 0;
}

void host_list_deinit(struct host_list *list)
{
	for (size_t i = 0; i < list->n_names; i++) {
		free(list->names[i]);
	}
	free(list->names);
	*list = (struct host_list){0};
}

static bool is_port(const char *text)
{
	return strspn(text, "0123456789") == strlen(text) && strlen(text) <= 5;
}

static bool is_address(int family, const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(family, text, address) == 1;
}

/* "[::1]" or "[::1]:9917" */
static bool is_bracketed_address(char *text)
{
	char *end = strchr(text, ']');

	if (end == NULL || (end[1] != '\0' && (end[1] != ':' || !is_port(end + 2)))) {
		return false;
	}
	*end = '\0';
	return is_address(AF_INET6, text + 1);
}

bool host_list_has(const struct host_list *list, const char *host)
{
	char name[HOST_MAX_BYTES + 1];
	size_t len = strlen(host);
	char *port;

	if (len == 0 || len > HOST_MAX_BYTES) {
		return false;
	}
	memcpy(name, host, len + 1);
	if (name[0] == '[') {
		return is_bracketed_address(name);
	}
	port = strchr(name, ':');
	if (port != NULL) {
		*port = '\0';
		if (!is_port(port + 1)) {
			return false;
		}
	}
	if (is_address(AF_INET, name)) {
		return true;
	}
	for (size_t i = 0; i < list->n_names; i++) {
		if (strcasecmp(list->names[i], name) == 0) {
			return true;
		}
	}
	return false;
}
