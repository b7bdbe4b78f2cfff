# SPDX-License-Identifier: Apache-2.0
"""The whole host: every process whenever it starts, however short it lives, each stack under its own name."""

import os
import re
import subprocess

from harness import (finish_ebprof, is_kernel, names_of, path_of, record,
    refuse, start_ebprof, started)

RATE = 999


def comm_of(sample):
    return sample.labels.get("comm")


def of(recording, comm):
    return [sample for sample in recording.profile.samples if comm_of(sample) == comm]


def programs_of(sample):
    """The numbers of the churned programs whose functions are on the stack."""
    return {match[1] for name in names_of(sample) if (match := re.fullmatch(r"churned_(\d)_(?:work|forked)", name))}


def test_two_programs_that_run_already():
    with started("shares", 8) as first, started("threads", 8) as second:
        recording = record("-a", "-d", 2, rate=RATE)
    for target, function in ((first, "main"), (second, "alpha_work")):
        of_pid = [sample for sample in recording.profile.samples if sample.labels.get("pid") == target.pid]
        assert sum(sample.values[0] for sample in of_pid) > 100
        whole = sum(sample.values[0] for sample in of_pid if function in names_of(sample)
            or names_of(sample)[-1] in ("_start", "clone3", "__clone3", "clone"))
        assert whole >= 0.99 * sum(sample.values[0] for sample in of_pid)
    comms = {comm_of(sample) for sample in recording.profile.samples}
    assert {"shares", "threads"} <= comms
    # Its own cost is part of the host's.
    assert recording.profile.samples, recording


def idle_seconds():
    with open("/proc/stat") as file:
        return int(file.readline().split()[4]) / os.sysconf("SC_CLK_TCK")


def test_idle_cpus():
    """What runs in no process."""
    before = idle_seconds()
    recording = record("-a", "-d", 2, "--idle", rate=RATE)
    was_idle = idle_seconds() - before > 0.5
    idle = sum(sample.values[0] for sample in recording.profile.samples if comm_of(sample).startswith("swapper"))
    assert recording.counters["idle"] == 0
    assert idle == recording.counters["idle_samples"]
    assert idle > 0 or not was_idle
    assert all(all(is_kernel(frame) or "[" in frame.function for frame in sample.frames)
        for sample in of(recording, "swapper/0"))


def test_while_a_command_runs():
    with started("shares", 8) as target:
        recording = record("-a", rate=RATE, command=["threads", "1"])
        assert target.process.poll() is None, "only the command's end is awaited"
    comms = {comm_of(sample) for sample in recording.profile.samples}
    assert {"shares", "threads"} <= comms


def test_by_name():
    """Also of processes that start later, and of nobody else."""
    command = ["/bin/sh", "-c", f"{path_of('shares')} 1 >/dev/null; {path_of('threads')} 1 >/dev/null"]
    process = start_ebprof("record", "--comm", "threads", "-F", RATE, "-d", 3, "-o", "/dev/null", "--stats", "-", "-q")
    subprocess.run(command, check=True)
    done = finish_ebprof(process)
    assert done.status == 0, str(done)
    recording = None
    with started("shares", 6), started("threads", 6):
        recording = record("--comm", "threads", "-d", 2, rate=RATE)
    assert {comm_of(sample) for sample in recording.profile.samples} == {"threads"}
    assert recording.samples > 200


def test_churn_under_the_right_names():
    """Programs of a few ms in all ways to start one: none gets another's stacks, and none is missed."""
    recording = record("-a", rate=RATE, command=["churn", "1500", "2000", "4"])
    said = dict(line.split() for line in recording.stdout.decode().splitlines() if " " in line)
    wrong, right = [], 0
    for sample in recording.profile.samples:
        programs = programs_of(sample)
        if not programs:
            continue
        expected = {f"churned_{number}" for number in programs}
        if len(programs) > 1 or comm_of(sample) not in expected:
            wrong.append((comm_of(sample), names_of(sample), sample.values[0]))
        else:
            right += sample.values[0]
    assert sum(count for _, _, count in wrong) == 0, wrong[:5]
    # All the children's time is there under one of their names, or the parent's before its exec.
    own = sum(sample.values[0] for sample in recording.profile.samples
        if (comm_of(sample) or "").startswith("churn"))
    due = int(said["children_us"]) / 1e6 * RATE
    assert own >= 0.9 * due, (own, due)
    named = sum(sample.values[0] for sample in recording.profile.samples
        if programs_of(sample) and re.match("churned", comm_of(sample)))
    assert named == right
    assert recording.counters["targets_full"] == 0


def test_refusals():
    refuse("record", "-a", "-p", "1", says="-p and -a exclude each other")
    refuse("record", "--comm", "x", "-a", says="exclude each other")
    refuse("record", "--idle", "-p", "1", says="--idle goes with -a")
    refuse("record", "--comm", "", says="give a process's name")
    refuse("record", *(["--comm", "x"] * 9), says="at most 8 names")
