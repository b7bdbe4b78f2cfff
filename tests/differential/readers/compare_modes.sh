#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the reader process says of this machine's libraries against what the library says in one process; see
# compare_modes.c. The build's own files, which have debug information, are among them.
set -eu

build=${EBPROF_BUILD:-$(dirname "$0")/../../../build}
exec "$build/tests/differential/readers/compare_modes" /usr/lib/x86_64-linux-gnu/*.so.* "$build"/ebprof \
	"$build"/tests/workloads/shares* "$build"/tests/workloads/names
