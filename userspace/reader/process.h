/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - the reader process: the program that reads foreign files for the agent.
 *
 * It is this program, started again with READER_PROCESS as its only argument and the sockets of messages.h open. The
 * agent's main() has to hand that call over.
 */
#ifndef EBPROF_READER_PROCESS_H
#define EBPROF_READER_PROCESS_H

#define READER_PROCESS "reader-process"

/* Serves until the agent has gone; an exit status. */
int reader_process_main(void);

#endif
