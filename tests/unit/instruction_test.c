/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instruction_test.c - lengths and effects of single instructions, written as the bytes that an assembler makes of
 * them. Lengths of everything that real libraries hold are compared with objdump elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "instruction.h"
#include "memory.h"
#include "rows.h"

enum { ADDR = 0x1000, NO = NO_REGISTER };

struct example {
	const char *text;
	const char *bytes;
	uint8_t length;
	struct instruction expected; /* without length */
};

#define LOST(reg) (1u << DWARF_##reg)
#define LOST_BY_CALL                                                                                                   \
	(LOST(RAX) | LOST(RCX) | LOST(RDX) | LOST(RSI) | LOST(RDI) | LOST(R8) | LOST(R9) | LOST(R10) | LOST(R11))
#define BYTES(text) text, sizeof(text) - 1

static void check(const struct example *examples, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct example *example = &examples[i];
		const struct instruction *expected = &example->expected;
		struct instruction found;

		if (!instruction_decode((const uint8_t *)example->bytes, example->length, ADDR, &found))
			fail_msg("%s: not decoded", example->text);
		if (found.length != example->length || found.kind != expected->kind || found.reg != expected->reg ||
		    found.base != expected->base || found.lost != expected->lost || found.offset != expected->offset ||
		    found.target != expected->target)
			fail_msg("%s: length %u kind %u reg %u base %u lost %#x offset %d target %#llx", example->text,
				 found.length, found.kind, found.reg, found.base, found.lost, found.offset,
				 (unsigned long long)found.target);
	}
}

static void test_pushes_and_pops(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{"push rbx", BYTES("\x53"), {.kind = INSTRUCTION_PUSH, .reg = DWARF_RBX, .base = NO}},
		{"push r13", BYTES("\x41\x55"), {.kind = INSTRUCTION_PUSH, .reg = DWARF_R13, .base = NO}},
		{"push 1", BYTES("\x6a\x01"), {.kind = INSTRUCTION_PUSH, .reg = NO, .base = NO}},
		{"push 0x12345678", BYTES("\x68\x78\x56\x34\x12"), {.kind = INSTRUCTION_PUSH, .reg = NO, .base = NO}},
		{"push [rax+8]", BYTES("\xff\x70\x08"), {.kind = INSTRUCTION_PUSH, .reg = NO, .base = NO, .offset = 8}},
		{"pushf", BYTES("\x9c"), {.kind = INSTRUCTION_PUSH, .reg = NO, .base = NO}},
		{"pop rbp", BYTES("\x5d"), {.kind = INSTRUCTION_POP, .reg = DWARF_RBP, .base = NO}},
		{"pop r15", BYTES("\x41\x5f"), {.kind = INSTRUCTION_POP, .reg = DWARF_R15, .base = NO}},
		{"pop [rax]", BYTES("\x8f\x00"), {.kind = INSTRUCTION_POP, .reg = NO, .base = NO}},
		{"popf", BYTES("\x9d"), {.kind = INSTRUCTION_POP, .reg = NO, .base = NO}},
		{"enter 0x123, 0",
		 BYTES("\xc8\x23\x01\x00"),
		 {.kind = INSTRUCTION_ENTER, .reg = NO, .base = NO, .offset = 0x123}},
		{"leave", BYTES("\xc9"), {.kind = INSTRUCTION_LEAVE, .reg = NO, .base = NO}},
		{"push ax", BYTES("\x66\x50"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"pop bx", BYTES("\x66\x5b"), {.reg = NO, .base = NO, .lost = LOST(RSP) | LOST(RBX)}},
		{"push fs", BYTES("\x0f\xa0"), {.kind = INSTRUCTION_PUSH, .reg = NO, .base = NO}},
		{"pop rsp", BYTES("\x5c"), {.kind = INSTRUCTION_POP, .reg = DWARF_RSP, .base = NO}},
		{"enter 16, 1", BYTES("\xc8\x10\x00\x01"), {.reg = NO, .base = NO, .lost = LOST(RSP) | LOST(RBP)}},
		{"leave of 16 bits", BYTES("\x66\xc9"), {.reg = NO, .base = NO, .lost = LOST(RSP) | LOST(RBP)}},
	};

	check(examples, ARRAY_SIZE(examples));
}

static void test_stack_addresses(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{"mov rbp, rsp",
		 BYTES("\x48\x89\xe5"),
		 {.kind = INSTRUCTION_MOVE, .reg = DWARF_RBP, .base = DWARF_RSP}},
		{"mov rbp, rsp (other form)",
		 BYTES("\x48\x8b\xec"),
		 {.kind = INSTRUCTION_MOVE, .reg = DWARF_RBP, .base = DWARF_RSP}},
		{"sub rsp, 0x188",
		 BYTES("\x48\x81\xec\x88\x01\x00\x00"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RSP, .base = DWARF_RSP, .offset = -0x188}},
		{"sub rsp, -0x80",
		 BYTES("\x48\x83\xec\x80"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RSP, .base = DWARF_RSP, .offset = 0x80}},
		{"add rsp, 8",
		 BYTES("\x48\x83\xc4\x08"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RSP, .base = DWARF_RSP, .offset = 8}},
		{"lea rsp, [rbp-0x28]",
		 BYTES("\x48\x8d\x65\xd8"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RSP, .base = DWARF_RBP, .offset = -0x28}},
		{"lea rax, [r12+4]",
		 BYTES("\x49\x8d\x44\x24\x04"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RAX, .base = DWARF_R12, .offset = 4}},
		{"lea rax, [rip+0x10]",
		 BYTES("\x48\x8d\x05\x10\x00\x00\x00"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RAX, .base = NO, .offset = 0x10, .target = ADDR + 0x17}},
		{"lea rsp, [rsp+rax]", BYTES("\x48\x8d\x24\x04"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"and rsp, -32", BYTES("\x48\x83\xe4\xe0"), {.kind = INSTRUCTION_REBASE, .reg = DWARF_RSP, .base = NO}},
		{"sub rsp, rax", BYTES("\x48\x29\xc4"), {.kind = INSTRUCTION_REBASE, .reg = DWARF_RSP, .base = NO}},
		{"inc rsp",
		 BYTES("\x48\xff\xc4"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RSP, .base = DWARF_RSP, .offset = 1}},
		{"mov [rsp+0x70], rax",
		 BYTES("\x48\x89\x44\x24\x70"),
		 {.kind = INSTRUCTION_STORE, .reg = DWARF_RAX, .base = DWARF_RSP, .offset = 0x70}},
		{"mov rsp, [rsp+0x70]",
		 BYTES("\x48\x8b\x64\x24\x70"),
		 {.kind = INSTRUCTION_LOAD, .reg = DWARF_RSP, .base = DWARF_RSP, .offset = 0x70}},
		{"add rax, 0x200 (rax alone has this form)",
		 BYTES("\x48\x05\x00\x02\x00\x00"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RAX, .base = DWARF_RAX, .offset = 0x200}},
		{"dec rbp",
		 BYTES("\x48\xff\xcd"),
		 {.kind = INSTRUCTION_ADDRESS, .reg = DWARF_RBP, .base = DWARF_RBP, .offset = -1}},
		{"add rsp, rax", BYTES("\x48\x01\xc4"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"sub rsp, [rax]", BYTES("\x48\x2b\x20"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"and rsp, 32: positive", BYTES("\x48\x83\xe4\x20"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"mov qword [rsp], 1",
		 BYTES("\x48\xc7\x04\x24\x01\x00\x00\x00"),
		 {.kind = INSTRUCTION_STORE, .reg = NO, .base = DWARF_RSP}},
		{"mov dword [rsp], 1", BYTES("\xc7\x04\x24\x01\x00\x00\x00"), {.reg = NO, .base = NO}},
		{"lea esp, [rsp+8]",
		 BYTES("\x8d\x64\x24\x08"),
		 {.reg = NO, .base = NO, .lost = LOST(RSP), .offset = 8}},
		{"lea rax, [esp+8]",
		 BYTES("\x67\x48\x8d\x44\x24\x08"),
		 {.reg = NO, .base = NO, .lost = LOST(RAX), .offset = 8}},
		{"mov rax, cr0", BYTES("\x0f\x20\xc0"), {.reg = NO, .base = NO, .lost = LOST(RAX)}},
		{"xchg esp, eax", BYTES("\x94"), {.reg = NO, .base = NO, .lost = LOST(RSP) | LOST(RAX)}},
		{"mov rsp, fs:[rax]", BYTES("\x64\x48\x8b\x20"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"xchg rsp, rax",
		 BYTES("\x48\x94"),
		 {.kind = INSTRUCTION_EXCHANGE, .reg = DWARF_RAX, .base = DWARF_RSP}},
		{"mov esp, eax", BYTES("\x89\xc4"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"add [rsp+8], rax", BYTES("\x48\x01\x44\x24\x08"), {.reg = NO, .base = NO, .offset = 8}},
	};

	check(examples, ARRAY_SIZE(examples));
}

static void test_transfers(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{"call",
		 BYTES("\xe8\x00\x01\x00\x00"),
		 {.kind = INSTRUCTION_CALL, .reg = NO, .base = NO, .lost = LOST_BY_CALL, .target = ADDR + 0x105}},
		{"call rax",
		 BYTES("\xff\xd0"),
		 {.kind = INSTRUCTION_CALL, .reg = NO, .base = NO, .lost = LOST_BY_CALL}},
		{"call [rip+2]",
		 BYTES("\xff\x15\x02\x00\x00\x00"),
		 {.kind = INSTRUCTION_CALL, .reg = NO, .base = NO, .lost = LOST_BY_CALL, .offset = 2}},
		{"jmp",
		 BYTES("\xe9\xfb\xff\xff\xff"),
		 {.kind = INSTRUCTION_JUMP, .reg = NO, .base = NO, .target = ADDR}},
		{"jmp short", BYTES("\xeb\xfe"), {.kind = INSTRUCTION_JUMP, .reg = NO, .base = NO, .target = ADDR}},
		{"notrack jmp rax", BYTES("\x3e\xff\xe0"), {.kind = INSTRUCTION_JUMP, .reg = NO, .base = NO}},
		{"bnd jmp [rip]",
		 BYTES("\xf2\xff\x25\x00\x00\x00\x00"),
		 {.kind = INSTRUCTION_JUMP, .reg = NO, .base = NO}},
		{"jne",
		 BYTES("\x0f\x85\x10\x00\x00\x00"),
		 {.kind = INSTRUCTION_BRANCH, .reg = NO, .base = NO, .target = ADDR + 0x16}},
		{"loop",
		 BYTES("\xe2\xfe"),
		 {.kind = INSTRUCTION_BRANCH, .reg = NO, .base = NO, .lost = LOST(RCX), .target = ADDR}},
		{"ret", BYTES("\xc3"), {.kind = INSTRUCTION_RETURN, .reg = NO, .base = NO}},
		{"rep ret", BYTES("\xf3\xc3"), {.kind = INSTRUCTION_RETURN, .reg = NO, .base = NO}},
		{"ret 16", BYTES("\xc2\x10\x00"), {.kind = INSTRUCTION_RETURN, .reg = NO, .base = NO}},
		{"retf", BYTES("\xcb"), {.kind = INSTRUCTION_RETURN, .reg = NO, .base = NO}},
		{"iretq", BYTES("\x48\xcf"), {.kind = INSTRUCTION_RETURN, .reg = NO, .base = NO}},
		{"bnd ret", BYTES("\xf2\xc3"), {.kind = INSTRUCTION_RETURN, .reg = NO, .base = NO}},
		{"bnd call",
		 BYTES("\xf2\xe8\x00\x00\x00\x00"),
		 {.kind = INSTRUCTION_CALL, .reg = NO, .base = NO, .lost = LOST_BY_CALL, .target = ADDR + 6}},
		{"call with the prefixes of __tls_get_addr's",
		 BYTES("\x66\x66\x48\xe8\x00\x00\x00\x00"),
		 {.kind = INSTRUCTION_CALL, .reg = NO, .base = NO, .lost = LOST_BY_CALL, .target = ADDR + 8}},
		{"call far [rax]", BYTES("\xff\x18"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"jmp far [rax]", BYTES("\xff\x28"), {.kind = INSTRUCTION_JUMP, .reg = NO, .base = NO}},
		{"jrcxz", BYTES("\xe3\xfe"), {.kind = INSTRUCTION_BRANCH, .reg = NO, .base = NO, .target = ADDR}},
		{"xbegin",
		 BYTES("\xc7\xf8\x10\x00\x00\x00"),
		 {.kind = INSTRUCTION_BRANCH, .reg = NO, .base = NO, .lost = LOST(RAX), .target = ADDR + 0x16}},
		{"xend", BYTES("\x0f\x01\xd5"), {.reg = NO, .base = NO}},
		{"syscall", BYTES("\x0f\x05"), {.reg = NO, .base = NO, .lost = LOST(RAX) | LOST(RCX) | LOST(R11)}},
		{"int 0x80", BYTES("\xcd\x80"), {.reg = NO, .base = NO, .lost = LOST(RAX)}},
		{"hlt", BYTES("\xf4"), {.kind = INSTRUCTION_END, .reg = NO, .base = NO}},
		{"ud1 eax, eax", BYTES("\x0f\xb9\xc0"), {.kind = INSTRUCTION_END, .reg = NO, .base = NO}},
		{"ud2", BYTES("\x0f\x0b"), {.kind = INSTRUCTION_END, .reg = NO, .base = NO}},
	};

	check(examples, ARRAY_SIZE(examples));
}

static void test_padding(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{"nop", BYTES("\x90"), {.kind = INSTRUCTION_FILLER, .reg = NO, .base = NO}},
		{"nop word cs:[rax+rax]",
		 BYTES("\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00"),
		 {.kind = INSTRUCTION_FILLER, .reg = NO, .base = NO}},
		{"int3", BYTES("\xcc"), {.kind = INSTRUCTION_FILLER, .reg = NO, .base = NO}},
		{"xchg r8, rax", BYTES("\x49\x90"), {.kind = INSTRUCTION_EXCHANGE, .reg = DWARF_RAX, .base = DWARF_R8}},
		{"endbr64", BYTES("\xf3\x0f\x1e\xfa"), {.reg = NO, .base = NO}},
		{"pause: a loop's, no padding", BYTES("\xf3\x90"), {.reg = NO, .base = NO}},
		{"rdsspq rdx", BYTES("\xf3\x48\x0f\x1e\xca"), {.reg = NO, .base = NO, .lost = LOST(RDX)}},
		{"nop of 16 bits", BYTES("\x66\x90"), {.kind = INSTRUCTION_FILLER, .reg = NO, .base = NO}},
	};

	check(examples, ARRAY_SIZE(examples));
}

/* Which general registers get values that nobody follows. */
static void test_lost_registers(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{"mov ah, 1: not spl", BYTES("\xb4\x01"), {.reg = NO, .base = NO, .lost = LOST(RAX)}},
		{"mov spl, 1", BYTES("\x40\xb4\x01"), {.reg = NO, .base = NO, .lost = LOST(RSP)}},
		{"cmp rsp, 8: reads", BYTES("\x48\x83\xfc\x08"), {.reg = NO, .base = NO}},
		{"test rsp, rsp", BYTES("\x48\x85\xe4"), {.reg = NO, .base = NO}},
		{"mov edi, 0x401e60",
		 BYTES("\xbf\x60\x1e\x40\x00"),
		 {.kind = INSTRUCTION_CONSTANT, .reg = NO, .base = NO, .lost = LOST(RDI), .target = 0x401e60}},
		{"mov r8, 0x40711b",
		 BYTES("\x49\xc7\xc0\x1b\x71\x40\x00"),
		 {.kind = INSTRUCTION_CONSTANT, .reg = NO, .base = NO, .lost = LOST(R8), .target = 0x40711b}},
		{"mul r12", BYTES("\x49\xf7\xe4"), {.reg = NO, .base = NO, .lost = LOST(RAX) | LOST(RDX)}},
		{"imul rbp, [rax], 100", BYTES("\x48\x6b\x28\x64"), {.reg = NO, .base = NO, .lost = LOST(RBP)}},
		{"movzx ebx, al", BYTES("\x0f\xb6\xd8"), {.reg = NO, .base = NO, .lost = LOST(RBX)}},
		{"cmove rbp, rax", BYTES("\x48\x0f\x44\xe8"), {.reg = NO, .base = NO, .lost = LOST(RBP)}},
		{"movabs r12, 8 bytes",
		 BYTES("\x49\xbc\x08\x07\x06\x05\x04\x03\x02\x01"),
		 {.reg = NO, .base = NO, .lost = LOST(R12)}},
		{"movdqa xmm4, xmm0: not rsp", BYTES("\x66\x0f\x6f\xe0"), {.reg = NO, .base = NO}},
		{"movd ebx, xmm4", BYTES("\x66\x0f\x7e\xe3"), {.reg = NO, .base = NO, .lost = LOST(RBX)}},
		{"movq xmm4, xmm3", BYTES("\xf3\x0f\x7e\xe3"), {.reg = NO, .base = NO}},
		{"cvttsd2si rbp, xmm0", BYTES("\xf2\x48\x0f\x2c\xe8"), {.reg = NO, .base = NO, .lost = LOST(RBP)}},
		{"pextrw ebx, xmm4, 1", BYTES("\x66\x0f\xc5\xdc\x01"), {.reg = NO, .base = NO, .lost = LOST(RBX)}},
		{"cpuid",
		 BYTES("\x0f\xa2"),
		 {.reg = NO, .base = NO, .lost = LOST(RAX) | LOST(RBX) | LOST(RCX) | LOST(RDX)}},
		{"idiv bl: all of it in ax", BYTES("\xf6\xfb"), {.reg = NO, .base = NO, .lost = LOST(RAX)}},
		{"cmpxchg [rsp], rbx", BYTES("\x48\x0f\xb1\x1c\x24"), {.reg = NO, .base = NO, .lost = LOST(RAX)}},
		{"rdtscp", BYTES("\x0f\x01\xf9"), {.reg = NO, .base = NO, .lost = LOST(RAX) | LOST(RCX) | LOST(RDX)}},
		{"fnstsw ax", BYTES("\xdf\xe0"), {.reg = NO, .base = NO, .lost = LOST(RAX)}},
		{"fucomip", BYTES("\xdf\xe9"), {.reg = NO, .base = NO}},
		{"pcmpistri xmm0, xmm1, 0",
		 BYTES("\x66\x0f\x3a\x63\xc1\x00"),
		 {.reg = NO, .base = NO, .lost = LOST(RCX)}},
		{"bndcl bnd0, [rax]", BYTES("\xf3\x0f\x1a\x00"), {.reg = NO, .base = NO}},
		{"pfadd mm0, mm1", BYTES("\x0f\x0f\xc1\x9e"), {.reg = NO, .base = NO}},
		{"stosq: leaves rcx", BYTES("\x48\xab"), {.reg = NO, .base = NO, .lost = LOST(RDI)}},
		{"rep movsb", BYTES("\xf3\xa4"), {.reg = NO, .base = NO, .lost = LOST(RSI) | LOST(RDI) | LOST(RCX)}},
	};

	check(examples, ARRAY_SIZE(examples));
}

static void test_vector_encodings(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{"vzeroupper", BYTES("\xc5\xf8\x77"), {.reg = NO, .base = NO}},
		{"vpaddd ymm4, ymm5, ymm6", BYTES("\xc5\xd5\xfe\xe6"), {.reg = NO, .base = NO}},
		{"vpermq ymm0, ymm1, 0xd8", BYTES("\xc4\xe3\xfd\x00\xc1\xd8"), {.reg = NO, .base = NO}},
		{"vpsrlw xmm4, xmm4, 8", BYTES("\xc5\xd9\x71\xd4\x08"), {.reg = NO, .base = NO}},
		{"vpmovmskb ebx, ymm4", BYTES("\xc5\xfd\xd7\xdc"), {.reg = NO, .base = NO, .lost = LOST(RBX)}},
		{"shlx rbp, rax, rcx", BYTES("\xc4\xe2\xf1\xf7\xe8"), {.reg = NO, .base = NO, .lost = LOST(RBP)}},
		{"blsr rbp, rax", BYTES("\xc4\xe2\xd0\xf3\xc8"), {.reg = NO, .base = NO, .lost = LOST(RBP)}},
		{"mulx rbx, rbp, rax",
		 BYTES("\xc4\xe2\xd3\xf6\xd8"),
		 {.reg = NO, .base = NO, .lost = LOST(RBX) | LOST(RBP)}},
		{"vpcomb xmm0, xmm1, xmm2, 0 (XOP)", BYTES("\x8f\xe8\x70\xcc\xc2\x00"), {.reg = NO, .base = NO}},
		{"blcfill rbp, rax (XOP)", BYTES("\x8f\xe9\xd0\x01\xc8"), {.reg = NO, .base = NO, .lost = LOST(RBP)}},
		{"kmovq rbx, k1", BYTES("\xc4\xe1\xfb\x93\xd9"), {.reg = NO, .base = NO, .lost = LOST(RBX)}},
		{"vaddph zmm4, zmm5, zmm6", BYTES("\x62\xf5\x54\x48\x58\xe6"), {.reg = NO, .base = NO}},
		{"tdpbssd tmm0, tmm1, tmm2", BYTES("\xc4\xe2\x6b\x5e\xc1"), {.reg = NO, .base = NO}},
		{"vpdpbusd zmm4, zmm5, [rsp+0x40]",
		 BYTES("\x62\xf2\x55\x48\x50\x64\x24\x01"),
		 {.reg = NO, .base = NO, .offset = 1}},
		{"vpternlogd zmm0, zmm1, zmm2, 0x96", BYTES("\x62\xf3\x75\x48\x25\xc2\x96"), {.reg = NO, .base = NO}},
		{"vpshldw ymm0, ymm1, ymm2, 3", BYTES("\x62\xf3\xf5\x28\x70\xc2\x03"), {.reg = NO, .base = NO}},
	};

	check(examples, ARRAY_SIZE(examples));
}

static void check_none(const char *text, const char *bytes, size_t size)
{
	struct instruction instruction;

	if (instruction_decode((const uint8_t *)bytes, size, ADDR, &instruction))
		fail_msg("%s: decoded, length %u", text, instruction.length);
}

static void test_no_instructions(void **state)
{
	(void)state;

	check_none("nothing", BYTES(""));
	check_none("cut in a constant", BYTES("\xe8\x00\x01\x00"));
	check_none("cut behind ModRM", BYTES("\x48\x8b\x84"));
	check_none("cut behind prefixes", BYTES("\x66\x66"));
	check_none("push es", BYTES("\x06\x90"));
	check_none("far call", BYTES("\x9a\x00\x00\x00\x00\x00\x00"));
	check_none("more than 15 bytes", BYTES("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"));
	check_none("lock of a register", BYTES("\xf0\x48\x01\xc0"));
	check_none("lea of a register", BYTES("\x48\x8d\xc0"));
	check_none("Knights Corner's jkzd", BYTES("\xc5\xf8\x84\x00\x00\x00\x00"));
	check_none("EVEX with its fixed bit 0", BYTES("\x62\xf1\x79\x08\x6f\xc0"));
}

static bool is_same(const struct instruction *a, const struct instruction *b)
{
	return a->length == b->length && a->kind == b->kind && a->reg == b->reg && a->base == b->base &&
	       a->lost == b->lost && a->offset == b->offset && a->target == b->target;
}

static bool is_register(uint8_t reg)
{
	return reg <= DWARF_R15 || reg == NO_REGISTER;
}

/* The bytes end where the page ends, and reading on is fatal. */
static void check_bytes(const uint8_t *code, size_t size)
{
	struct instruction whole, cut;

	if (!instruction_decode(code, size, ADDR, &whole))
		return;
	assert_in_range(whole.length, 1, size < INSTRUCTION_MAX_BYTES ? size : INSTRUCTION_MAX_BYTES);
	assert_in_range(whole.kind, INSTRUCTION_OTHER, INSTRUCTION_END);
	assert_true(is_register(whole.reg) && is_register(whole.base));
	/* Bytes behind it make no difference, and none of its own is too many. */
	assert_true(instruction_decode(code, whole.length, ADDR, &cut));
	assert_true(is_same(&whole, &cut));
	assert_false(instruction_decode(code, whole.length - 1u, ADDR, &cut));
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static void test_random_bytes(void **state)
{
	(void)state;
	/* What the rarer encodings begin with. */
	static const uint8_t starts[] = {0x0f, 0x62, 0xc4, 0xc5, 0x8f, 0x66, 0xf2, 0xf3, 0x48, 0x4f, 0xf0, 0xff};
	enum { NR = 2000000, SIZE_MAX_BYTES = 20 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t random = 1;

	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	for (uint32_t i = 0; i < NR; i++) {
		size_t size = next_random(&random) % (SIZE_MAX_BYTES + 1);
		uint8_t *code = pages + page - size;

		for (size_t at = 0; at < size; at++)
			code[at] = (uint8_t)next_random(&random);
		for (size_t at = 0; at < size && at < i % 4; at++)
			code[at] = starts[next_random(&random) % ARRAY_SIZE(starts)];
		check_bytes(code, size);
	}
	assert_int_equal(munmap(pages, 2 * page), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pushes_and_pops), cmocka_unit_test(test_stack_addresses),
		cmocka_unit_test(test_transfers),       cmocka_unit_test(test_padding),
		cmocka_unit_test(test_lost_registers),  cmocka_unit_test(test_vector_encodings),
		cmocka_unit_test(test_no_instructions), cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
