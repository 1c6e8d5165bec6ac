/* SPDX-License-Identifier: MIT */
/*
 * A header, the lanes, the inodes: structs as they are in memory, since only this machine reads
 * them. The sizes in the header keep another layout out, the checksum a torn one.
 */
#include "daemon/sched/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/chunk_table.h"
#include "common/util/checksum.h"

#define ACCOUNT_MAGIC	"ZOOACCT1"
#define ACCOUNT_VERSION 2
#define FILES_PER_LANE	2

struct account_header {
	char magic[8];
	uint16_t version;
	uint16_t header_size;
	uint16_t lane_size;
	uint16_t n_lanes;
	uint64_t checksum; /* of all that follows it */
	uint64_t sequence;
	uint64_t build_id;
	uint64_t plan_checksum;
	uint64_t saved_plan_checksum;
	int64_t started_at_ns;
	char boot_id[ACCOUNT_BOOT_ID_SIZE];
	struct worker_tally tally;
	struct fold_state held;
};

size_t account_size(size_t n_lanes)
{
	return sizeof(struct account_header) +
	       n_lanes * (sizeof(struct fold_state) + FILES_PER_LANE * sizeof(uint64_t));
}

static uint64_t checksum_of(const void *data, size_t n_lanes)
{
	size_t from = offsetof(struct account_header, sequence);

	return checksum_add(CHECKSUM_INIT, (const char *)data + from, account_size(n_lanes) - from);
}

void account_encode(const struct account *account, void *at)
{
	struct account_header header = {
		.version = ACCOUNT_VERSION,
		.header_size = sizeof(header),
		.lane_size = sizeof(struct fold_state),
		.n_lanes = (uint16_t)account->n_lanes,
		.sequence = account->sequence,
		.build_id = account->build_id,
		.plan_checksum = account->plan_checksum,
		.saved_plan_checksum = account->saved_plan_checksum,
		.started_at_ns = account->started_at_ns,
		.tally = account->tally,
		.held = account->held,
	};
	size_t lanes_size = account->n_lanes * sizeof(struct fold_state);
	char *body = (char *)at + sizeof(header);

	memcpy(header.magic, ACCOUNT_MAGIC, sizeof(header.magic));
	memcpy(header.boot_id, account->boot_id, sizeof(header.boot_id));
	memcpy(at, &header, sizeof(header));
	memcpy(body, account->lanes, lanes_size);
	memcpy(body + lanes_size, account->inodes,
	       account->n_lanes * FILES_PER_LANE * sizeof(uint64_t));
	header.checksum = checksum_of(at, account->n_lanes);
	memcpy(at, &header, sizeof(header));
}

static int check_header(const struct account_header *header, const void *data, size_t len)
{
	if (memcmp(header->magic, ACCOUNT_MAGIC, sizeof(header->magic)) != 0 ||
	    header->version != ACCOUNT_VERSION || header->header_size != sizeof(*header) ||
	    header->lane_size != sizeof(struct fold_state) || header->n_lanes == 0 ||
	    header->n_lanes > CHUNK_TABLE_MAX_LANES || len < account_size(header->n_lanes) ||
	    header->checksum != checksum_of(data, header->n_lanes)) {
		return -EINVAL;
	}
	return 0;
}

int account_decode(const void *data, size_t len, struct account *ret_account)
{
	struct account_header header;

	if (len < sizeof(header)) {
		return -EINVAL;
	}
	memcpy(&header, data, sizeof(header));
	int r = check_header(&header, data, len);
	if (r < 0) {
		return r;
	}
	size_t n_lanes = header.n_lanes;
	size_t body_size = account_size(n_lanes) - sizeof(header);
	struct fold_state *lanes = malloc(body_size);
	if (lanes == NULL) {
		return -ENOMEM;
	}
	memcpy(lanes, (const char *)data + sizeof(header), body_size);
	*ret_account = (struct account){
		.sequence = header.sequence,
		.build_id = header.build_id,
		.plan_checksum = header.plan_checksum,
		.saved_plan_checksum = header.saved_plan_checksum,
		.started_at_ns = header.started_at_ns,
		.tally = header.tally,
		.held = header.held,
		.n_lanes = n_lanes,
		.lanes = lanes,
		.inodes = (const uint64_t *)(const void *)(lanes + n_lanes),
		.owned = lanes,
	};
	memcpy(ret_account->boot_id, header.boot_id, sizeof(header.boot_id));
	return 0;
}

void account_deinit(struct account *account)
{
	free(account->owned);
	*account = (struct account){0};
}

int account_keep_newest(struct account *newest, const void *data, size_t len)
{
	struct account account = {0};
	int r = account_decode(data, len, &account);

	if (r == -ENOMEM) {
		account_deinit(newest);
		return r;
	}
	if (r < 0 || (newest->owned != NULL && account.sequence < newest->sequence)) {
		account_deinit(&account);
		return 0;
	}
	account_deinit(newest);
	*newest = account;
	return 1;
}
