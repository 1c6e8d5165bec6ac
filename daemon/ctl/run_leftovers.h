/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/ctl/run_tree.h"
#include "daemon/ctl/spec_file.h"

/*
 * Removes the temporary outputs that a private daemon could not remove any more because it was
 * killed: `.zp-ID-N.part` beside the targets of the spec, of the one job in the tree. The daemon
 * and its workers are gone. data_root is absolute and resolved. What can't be removed is told.
 */
void run_leftovers_remove(const struct run_tree *tree, const char *data_root,
			  const struct spec_file *spec);
