/* SPDX-License-Identifier: Apache-2.0 */
#include "session_parts.h"

#include "labels.h"
#include "sideband.h"

enum {
	RING_BYTES = 4 << 20,
	CAPTURE_RING_BYTES = 64 << 20, /* a capture is 72 KiB */
	COUNTS_MAX = 1 << 16,
	KNOWN_MAX = 1 << 16,
	PROCESSES_MAX = 16384,
	MAPPINGS_MAX_SESSION = 1 << 16,
};

_Static_assert((int)SESSION_NAMES_MAX == (int)TARGET_NAMES_MAX, "one limit");
_Static_assert((int)SESSION_CGROUPS_MAX == (int)TARGET_CGROUPS_MAX, "one limit");

struct programs_config session_programs_config(const struct session_config *config,
					       const struct targets_described *described, const struct stack_key *seed)
{
	uint32_t ring = config->capture_path ? CAPTURE_RING_BYTES : RING_BYTES;

	return (struct programs_config){
		.target_kind = targets_kind(config),
		.target_names = described->names,
		.nr_target_names = described->nr_names,
		.target_cgroups = described->cgroups,
		.nr_target_cgroups = described->nr_cgroups,
		.want_idle = config->idle,
		.with_children = config->with_children,
		.want_user = config->part != PART_KERNEL,
		.want_kernel = config->part != PART_USER,
		.label_thread = config->labels.thread,
		.label_tid = config->labels.tid,
		.label_cpu = config->labels.cpu,
		.label_cgroup = labels_want_cgroup(&config->labels),
		.capture = config->capture_path != NULL,
		.max_frames = config->max_depth,
		.snapshot_bytes = config->snapshot_bytes,
		.ring_bytes = config->ring_bytes ? config->ring_bytes : ring,
		.counts_max = config->counts_max ? config->counts_max : COUNTS_MAX,
		.known_max = config->known_max ? config->known_max : KNOWN_MAX,
		.processes_max = config->processes_max ? config->processes_max : PROCESSES_MAX,
		.mappings_max = config->mappings_max ? config->mappings_max : MAPPINGS_MAX_SESSION,
		.modules_max = MODULES_MAX_SESSION,
		.seed = *seed,
	};
}

unsigned session_sideband_wishes(const struct session_config *config)
{
	return (targets_are_described(config) ? SIDEBAND_WITH_TASKS : 0) |
	       (labels_want_cgroup(&config->labels) ? SIDEBAND_WITH_CGROUPS : 0);
}

/* Cycles of the nominal clock, since nothing else is known in advance. */
static uint64_t cycles_period(uint32_t rate_hz)
{
	const uint64_t nominal_hz = 2500000000;

	return nominal_hz / rate_hz;
}

uint64_t session_period(const struct session_config *config)
{
	return config->event == EVENT_CYCLES ? cycles_period(config->rate_hz) : 1000000000ull / config->rate_hz;
}
