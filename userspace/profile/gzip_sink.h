/* SPDX-License-Identifier: Apache-2.0 */
/* gzip_sink.h - a sink that compresses into another sink. */
#ifndef EBPROF_PROFILE_GZIP_SINK_H
#define EBPROF_PROFILE_GZIP_SINK_H

#include "sink.h"

struct gzip_sink;

/* Borrows below, which must live until gzip_sink_destroy. -ENOMEM when zlib gets no memory. */
int gzip_sink_create(struct sink *below, struct gzip_sink **ret);

/* NULL is allowed. Without gzip_sink_finish() before, what was written is not a whole gzip file. */
void gzip_sink_destroy(struct gzip_sink *gzip);

/* Where to write; errors are the sink's below. */
struct sink *gzip_sink_input(struct gzip_sink *gzip);

/* Writes what is still held, and the trailer. Nothing may be written afterwards. */
int gzip_sink_finish(struct gzip_sink *gzip);

#endif
