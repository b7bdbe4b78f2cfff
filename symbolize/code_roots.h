/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_roots.h - where do stacks begin, in code that says nothing of its frames?
 */
#ifndef EBPROF_SYMBOLIZE_CODE_ROOTS_H
#define EBPROF_SYMBOLIZE_CODE_ROOTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * How many bytes of code[0 .. size) belong to the outermost frame, from its first instruction on that leaves nothing to
 * return to; 0 = this is no such place.
 */
uint32_t code_root_size(const uint8_t *code, size_t size);

#endif
