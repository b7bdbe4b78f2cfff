/* SPDX-License-Identifier: Apache-2.0 */
#include "capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MAGIC_BYTES = 8, HEAD_BYTES = 8, BYTES_PER_FRAME = 16 /* frame and pc */ };

static int check_sample(const uint8_t *body, size_t size_bytes)
{
	struct capture_sample head;

	if (size_bytes < sizeof(head))
		return -EBADMSG;
	memcpy(&head, body, sizeof(head));
	if (head.nr_frames > USER_FRAMES_MAX || head.stack_bytes > CAPTURE_STACK_MAX)
		return -EBADMSG;
	return size_bytes == sizeof(head) + head.nr_frames * BYTES_PER_FRAME + head.stack_bytes ? 0 : -EBADMSG;
}

static int add_mapping(struct capture_file *file, const uint8_t *body, size_t size_bytes)
{
	if (size_bytes < sizeof(struct capture_mapping))
		return -EBADMSG;
	struct captured_mapping *mapping = vector_push(&file->mappings);

	memcpy(&mapping->head, body, sizeof(mapping->head));
	mapping->path = strndup((const char *)body + sizeof(mapping->head), size_bytes - sizeof(mapping->head));
	return mapping->path ? 0 : -ENOMEM;
}

static int list_blocks(struct capture_file *file)
{
	if (file->size_bytes < MAGIC_BYTES || memcmp(file->data, "ebprofc2", MAGIC_BYTES))
		return -EBADMSG;
	for (size_t at = MAGIC_BYTES; at < file->size_bytes;) {
		uint32_t head[2];

		if (file->size_bytes - at < HEAD_BYTES)
			return -EBADMSG;
		memcpy(head, file->data + at, HEAD_BYTES);
		at += HEAD_BYTES;
		if (head[1] > file->size_bytes - at)
			return -EBADMSG;
		int err = -EBADMSG;

		if (head[0] == CAPTURE_SAMPLE) {
			err = check_sample(file->data + at, head[1]);
			*vector_push(&file->samples) = at;
		} else if (head[0] == CAPTURE_MAPPING) {
			err = add_mapping(file, file->data + at, head[1]);
		}
		if (err)
			return err;
		at += head[1];
	}
	return 0;
}

int capture_file_open(const char *path, struct capture_file *ret, struct problem *problem)
{
	struct stat stat;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret = (struct capture_file){0};
	if (fd < 0 || fstat(fd, &stat))
		return problem_set(problem, -errno, "cannot read '%s' (%s)", path, strerror(errno));
	if (!stat.st_size)
		return problem_set(problem, -EBADMSG, "'%s' is empty", path);
	void *data = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED)
		return problem_set(problem, -errno, "cannot read '%s' (%s)", path, strerror(errno));
	ret->data = data;
	ret->size_bytes = (size_t)stat.st_size;
	int err = list_blocks(ret);

	return err ? problem_set(problem, err, "'%s' is not a whole capture file", path) : 0;
}

void capture_file_close(struct capture_file *file)
{
	for (size_t i = 0; i < file->mappings.nr; i++)
		free(file->mappings.data[i].path);
	vector_free(&file->mappings);
	vector_free(&file->samples);
	if (file->data)
		munmap((void *)file->data, file->size_bytes);
	file->data = NULL;
}

/* Where a frame is by the mappings at the end; 0 = nowhere. A return address may point just behind its mapping. */
static uint64_t place_frame(const struct capture_file *file, uint32_t slot, uint64_t frame)
{
	for (size_t i = 0; i < file->mappings.nr; i++) {
		const struct capture_mapping *mapping = &file->mappings.data[i].head;
		uint64_t into = frame_offset(frame) - mapping->module_offset;

		if (mapping->process == slot && mapping->module == frame_module(frame) &&
		    into <= mapping->end - mapping->start)
			return mapping->start + into;
	}
	return 0;
}

void capture_file_sample(const struct capture_file *file, size_t index, struct captured_sample *ret)
{
	const uint8_t *body = file->data + file->samples.data[index];

	memcpy(&ret->head, body, sizeof(ret->head));
	body += sizeof(ret->head);
	size_t frames_bytes = ret->head.nr_frames * sizeof(ret->frames[0]);

	memcpy(ret->frames, body, frames_bytes);
	memcpy(ret->pcs, body + frames_bytes, frames_bytes);
	ret->stack = body + 2 * frames_bytes;
	for (uint32_t i = 0; i < ret->head.nr_frames; i++)
		if (!ret->pcs[i] && frame_kind(ret->frames[i]) == FRAME_FILE)
			ret->pcs[i] = place_frame(file, ret->head.process, ret->frames[i]);
}
