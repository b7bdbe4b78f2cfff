/* SPDX-License-Identifier: Apache-2.0 */
/* confine.h - give up everything that reading a passed descriptor doesn't need. */
#ifndef EBPROF_READER_CONFINE_H
#define EBPROF_READER_CONFINE_H

#include <stdint.h>

/*
 * Confines the calling process, which has one thread, for good. The result has a bit for every measure of CONFINEMENTS
 * (messages.h) that the system refused; the others hold.
 */
uint32_t confine_process(void);

#endif
