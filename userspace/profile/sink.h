/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h - where an encoder's bytes go. */
#ifndef EBPROF_PROFILE_SINK_H
#define EBPROF_PROFILE_SINK_H

#include <stddef.h>

struct sink {
	/* Takes all size bytes or returns a negative errno; called in order. */
	int (*write)(struct sink *sink, const void *data, size_t size_bytes);
};

#endif
