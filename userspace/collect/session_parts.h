/* SPDX-License-Identifier: Apache-2.0 */
/* session_parts.h - what the configuration of a session means for each of its parts. */
#ifndef EBPROF_COLLECT_SESSION_PARTS_H
#define EBPROF_COLLECT_SESSION_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "programs.h"
#include "session.h"
#include "targets.h"

enum { MODULES_MAX_SESSION = 1 << 12 };

/* described: targets_describe()'s, borrowed by the result. */
struct programs_config session_programs_config(const struct session_config *config,
					       const struct targets_described *described, const struct stack_key *seed);

/* SIDEBAND_WITH_*. */
unsigned session_sideband_wishes(const struct session_config *config);

/* What a tick is worth: ns, or cycles. */
uint64_t session_period(const struct session_config *config);

#endif
