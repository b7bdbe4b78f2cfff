/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How does a stream of small writes become a gzip file without being held in memory?
 *
 * zlib keeps its window; what comes out is passed on in chunks of a fixed size. The header has no time and no file
 * name, so equal input gives equal bytes. Level 1 is what Go's own profile writer uses: a profile is written while
 * somebody waits for it, and repeats itself enough to compress well at any level.
 */
#include "gzip_sink.h"

#include <errno.h>
#include <stdint.h>
#include <zlib.h>

#include "memory.h"

enum { CHUNK_BYTES = 32768, WINDOW_BITS = 15, AS_GZIP = 16, MEMORY_LEVEL = 8, INPUT_MAX = 1 << 30 };

struct gzip_sink {
	struct sink sink; /* first: gzip_write casts */
	struct sink *below;
	z_stream stream;
	uint8_t chunk[CHUNK_BYTES];
};

/* Feeds deflate until it has taken all input (and, with Z_FINISH, given all output), passing on full chunks. */
static int gzip_deflate(struct gzip_sink *gzip, int flush)
{
	for (;;) {
		int status = deflate(&gzip->stream, flush);

		if (status == Z_STREAM_ERROR)
			return -EINVAL;
		if (flush != Z_FINISH && gzip->stream.avail_out)
			return 0;
		size_t ready = CHUNK_BYTES - gzip->stream.avail_out;
		int error = ready ? gzip->below->write(gzip->below, gzip->chunk, ready) : 0;

		if (error)
			return error;
		if (status == Z_STREAM_END)
			return 0;
		gzip->stream.next_out = gzip->chunk;
		gzip->stream.avail_out = CHUNK_BYTES;
	}
}

static int gzip_write(struct sink *sink, const void *data, size_t size_bytes)
{
	struct gzip_sink *gzip = (struct gzip_sink *)sink;
	const uint8_t *bytes = data;

	while (size_bytes) {
		size_t piece = size_bytes < INPUT_MAX ? size_bytes : INPUT_MAX;

		/* zlib does not write to its input. */
		gzip->stream.next_in = (Bytef *)bytes;
		gzip->stream.avail_in = (uInt)piece;
		int error = gzip_deflate(gzip, Z_NO_FLUSH);

		if (error)
			return error;
		bytes += piece;
		size_bytes -= piece;
	}
	return 0;
}

int gzip_sink_create(struct sink *below, struct gzip_sink **ret)
{
	struct gzip_sink *gzip = memory_new(struct gzip_sink);

	gzip->sink.write = gzip_write;
	gzip->below = below;
	gzip->stream.next_out = gzip->chunk;
	gzip->stream.avail_out = CHUNK_BYTES;
	if (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS + AS_GZIP, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(gzip);
		return -ENOMEM;
	}
	*ret = gzip;
	return 0;
}

void gzip_sink_destroy(struct gzip_sink *gzip)
{
	if (!gzip)
		return;
	deflateEnd(&gzip->stream);
	free(gzip);
}

struct sink *gzip_sink_input(struct gzip_sink *gzip)
{
	return &gzip->sink;
}

int gzip_sink_finish(struct gzip_sink *gzip)
{
	gzip->stream.next_in = NULL;
	gzip->stream.avail_in = 0;
	return gzip_deflate(gzip, Z_FINISH);
}
