# SPDX-License-Identifier: Apache-2.0
"""Whatever ends ebprof, nothing of it stays in the kernel: no program, map, link or event; no process, no file."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness import (await_recording, await_true, bpf_ids, finish_ebprof, path_of, run_ebprof, start_ebprof, started)

BPFTOOL = shutil.which("bpftool", path="/usr/sbin:" + os.environ.get("PATH", ""))


def loaded(kind):
    """Ids of all programs, maps or links of the host."""
    listing = subprocess.run([BPFTOOL, "-j", kind, "list"], stdout=subprocess.PIPE, check=True).stdout
    return {entry["id"] for entry in json.loads(listing or b"[]")}


def loaded_by_nobody(before):
    """What was loaded since and has no process that holds it: left behind. Others may load and unload meanwhile."""
    fresh = {kind: loaded(kind) - ids for kind, ids in before.items()}
    for name in filter(str.isdigit, os.listdir("/proc")):
        for kind, ids in bpf_ids(name).items():
            fresh[kind] -= ids
    return {kind: ids for kind, ids in fresh.items() if ids}


def still_there(held):
    return {kind: ids & loaded(kind) for kind, ids in held.items() if ids & loaded(kind)}


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.2, 0.3, 0.5, 1.5])
def test_killed(moment):
    """At moments from the loading of programs to the middle of the recording."""
    with tempfile.TemporaryDirectory() as folder, started("shares", 20) as target:
        before = {kind: loaded(kind) for kind in ("prog", "map", "link")}
        process = start_ebprof("record", "-p", target.pid, "-o", f"{folder}/profile.pb.gz")
        time.sleep(moment)
        held = bpf_ids(process.pid)
        process.kill()
        finish_ebprof(process)
        if moment > 1:
            assert held["prog"] and held["map"], "the test saw what was loaded"
        assert await_true(lambda: not still_there(held)), still_there(held)
        assert await_true(lambda: not loaded_by_nobody(before)), loaded_by_nobody(before)
        assert "profile.pb.gz" not in os.listdir(folder), "only a whole profile gets the name"
        assert target.process.poll() is None


def test_killed_with_a_command():
    """COMMAND lives on when it had started; a child that was still waiting to become it does not."""
    with tempfile.TemporaryDirectory() as folder:
        process = start_ebprof("record", "-o", f"{folder}/profile.pb.gz", "--", path_of("sleeper"), 3)
        await_recording(process)
        held = bpf_ids(process.pid)
        process.kill()
        process.communicate()
        assert held["prog"]
        assert await_true(lambda: not still_there(held)), still_there(held)


def test_waiting_child_dies_with_ebprof():
    for moment in (0.01, 0.03, 0.05, 0.1):
        process = start_ebprof("record", "-o", "/dev/null", "--", path_of("sleeper"), 77)
        time.sleep(moment)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True).stdout.split()
        process.kill()
        process.communicate()

        def gone(children=children):
            """Dead, or COMMAND itself, which may live."""
            for pid in children:
                try:
                    if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "ebprof":
                        return False
                except OSError:
                    continue
            return True

        assert await_true(gone), children
        for pid in children:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass


def test_nothing_left_after_an_ordinary_end():
    before = {kind: loaded(kind) for kind in ("prog", "map", "link")}
    done = run_ebprof("record", "-q", "-o", "/dev/null", "--", path_of("exits"), 100, 0)
    assert done.status == 0, str(done)
    assert await_true(lambda: not loaded_by_nobody(before)), loaded_by_nobody(before)


def test_target_is_not_disturbed():
    """Not stopped, not traced, not restarted: its memory map has nothing new, its signals did not change."""
    with started("stubborn", 3) as target:
        with open(f"/proc/{target.pid}/maps") as file:
            before = file.read()
        done = run_ebprof("record", "-q", "-o", "/dev/null", "-p", target.pid, "-d", 1)
        assert done.status == 0, str(done)
        with open(f"/proc/{target.pid}/maps") as file:
            assert file.read() == before
        truth = target.finish()
    assert truth["interrupts"] == truth["terminations"] == 0
