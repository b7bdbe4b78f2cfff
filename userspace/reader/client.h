/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the agent's side of a reader process: questions, deadlines, and a new process when one is lost.
 *
 * Results are as reader.h says. When the process fails at a question, the question's file is listed as failed and the
 * error is one of those that reader_lost() knows; the next question gets a new process.
 */
#ifndef EBPROF_READER_CLIENT_H
#define EBPROF_READER_CLIENT_H

#include "reader.h"

struct client;

/* Starts the process and doesn't wait for it. */
struct client *client_create(const struct reader_config *config);
void client_destroy(struct client *client);

/* From any thread: the question at hand and all later ones end with -ECANCELED. */
void client_cancel(struct client *client);

/* No more questions: the process begins to end. */
void client_release(struct client *client);

int client_open(struct client *client, const char *path, bool for_caller);
int client_info(struct client *client, const struct reader_file *file, struct object_info *ret);
int client_table(struct client *client, const struct reader_file *file, enum table_effort effort,
		 struct unwind_table **ret);
int client_names(struct client *client, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status);
int client_starts(struct client *client, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		  uint64_t *starts_ret);
ssize_t client_bytes(struct client *client, const struct reader_file *file, uint64_t file_offset, void *ret,
		     size_t size_bytes);

const struct reader_failure *client_failures(const struct client *client, size_t *nr_ret);

#endif
