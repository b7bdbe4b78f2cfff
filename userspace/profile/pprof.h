/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprof.h - write a profile as profile.proto, gzipped.
 *
 * Format: google/pprof proto/profile.proto. Streaming: memory use does not grow with the output.
 */
#ifndef EBPROF_PROFILE_PPROF_H
#define EBPROF_PROFILE_PPROF_H

#include "profile.h"
#include "sink.h"

/* The sink's error, or 0. */
int pprof_write(const struct profile *profile, struct sink *sink);

#endif
