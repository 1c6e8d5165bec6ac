/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `zooparallel-worker convert SLOT N_ROOTS NAME`: one worker of a job's pool. Claims chunk after
 * chunk until there are none left, or the table says stop.
 */
int convert_main(int n_args, char *const *args);
