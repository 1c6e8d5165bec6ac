/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `zooparallel-worker prepare CHUNK_SIZE ROOT...`: opens the inputs of the spec in
 * PREPARE_FD_SPEC, resolves header, columns and sizes, writes the plan to PREPARE_FD_PLAN. What is
 * wrong with the inputs is in the plan; another exit code than 0 means there is none.
 */
int prepare_main(int n_args, char *const *args);
