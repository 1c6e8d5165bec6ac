/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stands for the pid of the worker in a filter's program, since that is made before there is one.
 * Above the kernel's largest pid, and no other number of the tables.
 */
#define FILTER_PID 0x7a706964U
