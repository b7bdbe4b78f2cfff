# SPDX-License-Identifier: Apache-2.0
"""Targets in other namespaces, files that only they see, files that were replaced; and ebprof in a container itself."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from harness import EBPROF, check_pprof, names_of, path_of, record

UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
SHARES = ("share_a", "share_b", "share_c")


@pytest.fixture(autouse=True)
def namespaces():
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no namespaces can be made here")


class Inside:
    """A shell script in namespaces of its own; the program that it becomes by its name is the target."""

    def __init__(self, script, name):
        self.process = subprocess.Popen([*UNSHARE, "sh", "-ec", script], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        self.pid = None
        while self.pid is None and time.monotonic() < deadline:
            time.sleep(0.05)
            found = subprocess.run(["pgrep", "-x", name], text=True, stdout=subprocess.PIPE).stdout.split()
            self.pid = int(found[0]) if found else None
        assert self.pid, f"{name} did not begin"
        time.sleep(0.3)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        subprocess.run(["kill", "-9", str(self.pid)])
        self.process.wait()


def assert_shares_named(recording, path):
    own = [sample for sample in recording.profile.samples if any(name in SHARES for name in names_of(sample))]
    assert sum(sample.values[0] for sample in own) >= 0.97 * recording.samples
    assert recording.samples > 100
    assert {frame.mapping.file for sample in own for frame in sample.frames if frame.function in SHARES} == {path}
    assert all(names_of(sample)[-1] == "_start" for sample in own)
    assert any(frame.line for sample in own for frame in sample.frames if frame.function in SHARES)


@pytest.mark.parametrize("by", ["pid", "name"])
def test_file_that_only_the_target_sees(by):
    script = f"mount -t tmpfs none /mnt; cp {path_of('shares')} /mnt/hidden; exec /mnt/hidden 20"
    with Inside(script, "hidden") as target:
        options = ["-p", target.pid] if by == "pid" else ["--comm", "hidden"]
        recording = record(*options, "-d", 1)
    assert_shares_named(recording, "/mnt/hidden")


def test_overlay():
    script = f"""mount -t tmpfs none /mnt; mkdir /mnt/lower /mnt/upper /mnt/work /mnt/merged
        cp {path_of('shares')} /mnt/lower/layered
        mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/merged
        exec /mnt/merged/layered 20"""
    with Inside(script, "layered") as target:
        recording = record("-p", target.pid, "-d", 1)
    assert_shares_named(recording, "/mnt/merged/layered")


@pytest.mark.parametrize("fate", ["deleted", "replaced", "moved", "replaced in the namespace"])
def test_file_that_is_no_longer_there(fate, tmp_path):
    """The file that runs counts, not what lies at its path now."""
    path = str(tmp_path / "victim")
    shutil.copy(path_of("shares"), path)
    if fate == "replaced in the namespace":
        other = f"mount -t tmpfs none {tmp_path}; cp {path_of('threads')} {path}; sleep 1"
        script = f"{path} 20 & sleep 0.3; {other}; wait"
    else:
        script = f"exec {path} 20"
    with Inside(script, "victim") as target:
        if fate == "deleted":
            os.unlink(path)
        elif fate == "replaced":
            shutil.copy(path_of("threads"), f"{path}.new")
            os.rename(f"{path}.new", path)
        elif fate == "moved":
            os.rename(path, f"{path}.away")
        time.sleep(0.3)
        recording = record("-p", target.pid, "-d", 1)
    assert_shares_named(recording, f"{path}.away" if fate == "moved" else path)
    assert recording.count_of("alpha_work") == 0


def inside(script, folder):
    """Runs a script in namespaces of its own, in which $EBPROF is ebprof."""
    done = subprocess.run([*UNSHARE, "sh", "-ec", script], cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=dict(os.environ, EBPROF=EBPROF), timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def test_ebprof_in_a_container_by_inner_pid(tmp_path):
    inside(f"{path_of('shares')} 20 > /dev/null & sleep 0.3; $EBPROF record -p $! -F 999 -d 1 -o p.pb.gz; kill $!", tmp_path)
    profile = check_pprof.load(str(tmp_path / "p.pb.gz"))
    assert profile.total(0) > 200
    pids = {sample.labels["pid"] for sample in profile.samples}
    assert len(pids) == 1 and pids.pop() < 100, "the pid that the container knows"
    assert sum(sample.values[0] for sample in profile.samples if names_of(sample)[-1] == "_start") \
        >= 0.97 * profile.total(0)


def test_whole_host_from_within_a_container(tmp_path):
    """Processes outside of it count, by name; their stacks say why they are not there."""
    outside = subprocess.Popen([path_of("shares"), "20"], stdout=subprocess.DEVNULL)
    try:
        inside(f"{path_of('threads')} 20 > /dev/null & sleep 0.3;"
            "$EBPROF record -a -F 999 -d 1 -o p.pb.gz --stats s.json; kill $!", tmp_path)
    finally:
        outside.kill()
        outside.wait()
    profile = check_pprof.load(str(tmp_path / "p.pb.gz"))
    counters = json.loads((tmp_path / "s.json").read_text())["counters"]
    of_outside = [sample for sample in profile.samples if sample.labels["comm"] == "shares"]
    total = sum(sample.values[0] for sample in of_outside)
    assert total > 100
    reason = "[process not visible from this container]"
    assert sum(sample.values[0] for sample in of_outside if reason in names_of(sample)) >= 0.9 * total
    assert counters["user_not_visible"] >= 0.9 * total
    assert {sample.labels["pid"] for sample in of_outside} == {0}
    own = [sample for sample in profile.samples if sample.labels["comm"] == "threads"]
    assert any(re.match("alpha_work|beta_work|gamma_work", names_of(sample)[0]) for sample in own)
    assert not any(reason in names_of(sample) for sample in own)


def test_a_command_that_makes_namespaces():
    """Children of a target in namespaces of their own."""
    recording = record(command=["/usr/bin/env", *UNSHARE, path_of("shares"), "1"])
    own = recording.count(lambda sample: sample.labels["comm"] == "shares" and names_of(sample)[-1] == "_start")
    assert own >= 0.95 * recording.count(lambda sample: sample.labels["comm"] == "shares")
    assert own > 200
