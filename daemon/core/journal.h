/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sends log messages to the journal, with their priority and, about a job or a worker, with fields
 * (JOB=, WORKER=), if stderr is the journal's; else leaves the lines on stderr as they are.
 */
void journal_install(void);
