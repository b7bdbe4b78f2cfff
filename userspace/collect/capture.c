/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct capture {
	FILE *file;
	bool failed;
};

int capture_create(const char *path, struct capture **ret, struct problem *problem)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file)
		return problem_set(problem, -errno, "cannot write the capture file '%s' (%s)", path, strerror(errno));
	(void)steal_fd(fd);
	struct capture *capture = memory_new(struct capture);

	capture->file = file;
	fwrite("ebprofc2", 8, 1, file);
	*ret = capture;
	return 0;
}

void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	if (fclose(capture->file) && !capture->failed)
		message_error("the capture file is incomplete (%s)", strerror(errno));
	free(capture);
}

static void put(struct capture *capture, const void *data, size_t size_bytes)
{
	if (!size_bytes || fwrite(data, size_bytes, 1, capture->file) == 1 || capture->failed)
		return;
	capture->failed = true;
	message_error("the capture file is incomplete (%s)", strerror(errno));
}

/* The runtime address of a frame, by the mappings of its process; 0 = in none that is known. */
static uint64_t frame_pc(const struct process *process, uint64_t frame)
{
	if (frame_kind(frame) == FRAME_RAW)
		return frame_raw_pc(frame);
	for (size_t i = 0; process && i < process->mappings.list.nr; i++) {
		const struct mapping *mapping = &process->mappings.list.data[i];
		uint64_t into = frame_offset(frame) - mapping->module_offset;

		/* A return address may point just behind the mapping. */
		if (mapping->module == frame_module(frame) && into <= mapping->end - mapping->start)
			return mapping->start + into;
	}
	return 0;
}

static void put_head(struct capture *capture, uint32_t type, size_t size_bytes)
{
	uint32_t head[2] = {type, (uint32_t)size_bytes};

	put(capture, head, sizeof(head));
}

void capture_write(struct capture *capture, const struct record_capture *record, const struct processes *processes)
{
	const struct process *process = processes_find_slot(processes, record->process);
	struct capture_sample sample = {
		.process = record->process,
		.pid = record->pid,
		.tid = record->tid,
		.nr_frames = record->nr_walked > record->nr_frames ? 0 : record->nr_frames,
		.nr_walked = record->nr_walked,
		.stop = record->stop,
		.stack_bytes = record->stack_bytes <= CAPTURE_STACK_MAX ? record->stack_bytes : 0,
		.in_kernel = record->in_kernel,
		.time_ns = record->time_ns,
	};
	uint64_t pcs[USER_FRAMES_MAX];

	if (capture->failed || sample.nr_frames > USER_FRAMES_MAX)
		return;
	memcpy(sample.regs, record->regs, sizeof(sample.regs));
	for (uint32_t i = 0; i < sample.nr_frames; i++)
		pcs[i] = frame_pc(process, record->frames[i]);
	size_t frames_bytes = sample.nr_frames * sizeof(pcs[0]);

	put_head(capture, CAPTURE_SAMPLE, sizeof(sample) + 2 * frames_bytes + sample.stack_bytes);
	put(capture, &sample, sizeof(sample));
	put(capture, record->frames, frames_bytes);
	put(capture, pcs, frames_bytes);
	put(capture, record->stack, sample.stack_bytes);
}

void capture_finish(struct capture *capture, const struct processes *processes, const struct modules *modules)
{
	for (size_t i = 0; i < processes->list.nr; i++) {
		const struct process *process = &processes->list.data[i];

		for (size_t j = 0; j < process->mappings.list.nr; j++) {
			const struct mapping *mapping = &process->mappings.list.data[j];
			struct capture_mapping head = {
				.process = process->slot,
				.pid = process->pid,
				.start = mapping->start,
				.end = mapping->end,
				.file_offset = mapping->file_offset,
				.module_offset = mapping->module_offset,
				.module = mapping->module,
			};
			const char *path = mapping->module == NO_MODULE ? strings_text(&processes->files.paths, mapping->path)
									: modules->list.data[mapping->module].path;

			put_head(capture, CAPTURE_MAPPING, sizeof(head) + strlen(path));
			put(capture, &head, sizeof(head));
			put(capture, path, strlen(path));
		}
	}
}
