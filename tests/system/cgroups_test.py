# SPDX-License-Identifier: Apache-2.0
"""Targets and labels by cgroup: real groups of the hierarchy, named as container managers name theirs."""

import contextlib
import os
import re
import subprocess
import time

import pytest

from harness import (Recording, await_recording, check_recording, finish_ebprof, path_of, record, refuse,
    start_ebprof)

ID = "ab" * 32
OTHER = "ac" * 32


def mount():
    with open("/proc/self/mountinfo") as file:
        found = re.search(r"^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 ", file.read(), re.MULTILINE)
    return found and found[1]


class Tree:
    def __init__(self):
        self.root = f"{mount()}/ebprof-test.slice"
        self.running = []
        os.mkdir(self.root)

    def group(self, name):
        path = f"{self.root}/{name}"
        os.makedirs(path, exist_ok=True)
        return path

    def start(self, group, workload, seconds=20):
        script = f"echo $$ > '{self.group(group)}/cgroup.procs'; exec {path_of(workload)} {seconds}"
        self.running.append(subprocess.Popen(["sh", "-ec", script], stdout=subprocess.DEVNULL))
        time.sleep(0.3)
        return self.running[-1]

    def close(self):
        for process in self.running:
            process.kill()
            process.wait()
        for folder, _, _ in os.walk(self.root, topdown=False):
            for _ in range(50):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                if not os.path.exists(folder):
                    break
                time.sleep(0.1)


@pytest.fixture
def tree():
    if not mount():
        pytest.skip("no cgroup hierarchy of version 2 is mounted")
    try:
        tree = Tree()
    except OSError as problem:
        pytest.skip(f"no cgroup can be made: {problem}")
    yield tree
    tree.close()


def samples_by(recording, key, **only):
    counts = {}
    for sample in recording.profile.samples:
        if all(sample.labels.get(name) == value for name, value in only.items()):
            value = sample.labels.get(key)
            counts[value] = counts.get(value, 0) + sample.values[0]
    return counts


def test_labels(tree):
    tree.start(f"docker-{ID}.scope/inner", "shares")
    tree.start("web.service", "threads")
    recording = record("-a", "-d", 1, "--label", "cgroup")
    assert set(samples_by(recording, "container", comm="shares")) == {ID}
    assert set(samples_by(recording, "unit", comm="shares")) == {f"docker-{ID}.scope"}
    assert set(samples_by(recording, "cgroup", comm="shares")) == {f"/ebprof-test.slice/docker-{ID}.scope/inner"}
    assert set(samples_by(recording, "container", comm="threads")) == {None}
    assert set(samples_by(recording, "unit", comm="threads")) == {"web.service"}
    assert samples_by(recording, "comm")["threads"] > 100
    plain = record("-a", "-d", 1, "--no-label", "container,unit")
    assert set(samples_by(plain, "container")) == {None} == set(samples_by(plain, "unit"))


def test_labels_of_one_process(tree):
    target = tree.start("web.service", "shares")
    recording = record("-p", target.pid, "-d", 1, "--label", "unit")
    assert samples_by(recording, "unit") == {"web.service": recording.samples}
    without = record("-p", target.pid, "-d", 1)
    assert set(samples_by(without, "unit")) == {None}


@pytest.mark.parametrize("spelling", ["mounted", "within", "without a slash"])
def test_by_cgroup_with_descendants(tree, spelling):
    tree.start("in.slice/deep/deeper", "shares")
    tree.start("in.slice", "threads")
    tree.start("in.slice-but-another", "recurse")
    path = f"{tree.root}/in.slice"
    if spelling != "mounted":
        path = path[len(mount()):]
    recording = record("--cgroup", path if spelling != "without a slash" else path[1:] + "/", "-d", 1.5)
    assert set(samples_by(recording, "comm")) == {"shares", "threads"}
    assert recording.samples > 500


def test_several(tree):
    for group, workload in (("a", "shares"), ("b", "threads"), ("c", "recurse")):
        tree.start(group, workload)
    recording = record("--cgroup", f"{tree.root}/a", "--cgroup", f"{tree.root}/c", "-d", 1.5)
    assert set(samples_by(recording, "comm")) == {"shares", "recurse"}


def test_by_container(tree):
    tree.start(f"docker-{ID}.scope/inner", "shares")
    tree.start(f"docker-{OTHER}.scope", "threads")
    tree.start("machine-mine\\x2dtoo.scope/payload", "recurse")
    recording = record("--container", "aba", "-d", 1)
    assert set(samples_by(recording, "comm")) == {"shares"}
    assert set(samples_by(recording, "container")) == {ID}
    recording = record("--container", "mine-too", "-d", 1)
    assert set(samples_by(recording, "comm")) == {"recurse"}
    refuse("record", "--container", "aba", "--container", "abb", "-d", 1, says="no container's id begins with 'abb'")
    refuse("record", "--container", "ab", "-d", 1, says="at least 3 characters")
    second = tree.group(f"libpod-{ID[:-2] + 'ff'}.scope")
    said = refuse("record", "--container", "abab", "-d", 1, says="begins the ids of 2 containers")
    assert ID in said and ID[:-2] + "ff" in said
    os.rmdir(second)


def test_moved_and_removed(tree, tmp_path):
    """A process is where it is at each sample; a group that has gone keeps its name, and one that came has one."""
    target = tree.start("first.service", "shares")
    process = start_ebprof("record", "-a", "-F", 999, "-o", f"{tmp_path}/profile.pb.gz", "--stats",
        f"{tmp_path}/stats.json")
    await_recording(process)
    time.sleep(0.7)
    with open(f"{tree.group('second.service')}/cgroup.procs", "w") as file:
        file.write(str(target.pid))
    os.rmdir(f"{tree.root}/first.service")
    time.sleep(0.7)
    with open(f"{tree.root}/cgroup.procs", "w") as file:
        file.write(str(target.pid))
    os.rmdir(f"{tree.root}/second.service")
    process.send_signal(2)
    recording = Recording(finish_ebprof(process), str(tmp_path), f"{tmp_path}/profile.pb.gz")
    check_recording(recording)
    units = samples_by(recording, "unit", comm="shares")
    assert units["first.service"] > 100 and units["second.service"] > 100
    assert set(units) <= {"first.service", "second.service", None}


def test_refusals():
    refuse("record", "--cgroup", "/no/such/group", says="there is no cgroup '/no/such/group'")
    refuse("record", "--cgroup", "", says="give the path of a cgroup")
    refuse("record", "--cgroup", "/", "-a", says="exclude each other")
    refuse("record", *(["--cgroup", "/"] * 9), says="at most 8")
    refuse("record", "-p", "1", "--label", "cgruop", says="no such label")
