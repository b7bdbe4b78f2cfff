/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#include <string.h>

#include "cgroup_path.h"

static struct profile_label name_label(struct profile *profile, const char *key, const char *name)
{
	char text[COMM_SIZE + 1] = "";

	memcpy(text, name, COMM_SIZE);
	return profile_label_text(profile, key, text[0] ? text : "[unknown]");
}

static uint32_t add_cgroup_labels(const struct labels_config *config, uint32_t id, struct profile *profile,
				  struct profile_label *labels)
{
	const char *path = cgroups_path(config->cgroups, id);
	char name[CGROUP_NAME_MAX];
	uint32_t nr = 0;

	if (config->wanted.cgroup)
		labels[nr++] = profile_label_text(profile, "cgroup", path ? path : "[unknown]");
	if (config->wanted.container) {
		cgroup_path_container(path ? path : "", name);
		if (name[0])
			labels[nr++] = profile_label_text(profile, "container", name);
	}
	if (config->wanted.unit) {
		cgroup_path_unit(path ? path : "", name);
		if (name[0])
			labels[nr++] = profile_label_text(profile, "unit", name);
	}
	return nr;
}

uint32_t labels_make(const struct labels_config *config, const struct process *process, const struct count_key *key,
		     struct profile *profile, struct profile_label *labels)
{
	static const char unknown[COMM_SIZE] = "";
	uint32_t nr = 0;

	if (config->wanted.pid && process)
		labels[nr++] = profile_label_number(profile, "pid", process->pid, "pid");
	if (config->wanted.comm)
		labels[nr++] = name_label(profile, "comm", process ? process->comm : unknown);
	if (config->wanted.thread)
		labels[nr++] = name_label(profile, "thread", key->thread);
	if (config->wanted.tid)
		labels[nr++] = profile_label_number(profile, "tid", key->tid, "tid");
	if (config->wanted.cpu)
		labels[nr++] = profile_label_number(profile, "cpu", key->cpu, "cpu");
	if (labels_want_cgroup(&config->wanted))
		nr += add_cgroup_labels(config, key->cgroup, profile, labels + nr);
	return nr;
}
