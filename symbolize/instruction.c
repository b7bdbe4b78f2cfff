/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instruction.c - what does this x86-64 instruction do to registers, and where does it lead?
 *
 * Zydis takes it apart and knows each operand's direction, the implied ones' too. All general registers that are
 * written, whole or in part or on a condition, are lost, unless one of the few instructions that move stack addresses
 * about or transfer control says it better: these are looked at by name.
 *
 * Three things are not in Zydis' operands: that a call returns from code which may change whatever the ABI lets it,
 * that the kernel returns its result in rax, and that hidden pushes and pops are what the kind is about.
 *
 * Decoding operands takes two fifths of the time, so it is left out for what is told by name and constant alone.
 */
#include "instruction.h"

#include <Zydis/Zydis.h>
#include <pthread.h>

#include "rows.h"

enum {
	LOST_BY_CALL = 1u << DWARF_RAX | 1u << DWARF_RCX | 1u << DWARF_RDX | 1u << DWARF_RSI | 1u << DWARF_RDI |
		       1u << DWARF_R8 | 1u << DWARF_R9 | 1u << DWARF_R10 | 1u << DWARF_R11,
};

struct decoded {
	ZydisDecodedInstruction code;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static pthread_once_t decoder_once = PTHREAD_ONCE_INIT;
static ZydisDecoder decoder;
static bool has_decoder;

/* The modes that Zydis begins with are those of processors of today: no Knights Corner, branches as Intel's have them.
 */
static void init_decoder(void)
{
	has_decoder = ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
}

/* Of a register of 64 bits; NO_REGISTER for all others. */
static uint8_t dwarf_number(ZydisRegister reg)
{
	static const uint8_t numbers[16] = {
		DWARF_RAX, DWARF_RCX, DWARF_RDX, DWARF_RBX, DWARF_RSP, DWARF_RBP, DWARF_RSI, DWARF_RDI,
		DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_R12, DWARF_R13, DWARF_R14, DWARF_R15,
	};

	return reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15 ? numbers[reg - ZYDIS_REGISTER_RAX] : NO_REGISTER;
}

static uint16_t bit_of(uint8_t reg)
{
	return reg == NO_REGISTER ? 0 : (uint16_t)(1u << reg);
}

/* The whole register of 64 bits that an operand is. */
static uint8_t get_reg(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER ? dwarf_number(operand->reg.value) : NO_REGISTER;
}

/* The base of memory that is addressed by base and offset alone, in the space where the stack is. */
static uint8_t get_base(const ZydisDecodedOperand *operand)
{
	const ZydisDecodedOperandMem *mem = &operand->mem;

	if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || mem->index != ZYDIS_REGISTER_NONE ||
	    mem->segment == ZYDIS_REGISTER_FS || mem->segment == ZYDIS_REGISTER_GS)
		return NO_REGISTER;
	return dwarf_number(mem->base);
}

static uint16_t find_written(const struct decoded *decoded)
{
	uint16_t written = 0;

	for (uint8_t i = 0; i < decoded->code.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			written |= bit_of(dwarf_number(
				ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand->reg.value)));
	}
	return written;
}

/* A register of which the kind says what becomes of it isn't lost. */
static void set_kind(struct instruction *ret, enum instruction_kind kind, uint8_t reg, uint8_t base)
{
	ret->kind = kind;
	ret->reg = reg;
	ret->base = base;
	if (kind != INSTRUCTION_PUSH && kind != INSTRUCTION_STORE)
		ret->lost &= (uint16_t)~bit_of(reg);
	if (kind == INSTRUCTION_EXCHANGE)
		ret->lost &= (uint16_t)~bit_of(base);
}

static void find_exchange(const struct decoded *decoded, struct instruction *ret)
{
	uint8_t to = get_reg(&decoded->operands[0]);
	uint8_t from = get_reg(&decoded->operands[1]);

	if (to != NO_REGISTER && from != NO_REGISTER)
		set_kind(ret, INSTRUCTION_EXCHANGE, from, to);
}

static void find_move(const struct decoded *decoded, struct instruction *ret)
{
	const ZydisDecodedOperand *to = &decoded->operands[0];
	const ZydisDecodedOperand *from = &decoded->operands[1];
	uint8_t reg = get_reg(to);
	bool is_constant = from->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && decoded->code.raw.imm[0].size == 32;

	if (to->type == ZYDIS_OPERAND_TYPE_REGISTER && is_constant) {
		ret->kind = INSTRUCTION_CONSTANT;
		ret->target = (uint32_t)from->imm.value.u;
	} else if (reg != NO_REGISTER && get_reg(from) != NO_REGISTER) {
		set_kind(ret, INSTRUCTION_MOVE, reg, get_reg(from));
	} else if (reg != NO_REGISTER && get_base(from) != NO_REGISTER) {
		set_kind(ret, INSTRUCTION_LOAD, reg, get_base(from));
	} else if (get_base(to) != NO_REGISTER && to->size == 64) {
		set_kind(ret, INSTRUCTION_STORE, get_reg(from), get_base(to));
	}
}

static void find_address(const struct decoded *decoded, uint64_t next, struct instruction *ret)
{
	const ZydisDecodedOperand *from = &decoded->operands[1];
	uint8_t reg = get_reg(&decoded->operands[0]);
	bool is_relative = from->mem.base == ZYDIS_REGISTER_RIP;

	if (reg == NO_REGISTER || (!is_relative && get_base(from) == NO_REGISTER))
		return;
	set_kind(ret, INSTRUCTION_ADDRESS, reg, get_base(from));
	if (is_relative)
		ret->target = next + (uint64_t)from->mem.disp.value;
}

/* Arithmetic on a register that may hold a stack address. */
static void find_arithmetic(const struct decoded *decoded, struct instruction *ret)
{
	const ZydisDecodedOperand *by = &decoded->operands[1];
	uint8_t reg = get_reg(&decoded->operands[0]);
	bool is_sub = decoded->code.mnemonic == ZYDIS_MNEMONIC_SUB || decoded->code.mnemonic == ZYDIS_MNEMONIC_DEC;
	bool is_and = decoded->code.mnemonic == ZYDIS_MNEMONIC_AND;
	bool by_constant = by->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	int64_t amount = by_constant ? by->imm.value.s : 1; /* inc and dec */

	if (reg == NO_REGISTER)
		return;
	if (is_and ? by_constant && amount < 0 : is_sub && get_reg(by) != NO_REGISTER) {
		set_kind(ret, INSTRUCTION_REBASE, reg, NO_REGISTER);
	} else if (!is_and && (by_constant || decoded->code.operand_count_visible == 1) && amount > INT32_MIN) {
		set_kind(ret, INSTRUCTION_ADDRESS, reg, reg);
		ret->offset = (int32_t)(is_sub ? -amount : amount);
	}
}

/* push, pop and what is made of them. A stack word of 16 bits is not worth following: that leaves rsp lost. */
static void find_stack_kind(const struct decoded *decoded, enum instruction_kind kind, struct instruction *ret)
{
	/* What pushf has for operands is hidden. */
	bool has_reg = decoded->code.operand_count_visible && kind != INSTRUCTION_ENTER;

	if (decoded->code.operand_width != 64)
		return;
	set_kind(ret, kind, has_reg ? get_reg(&decoded->operands[0]) : NO_REGISTER, NO_REGISTER);
	ret->lost &= (uint16_t)~bit_of(DWARF_RSP);
	if (kind == INSTRUCTION_ENTER || kind == INSTRUCTION_LEAVE)
		ret->lost &= (uint16_t)~bit_of(DWARF_RBP);
	if (kind == INSTRUCTION_ENTER)
		ret->offset = (int32_t)decoded->operands[0].imm.value.u;
}

static void find_by_operands(const struct decoded *decoded, uint64_t next, struct instruction *ret)
{
	switch (decoded->code.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		find_move(decoded, ret);
		break;
	case ZYDIS_MNEMONIC_XCHG:
		find_exchange(decoded, ret);
		break;
	case ZYDIS_MNEMONIC_LEA:
		find_address(decoded, next, ret);
		break;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_AND:
		find_arithmetic(decoded, ret);
		break;
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHFQ:
		find_stack_kind(decoded, INSTRUCTION_PUSH, ret);
		break;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_POPFQ:
		find_stack_kind(decoded, INSTRUCTION_POP, ret);
		break;
	case ZYDIS_MNEMONIC_LEAVE:
		find_stack_kind(decoded, INSTRUCTION_LEAVE, ret);
		break;
	case ZYDIS_MNEMONIC_ENTER:
		/* Nested levels copy frame pointers that no compiler asks for. */
		if (!decoded->operands[1].imm.value.u)
			find_stack_kind(decoded, INSTRUCTION_ENTER, ret);
		break;
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
		ret->lost |= 1u << DWARF_RAX;
		break;
	default:
		break;
	}
}

/* What is told without operands. False: something else. */
static bool find_transfer(const ZydisDecodedInstruction *code, struct instruction *ret)
{
	switch (code->mnemonic) {
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_INT3:
		ret->kind = INSTRUCTION_FILLER;
		return true;
	case ZYDIS_MNEMONIC_CALL:
		if (code->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			return false;
		ret->kind = INSTRUCTION_CALL;
		ret->lost = LOST_BY_CALL;
		return true;
	case ZYDIS_MNEMONIC_JMP:
		ret->kind = INSTRUCTION_JUMP;
		return true;
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_UIRET:
		ret->kind = INSTRUCTION_RETURN;
		return true;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		ret->kind = INSTRUCTION_END;
		return true;
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_XBEGIN:
		/* They count, or say why not. */
		ret->kind = INSTRUCTION_BRANCH;
		return false;
	default:
		/* xend counts as a branch without a target. */
		if (code->meta.category != ZYDIS_CATEGORY_COND_BR || !code->raw.imm[0].is_relative)
			return false;
		ret->kind = INSTRUCTION_BRANCH;
		return true;
	}
}

/* Knights Corner's instructions are decoded even so; to all other processors they are none. */
static bool is_foreign(const ZydisDecodedInstruction *code)
{
	return code->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX || code->meta.isa_ext == ZYDIS_ISA_EXT_KNC ||
	       code->meta.isa_ext == ZYDIS_ISA_EXT_KNCE || code->meta.isa_ext == ZYDIS_ISA_EXT_KNCV;
}

bool instruction_ends_flow(enum instruction_kind kind)
{
	return kind == INSTRUCTION_JUMP || kind == INSTRUCTION_RETURN || kind == INSTRUCTION_END;
}

bool instruction_decode(const uint8_t *code, size_t size, uint64_t addr, struct instruction *ret)
{
	struct decoded decoded;
	ZydisDecoderContext context;

	if (pthread_once(&decoder_once, init_decoder) || !has_decoder ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, code, size, &decoded.code)) ||
	    is_foreign(&decoded.code))
		return false;
	uint64_t next = addr + decoded.code.length;

	*ret = (struct instruction){
		.length = decoded.code.length,
		.reg = NO_REGISTER,
		.base = NO_REGISTER,
		.offset = (int32_t)decoded.code.raw.disp.value,
	};
	bool is_told = find_transfer(&decoded.code, ret);

	if (decoded.code.raw.imm[0].is_relative)
		ret->target = next + decoded.code.raw.imm[0].value.u;
	if (is_told)
		return true;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder, &context, &decoded.code, decoded.operands,
						     decoded.code.operand_count)))
		return false;
	ret->lost = find_written(&decoded);
	find_by_operands(&decoded, next, ret);
	return true;
}
