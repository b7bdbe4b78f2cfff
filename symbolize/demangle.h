/* SPDX-License-Identifier: Apache-2.0 */
/* demangle.h - C++ (Itanium) and Rust (legacy and v0) names for people, by libiberty. */
#ifndef EBPROF_SYMBOLIZE_DEMANGLE_H
#define EBPROF_SYMBOLIZE_DEMANGLE_H

/*
 * The demangled text, for the caller to free(); NULL when name is not mangled, or is longer or deeper than the ceiling
 * (input 4 KiB: demanglers take exponential time and deep recursion on hostile names).
 */
char *demangle(const char *name);

#endif
