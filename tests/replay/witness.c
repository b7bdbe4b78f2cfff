/* SPDX-License-Identifier: Apache-2.0 */
#include "witness.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "table.h"

enum {
	WITNESS_FRAMES_MAX = 5000,
	RED_ZONE_BYTES = 128,      /* below rsp, still the function's own: where epilogues have just popped from */
	STACK_SIZE_MAX = 64 << 20, /* farther above rsp a read is no stack that was cut */
};

/* What call-frame information says about a place in the code; asked once for each. */
struct place {
	bool has_cfi;
	bool is_root;   /* the return address is undefined */
	bool is_signal; /* the caller is what a signal interrupted */
};

struct witness {
	Dwfl *dwfl;
	VECTOR(struct place) places;
	struct table place_of;     /* lookup_pc -> places */
	VECTOR(uint64_t) reported; /* {hash of path, bias} pairs: a file has several mappings */

	/* The sample at work. */
	const struct captured_sample *sample;
	struct witness_chain *chain;
	uint64_t failed_read; /* first address that could not be read since the last frame, 0 = none */
	bool missed_red_zone; /* a read just below rsp failed, in any frame: a register of a later frame is unknown */
};

const char *witness_end_text(enum witness_end end)
{
	static const char *const texts[] = {
#define WITNESS_END(name, text) text,
		WITNESS_ENDS(WITNESS_END)
#undef WITNESS_END
	};

	return end < NR_WITNESS_ENDS ? texts[end] : "?";
}

/* --- the files ---------------------------------------------------------------------------------------------------- */

/* What to add to the file's addresses: from the segment that the mapping shows. */
static int find_bias(int fd, const struct capture_mapping *mapping, uint64_t *ret)
{
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	size_t nr = 0;
	int err = -EBADMSG;

	if (elf && elf_getphdrnum(elf, &nr))
		nr = 0;
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr segment;

		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD || !(segment.p_flags & PF_X))
			continue;
		uint64_t page = segment.p_offset & ~(uint64_t)4095;

		if (mapping->file_offset < page || mapping->file_offset >= segment.p_offset + segment.p_filesz)
			continue;
		*ret = mapping->start - mapping->file_offset + segment.p_offset - segment.p_vaddr;
		err = 0;
	}
	elf_end(elf);
	return err;
}

/* The vDSO is the same in all 64-bit processes, so ours is as good; libdwfl wants a file. Owned by the caller. */
static int open_vdso(void)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);

	if (!image)
		return -1;
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
	size_t size = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
	_cleanup_close_ int fd = memfd_create("vdso", MFD_CLOEXEC);

	if (fd < 0 || write(fd, image, size) != (ssize_t)size)
		return -1;
	return steal_fd(fd);
}

static bool is_reported(struct witness *witness, const char *path, uint64_t bias)
{
	uint64_t hash = hash_bytes(path, strlen(path), 1);

	for (size_t i = 0; i < witness->reported.nr; i += 2)
		if (witness->reported.data[i] == hash && witness->reported.data[i + 1] == bias)
			return true;
	*vector_push(&witness->reported) = hash;
	*vector_push(&witness->reported) = bias;
	return false;
}

static void report_mapping(struct witness *witness, const struct captured_mapping *mapping)
{
	const char *path = mapping->path;
	uint64_t bias = 0;

	if (path[0] != '/' && strcmp(path, "[vdso]"))
		return;
	_cleanup_close_ int fd = path[0] == '[' ? open_vdso() : open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : find_bias(fd, &mapping->head, &bias);

	if (err) {
		message_warn("'%s' cannot be used (%s): stacks through it have no witness", path, strerror(-err));
		return;
	}
	if (is_reported(witness, path, bias))
		return;
	if (!dwfl_report_elf(witness->dwfl, path, path, fd, bias, true))
		message_warn("'%s' cannot be used (%s): stacks through it have no witness", path, dwfl_errmsg(-1));
	else
		(void)steal_fd(fd);
}

/* --- what libdwfl asks for ---------------------------------------------------------------------------------------- */

/* Only what the process cannot have changed. */
static bool read_file_memory(struct witness *witness, uint64_t address, uint64_t *ret)
{
	Dwfl_Module *module = dwfl_addrmodule(witness->dwfl, address);
	GElf_Addr bias;
	Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;
	size_t nr = 0, size = 0;
	const char *image = elf ? elf_rawfile(elf, &size) : NULL;

	if (!image || elf_getphdrnum(elf, &nr))
		return false;
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr segment;

		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD || (segment.p_flags & PF_W))
			continue;
		uint64_t into = address - bias - segment.p_vaddr;

		if (into >= segment.p_filesz || segment.p_filesz - into < 8 || segment.p_offset + into + 8 > size)
			continue;
		memcpy(ret, image + segment.p_offset + into, 8);
		return true;
	}
	return false;
}

static bool read_memory(Dwfl *dwfl __attribute__((unused)), Dwarf_Addr address, Dwarf_Word *ret, void *context)
{
	struct witness *witness = context;
	const struct capture_sample *head = &witness->sample->head;
	uint64_t into = address - head->regs[DWARF_RSP];

	if (into < head->stack_bytes && head->stack_bytes - into >= 8) {
		memcpy(ret, witness->sample->stack + into, 8);
		return true;
	}
	uint64_t word;

	if (read_file_memory(witness, address, &word)) {
		*ret = word;
		return true;
	}
	if (!witness->failed_read)
		witness->failed_read = address;
	if (head->regs[DWARF_RSP] - address <= RED_ZONE_BYTES)
		witness->missed_red_zone = true;
	return false;
}

static bool get_thread(Dwfl *dwfl __attribute__((unused)), pid_t tid __attribute__((unused)), void *context,
		       void **thread_context)
{
	*thread_context = context;
	return true;
}

/* libdwfl insists on it, and never calls it where there is get_thread. */
static pid_t next_thread(Dwfl *dwfl __attribute__((unused)), void *context __attribute__((unused)),
			 void **thread_context __attribute__((unused)))
{
	return 0;
}

static bool set_registers(Dwfl_Thread *thread, void *context)
{
	const struct witness *witness = context;

	return dwfl_thread_state_registers(thread, 0, NR_REGS, witness->sample->head.regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static char *debuginfo_path;
static const Dwfl_Callbacks dwfl_callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
	.debuginfo_path = &debuginfo_path,
};

/* --- frames ------------------------------------------------------------------------------------------------------- */

static bool look_into(Dwarf_CFI *cfi, uint64_t file_addr, struct place *ret)
{
	Dwarf_Frame *frame;
	Dwarf_Op buffer[3], *ops;
	size_t nr_ops;

	if (!cfi || dwarf_cfi_addrframe(cfi, file_addr, &frame))
		return false;
	ret->has_cfi = true;
	dwarf_frame_info(frame, NULL, NULL, &ret->is_signal);
	if (!dwarf_frame_register(frame, DWARF_RIP, buffer, &ops, &nr_ops))
		ret->is_root = nr_ops == 0 && ops == buffer;
	free(frame);
	return true;
}

static struct place find_place(struct witness *witness, uint64_t lookup_pc)
{
	bool added;
	uint32_t index = table_intern(&witness->place_of, &lookup_pc, (uint32_t)witness->places.nr, &added);

	if (!added)
		return witness->places.data[index];
	struct place *place = vector_push(&witness->places);
	Dwfl_Module *module = dwfl_addrmodule(witness->dwfl, lookup_pc);
	Dwarf_Addr bias = 0;

	if (!module)
		return *place;
	/* In the order in which libdwfl asks. */
	Dwarf_CFI *cfi = dwfl_module_eh_cfi(module, &bias);

	if (look_into(cfi, lookup_pc - bias, place))
		return *place;
	cfi = dwfl_module_dwarf_cfi(module, &bias);
	look_into(cfi, lookup_pc - bias, place);
	return *place;
}

/* The place of a frame of the chain. */
static struct place place_of_frame(struct witness *witness, size_t index)
{
	const struct witness_frame *frame = &witness->chain->frames.data[index];

	return find_place(witness, frame->pc - !frame->is_exact);
}

static int take_frame(Dwfl_Frame *state, void *context)
{
	struct witness *witness = context;
	struct witness_chain *chain = witness->chain;
	size_t nr = chain->frames.nr;
	Dwarf_Addr pc;

	if (nr >= WITNESS_FRAMES_MAX || !dwfl_frame_pc(state, &pc, NULL))
		return DWARF_CB_ABORT;
	/*
	 * libdwfl's own "is activation" is not used: it says of the trampoline that it is exact, and yet libdwfl looks
	 * it up like any caller, which is what has to be known of its place.
	 */
	bool is_exact = nr == 0 || place_of_frame(witness, nr - 1).is_signal;
	struct witness_frame *frame = vector_push(&chain->frames);

	frame->pc = pc;
	frame->is_exact = is_exact;
	frame->has_cfi = place_of_frame(witness, nr).has_cfi;
	/* A trampoline was not called from the byte before: it bears its own name. */
	frame->is_exact |= place_of_frame(witness, nr).is_signal;
	witness->failed_read = 0;
	return DWARF_CB_OK;
}

/* Why the chain ended where it did; failed: libdwfl said that it was an error. */
static enum witness_end judge_end(struct witness *witness, bool failed)
{
	const struct witness_chain *chain = witness->chain;
	const struct capture_sample *head = &witness->sample->head;
	size_t nr = chain->frames.nr;

	if (!nr)
		return WITNESS_other;
	if (nr >= WITNESS_FRAMES_MAX)
		return WITNESS_too_deep;
	for (size_t i = 0; i + 1 < nr; i++)
		if (!chain->frames.data[i].has_cfi)
			return WITNESS_guessed;
	const struct witness_frame *last = &chain->frames.data[nr - 1];
	uint64_t stack_end = head->regs[DWARF_RSP] + head->stack_bytes;

	if (!failed && place_of_frame(witness, nr - 1).is_root)
		return WITNESS_finished;
	if (!dwfl_addrmodule(witness->dwfl, last->pc - !last->is_exact))
		return WITNESS_no_module;
	if (!last->has_cfi)
		return WITNESS_no_cfi;
	if (!witness->failed_read)
		return witness->missed_red_zone ? WITNESS_red_zone : WITNESS_other;
	/* The word may begin within the stack and end behind it. */
	return witness->failed_read + 8 - stack_end < STACK_SIZE_MAX ? WITNESS_stack_cut : WITNESS_unreadable;
}

struct witness *witness_create(const struct capture_file *file, uint32_t slot)
{
	struct witness *witness = memory_new(struct witness);

	elf_version(EV_CURRENT);
	table_init(&witness->place_of, sizeof(uint64_t));
	witness->dwfl = dwfl_begin(&dwfl_callbacks);
	if (!witness->dwfl) {
		witness_destroy(witness);
		return NULL;
	}
	dwfl_report_begin(witness->dwfl);
	pid_t pid = 1;

	for (size_t i = 0; i < file->mappings.nr; i++) {
		if (file->mappings.data[i].head.process != slot)
			continue;
		pid = (pid_t)file->mappings.data[i].head.pid;
		report_mapping(witness, &file->mappings.data[i]);
	}
	dwfl_report_end(witness->dwfl, NULL, NULL);
	if (!dwfl_attach_state(witness->dwfl, NULL, pid, &thread_callbacks, witness)) {
		witness_destroy(witness);
		return NULL;
	}
	return witness;
}

void witness_destroy(struct witness *witness)
{
	if (!witness)
		return;
	if (witness->dwfl)
		dwfl_end(witness->dwfl);
	table_deinit(&witness->place_of);
	vector_free(&witness->places);
	vector_free(&witness->reported);
	free(witness);
}

void witness_walk(struct witness *witness, const struct captured_sample *sample, struct witness_chain *ret)
{
	witness->sample = sample;
	witness->chain = ret;
	witness->failed_read = 0;
	witness->missed_red_zone = false;
	ret->frames.nr = 0;
	dwfl_errno(); /* forget what happened before */
	int failed = dwfl_getthread_frames(witness->dwfl, (pid_t)sample->head.tid, take_frame, witness);

	snprintf(ret->error, sizeof(ret->error), "%s", failed == -1 ? dwfl_errmsg(-1) : "");
	ret->end = judge_end(witness, failed != 0);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

void witness_format_place(struct witness *witness, uint64_t pc, bool is_exact, char *ret, size_t size)
{
	Dwfl_Module *module = witness ? dwfl_addrmodule(witness->dwfl, pc - !is_exact) : NULL;
	GElf_Addr bias;

	if (!module || !dwfl_module_getelf(module, &bias)) {
		snprintf(ret, size, "0x%llx", (unsigned long long)pc);
		return;
	}
	const char *path = dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
	const char *slash = strrchr(path, '/');

	snprintf(ret, size, "%s+0x%llx", slash ? slash + 1 : path, (unsigned long long)(pc - bias));
}

const char *witness_symbol(struct witness *witness, uint64_t pc, bool is_exact)
{
	Dwfl_Module *module = witness ? dwfl_addrmodule(witness->dwfl, pc - !is_exact) : NULL;
	const char *name = module ? dwfl_module_addrname(module, pc - !is_exact) : NULL;

	return name ? name : "?";
}
