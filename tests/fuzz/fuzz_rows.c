/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rows.c - the rows compiler on whole files: the input is an ELF file.
 *
 * This is the way in that a hostile process has: headers, segments, sections, compressed ones, entry point. What is in
 * the sections is reached sooner by fuzz_frames. One memory file is reused for all inputs, because making one costs
 * more than compiling.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "entries.h"
#include "table_check.h"

static int image_of(const uint8_t *data, size_t size)
{
	static int image = -1;

	if (image < 0)
		image = memfd_create("input", MFD_CLOEXEC);
	CHECK(ftruncate(image, (off_t)size) == 0);
	CHECK(pwrite(image, data, size, 0) == (ssize_t)size);
	return dup(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	compile_and_check(image_of(data, size));
	return 0;
}
