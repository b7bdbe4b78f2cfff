/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump_names.c - prints what the reader says about addresses of a file, for comparison with other programs.
 *
 * dump_names FILE < addresses, one hexadecimal file_addr a line. For each, in the order given: a line "address number
 * of frames", then a line per frame, innermost first: system name, name, file, line, start line, tab-separated, "?"
 * where unknown. The last line is "status" and the three flags.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "reader.h"
#include "vector.h"

struct answer {
	char *text;
	size_t nr_frames;
	unsigned int nr_calls;
};

static const char *known(const char *text)
{
	return text ? text : "?";
}

static void answer_keep(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct answer *answer = (struct answer *)context + index;
	size_t size;
	FILE *out;

	free(answer->text);
	answer->text = NULL;
	out = open_memstream(&answer->text, &size);
	for (size_t i = 0; i < nr_frames; i++)
		fprintf(out, "%s\t%s\t%s\t%" PRIu32 "\t%" PRIu32 "\n", known(frames[i].system_name),
			known(frames[i].name), known(frames[i].file), frames[i].line, frames[i].start_line);
	fclose(out);
	answer->nr_frames = nr_frames;
	answer->nr_calls++;
}

int main(int argc, char **argv)
{
	VECTOR(uint64_t) addrs = {0};
	struct reader *reader = reader_create(NULL);
	struct names_status status = {0};
	struct answer *answers;
	uint64_t addr;
	int err;
	int fd;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	while (scanf("%" SCNx64, &addr) == 1)
		*vector_push(&addrs) = addr;
	if (!feof(stdin)) {
		fprintf(stderr, "dump_names: this is no list of addresses\n");
		return 2;
	}
	answers = memory_new_array(struct answer, addrs.nr + 1);
	err = reader_names(reader, &(struct reader_file){fd, argv[1]}, addrs.data, addrs.nr, answer_keep, answers,
			   &status);
	if (err < 0) {
		fprintf(stderr, "dump_names: %s: %s\n", argv[1], strerror(-err));
		return 2;
	}
	for (size_t i = 0; i < addrs.nr; i++) {
		if (answers[i].nr_calls != 1) {
			fprintf(stderr, "dump_names: %u answers for %" PRIx64 "\n", answers[i].nr_calls, addrs.data[i]);
			return 2;
		}
		printf("%" PRIx64 " %zu\n%s", addrs.data[i], answers[i].nr_frames, answers[i].text);
		free(answers[i].text);
	}
	printf("status %d %d %d\n", status.has_symtab, status.has_debug_info, status.debug_file_used);
	free(answers);
	vector_free(&addrs);
	reader_destroy(reader);
	close(fd);
	return 0;
}
