# SPDX-License-Identifier: Apache-2.0
"""The whole host while something goes wrong: what is lost has a name, and what is there is right."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from cleanup_test import loaded, loaded_by_nobody, still_there
from harness import (Recording, await_recording, await_true, bpf_ids, check_recording, finish_ebprof, names_of, path_of,
    record, start_ebprof, started)


def wrongly_named(recording):
    """Samples whose function and process name are of two programs."""
    wrong = []
    for sample in recording.profile.samples:
        numbers = {match[1] for name in names_of(sample)
            if (match := re.fullmatch(r"churned_(\d)_(?:work|forked)", name))}
        if numbers and {f"churned_{number}" for number in numbers} != {sample.labels["comm"]}:
            wrong.append((sample.labels["comm"], names_of(sample)))
    return wrong


def recorded_while(happens, folder, *options, rate=999):
    process = start_ebprof("record", "-a", "-F", rate, "-o", f"{folder}/profile.pb.gz", "--stats",
        f"{folder}/stats.json", *options)
    await_recording(process)
    happens(process)
    process.send_signal(signal.SIGINT)
    recording = Recording(finish_ebprof(process), str(folder), f"{folder}/profile.pb.gz")
    assert recording.status == 0, str(recording)
    check_recording(recording)
    return recording


def test_suspended_while_processes_come_and_go(tmp_path):
    def suspend(process):
        with started("churn", 1500, 2000, 4) as churn:
            time.sleep(0.5)
            process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            process.send_signal(signal.SIGCONT)
            churn.finish()

    recording = recorded_while(suspend, tmp_path)
    assert wrongly_named(recording) == []
    counters = recording.counters
    # Who was first met meanwhile had gone when ebprof came to look: that is what its stack says.
    assert recording.stats["incomplete"] == sum(counters[name] for name in counters if name.startswith("user_")
        and name not in ("user_complete", "user_ended", "user_absent", "user_frames"))
    assert recording.samples > 2000


def test_everything_tiny_and_fast(tmp_path):
    recording = recorded_while(lambda process: subprocess.run([path_of("churn"), "600", "2000", "4"], check=True,
        stdout=subprocess.DEVNULL), tmp_path, "--ring", "64k", "--counts", 128, "--known", 32, "--processes", 8,
        "--mappings", 64, rate=20000)
    assert recording.counters["lost_processes_full"] > 0
    assert recording.counters["mappings_refused"] > 0
    assert recording.stats["lost"] > 0
    assert wrongly_named(recording) == []


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(seed, tmp_path):
    moments = random.Random(seed)
    before = {kind: loaded(kind) for kind in ("prog", "map", "link")}
    churn = subprocess.Popen([path_of("churn"), "100000", "1000", "2"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(5):
            process = start_ebprof("record", "-a", "-F", 999, "-o", tmp_path / "profile.pb.gz")
            time.sleep(moments.uniform(0, 0.8))
            held = bpf_ids(process.pid)
            process.kill()
            finish_ebprof(process)
            assert await_true(lambda held=held: not still_there(held)), still_there(held)
    finally:
        churn.kill()
        churn.wait()
    assert await_true(lambda: not loaded_by_nobody(before)), loaded_by_nobody(before)
    assert "profile.pb.gz" not in os.listdir(tmp_path)


def memory_group():
    """A new cgroup in which 60 MB may be used, of either version."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = f"{root}/ebprof-test-memory"
        if not os.path.exists(f"{root}/cgroup.procs"):
            continue
        try:
            os.makedirs(group, exist_ok=True)
            with open(f"{group}/{limit}", "w") as file:
                file.write("60000000")
            return group
        except OSError:
            os.rmdir(group)
    pytest.skip("no limit can be set on a cgroup's memory here")


def test_target_that_is_killed_for_its_memory():
    """A program that takes memory until the kernel, asked to by a limit, ends it."""
    group = memory_group()
    grow = "held = []\nwhile len(held) < 1000: held.append(bytearray(1 << 20))"
    try:
        recording = record("-a", command=["/bin/sh", "-c",
            f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c '{grow}'"], status=137)
    finally:
        await_true(lambda: not open(f"{group}/cgroup.procs").read())
        os.rmdir(group)
    own = recording.count(lambda sample: sample.labels["comm"].startswith("python"))
    assert own > 20
    assert recording.counters["user_no_process_table"] <= 0.05 * own


def own_memory(pid):
    """Bytes of anonymous memory: that of the kernel's maps, which are mapped too, is another matter."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"^RssAnon:\s+(\d+) kB$", file.read(), re.MULTILINE)[1]) << 10


def test_memory_of_a_host_in_churn(tmp_path):
    """What was kept of processes goes with them: the same churn again takes hardly more."""
    sizes = []

    def churn_again(process):
        for _ in range(4):
            subprocess.run([path_of("churn"), "1000", "1000", "4"], check=True, stdout=subprocess.DEVNULL)
            time.sleep(0.5)
            sizes.append(own_memory(process.pid))

    recording = recorded_while(churn_again, tmp_path, rate=99)
    assert recording.stats["nr_processes"] > 4000
    # Of a process a line stays: who it was, for the labels of its samples.
    assert sizes[3] - sizes[1] < 8 << 20, sizes
    assert recording.counters["lost_processes_full"] == 0
    assert recording.counters["mappings_refused"] == 0
