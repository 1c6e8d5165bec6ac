/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sends log messages to the journal, with fields (JOB=, WORKER=, PRIORITY=), if stderr is the
 * journal's; else leaves the lines on stderr as they are.
 */
void journal_install(void);
