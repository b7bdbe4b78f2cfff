/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_huge - FUNCTIONS functions of 512 bytes each, all alike: void (unsigned long spins, void **chain). Each calls the
 * next one of the chain and is described by twelve rows, as its frame grows and shrinks.
 */
	.section huge_text, "ax"
	.balign 512
	.rept FUNCTIONS
	.cfi_startproc
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	push %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	push %r12
	.cfi_adjust_cfa_offset 8
	push %r13
	.cfi_adjust_cfa_offset 8
	push %r14
	.cfi_adjust_cfa_offset 8
	sub $64, %rsp
	.cfi_adjust_cfa_offset 64
	mov (%rsi), %rax
	add $8, %rsi
	xor %ebp, %ebp
	xor %ebx, %ebx
	call *%rax
	add $64, %rsp
	.cfi_adjust_cfa_offset -64
	pop %r14
	.cfi_adjust_cfa_offset -8
	pop %r13
	.cfi_adjust_cfa_offset -8
	pop %r12
	.cfi_adjust_cfa_offset -8
	pop %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.balign 512, 0x90
	.endr
	.section .note.GNU-stack, "", @progbits
