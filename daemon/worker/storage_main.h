/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * zooparallel-worker storage N_FOLDERS: carries out the requests of common/model/storage_request.h
 * until its socket is closed. Returns an exit code (enum worker_exit).
 */
int storage_main(int n_args, char *const *args);
