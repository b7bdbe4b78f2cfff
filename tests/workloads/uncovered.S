/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncovered.S - functions without any unwind information, each of a form that hand-written assembly has (x86-64).
 *
 * All take a number of spins in rdi. Where it costs nothing, the stack pointer moves within the loop, so that samples
 * see it at each of its values.
 */
	.text

.macro FUNCTION name
	.p2align 4
	.globl \name
	.type \name, @function
\name:
.endm
.macro END name
	.size \name, . - \name
.endm

FUNCTION spin_leaf
1:	sub $1, %rdi
	jne 1b
	ret
END spin_leaf

/* What others call: some twenty cycles. */
FUNCTION spin_short
	mov $20, %edi
1:	sub $1, %edi
	jne 1b
	ret
END spin_short

FUNCTION spin_pushes
	push %rbx
	push %r12
1:	push %rdi
	push %rdi
	pop %rax
	pop %rdi
	sub $1, %rdi
	jne 1b
	pop %r12
	pop %rbx
	ret
END spin_pushes

FUNCTION spin_locals
	sub $0x48, %rsp
1:	mov %rdi, 8(%rsp)
	sub $1, %rdi
	jne 1b
	add $0x48, %rsp
	ret
END spin_locals

/* Realigned, with the old rsp in a register ... */
FUNCTION spin_realigned
	mov %rsp, %r10
	and $-64, %rsp
	sub $128, %rsp
1:	mov %rdi, (%rsp)
	sub $1, %rdi
	jne 1b
	mov %r10, %rsp
	ret
END spin_realigned

/* ... or on the new stack. */
FUNCTION spin_spilled
	push %rbx
	mov %rsp, %rax
	and $-64, %rsp
	sub $128, %rsp
	mov %rax, 120(%rsp)
	xor %eax, %eax
1:	push %rax
	pop %rax
	sub $1, %rdi
	jne 1b
	mov 120(%rsp), %rsp
	pop %rbx
	ret
END spin_spilled

FUNCTION spin_calls
	push %rbx
	sub $16, %rsp
	mov %rdi, %rbx
1:	call spin_short
	sub $20, %rbx
	ja 1b
	add $16, %rsp
	pop %rbx
	ret
END spin_calls

FUNCTION spin_spilled_calls
	push %rbx
	mov %rdi, %rbx
	mov %rsp, %rax
	and $-32, %rsp
	sub $64, %rsp
	mov %rax, 40(%rsp)
1:	call spin_short
	sub $20, %rbx
	ja 1b
	mov 40(%rsp), %rsp
	pop %rbx
	ret
END spin_spilled_calls

FUNCTION spin_tail_end
1:	sub $1, %rdi
	jne 1b
	ret
END spin_tail_end

FUNCTION spin_tail
	push %rbx
	sub $32, %rsp
	add $32, %rsp
	pop %rbx
	jmp spin_tail_end
END spin_tail

FUNCTION spin_loops
	push %r12
	mov %rdi, %r12
1:	push %r12
	mov $50, %ecx
2:	sub $1, %ecx
	jne 2b
	pop %r12
	sub $50, %r12
	ja 1b
	pop %r12
	ret
END spin_loops

FUNCTION spin_returns
	test $1, %dil
	je 2f
	push %rbx
1:	sub $1, %rdi
	jne 1b
	pop %rbx
	ret
2:	test $2, %dil
	je 4f
	sub $24, %rsp
3:	sub $1, %rdi
	jne 3b
	add $24, %rsp
	ret
4:	sub $1, %rdi
	jne 4b
	ret
END spin_returns

/* rbp is just a register here. */
FUNCTION spin_rbp
	push %rbp
	mov %rdi, %rbp
1:	sub $1, %rbp
	jne 1b
	pop %rbp
	ret
END spin_rbp

FUNCTION spin_rbp_calls
	push %rbp
	push %rbx
	mov $0x1234, %ebp
	mov %rdi, %rbx
1:	call spin_short
	sub $20, %rbx
	ja 1b
	pop %rbx
	pop %rbp
	ret
END spin_rbp_calls

FUNCTION spin_frame
	push %rbp
	mov %rsp, %rbp
	sub $32, %rsp
1:	mov %rdi, -8(%rbp)
	sub $1, %rdi
	jne 1b
	leave
	ret
END spin_frame

FUNCTION spin_enter
	enter $32, $0
1:	sub $1, %rdi
	jne 1b
	leave
	ret
END spin_enter

/* As much stack as the argument says. */
FUNCTION spin_alloca
	push %rbp
	mov %rsp, %rbp
	push %rbx
	sub $8, %rsp
	mov %rdi, %rbx
	and $0xff0, %edi
	sub %rdi, %rsp
1:	call spin_short
	sub $20, %rbx
	ja 1b
	mov -8(%rbp), %rbx
	leave
	ret
END spin_alloca

/* Constants that end in the middle of what would be a long instruction. */
	.p2align 5
constants:
	.quad 0x0706050403020100, 0x0f0e0d0c0b0a0908, 0xffffffffffffffff, 0x8000800080008000
	.quad 0x41e8505590c35d5b, 0xb848e8e8e8e8e8e8

FUNCTION spin_constants
	push %rbx
	lea constants(%rip), %rax
	mov (%rax), %rbx
1:	sub $1, %rdi
	jne 1b
	pop %rbx
	ret
END spin_constants

FUNCTION spin_switch
	push %rbx
	sub $16, %rsp
	mov %edi, %eax
	and $3, %eax
	lea targets(%rip), %rcx
	movslq (%rcx, %rax, 4), %rax
	add %rcx, %rax
	jmp *%rax
.Lcase_0:
	sub $1, %rdi
	jne .Lcase_0
	add $16, %rsp
	pop %rbx
	ret
.Lcase_1:
	sub $1, %rdi
	jne .Lcase_1
	add $16, %rsp
	pop %rbx
	ret
.Lcase_2:
	push %rdi
	pop %rdi
	sub $1, %rdi
	jne .Lcase_2
.Lend:
	add $16, %rsp
	pop %rbx
	ret
	.p2align 4
.Lcase_3:
	sub $1, %rdi
	jne .Lcase_3
	jmp .Lend
END spin_switch

	.section .rodata
	.p2align 2
targets:
	.long .Lcase_0 - targets, .Lcase_1 - targets, .Lcase_2 - targets, .Lcase_3 - targets
	.section .note.GNU-stack, "", @progbits
