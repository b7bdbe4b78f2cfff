# SPDX-License-Identifier: Apache-2.0
"""Stacks are right, not only complete: libdwfl unwinds the same registers and bytes, and finds the same frames."""

import os
import re
import struct
import subprocess

import pytest

from harness import BUILD, record

REPLAY = os.path.join(BUILD, "tests", "replay", "replay")
BASH_PROGRAM = """fib() { local n=$1; if (( n < 2 )); then result=$n; return; fi
 fib $((n - 1)); local a=$result; fib $((n - 2)); result=$((a + result)); }
end=$(( ${EPOCHREALTIME/./} + 1800000 ))
while (( ${EPOCHREALTIME/./} < end )); do
 fib 9; text="${!BASH*} $result"; text="${text//BASH/b}"; [[ $text =~ b_[A-Z]+ ]]
done"""
HEAD = struct.Struct("=II")
SAMPLE = struct.Struct("=8IQ17Q")
CAPTURE_SAMPLE = 1


def replay(path, *options):
    done = subprocess.run([REPLAY, *options, path], text=True, errors="replace", stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=90)
    total = re.search(r"^total: .*$", done.stdout, re.MULTILINE)
    counts = re.findall(r"([a-z][a-z ]*?) (\d+)[,;]", total.group(0) if total else "")
    return done, {name: int(count) for name, count in counts}


@pytest.mark.parametrize("command", [["/bin/bash", "-c", BASH_PROGRAM], ["signals", 1.6], ["threads", 1.6]],
    ids=["bash", "signals", "threads"])
def test_frames_are_those_of_libdwfl(command, tmp_path):
    path = tmp_path / "stacks"
    recording = record("--capture-stacks", path, command=command)
    done, counts = replay(path)
    assert done.returncode == 0, done.stdout
    taken = recording.counters["samples"] - recording.counters["user_absent"] - recording.counters["capture_failed"]
    assert counts["samples"] == taken, "every sample that has a user stack is replayed or was counted as not captured"
    assert counts["equal"] >= 1200, done.stdout
    assert counts["different"] <= 0.001 * counts["equal"], done.stdout


def samples_of(data):
    """(where the body begins, number of frames) of each captured sample."""
    at = 8
    while at < len(data):
        kind, size = HEAD.unpack_from(data, at)
        at += HEAD.size
        if kind == CAPTURE_SAMPLE:
            yield at, SAMPLE.unpack_from(data, at)[3]
        at += size


def test_a_wrong_frame_is_found(tmp_path):
    """The witness is worth something: one pc changed by one byte in some samples makes just these different."""
    path = tmp_path / "stacks"
    record("--capture-stacks", path, command=["shares", 0.6])
    _, before = replay(path)
    data = bytearray(path.read_bytes())
    changed = 0
    for at, frames in list(samples_of(data))[-40::4]:
        pc_at = at + SAMPLE.size + frames * 8 + 8
        data[pc_at:pc_at + 8] = struct.pack("=Q", struct.unpack_from("=Q", data, pc_at)[0] + 1)
        changed += 1
    path.write_bytes(data)
    done, after = replay(path)
    assert done.returncode == 1, done.stdout
    assert after["different"] == before["different"] + changed == changed
    assert after["equal"] == before["equal"] - changed
    assert "they part after shares+0x" in done.stdout, done.stdout
    assert replay(path, "--min-equal", "50")[0].returncode == 0


def test_replay_refuses_what_is_not_a_capture(tmp_path):
    path = tmp_path / "stacks"
    record("--capture-stacks", path, command=["shares", 0.2])
    data = path.read_bytes()
    for broken in (b"", b"ebprofc2", b"\x7fELF" + data[4:], data[:-1], data[:1000], data[:8] + b"\xff" * 64):
        path.write_bytes(broken)
        done, _ = replay(path)
        expected = 1 if broken == b"ebprofc2" else 2  # a capture without samples compares nothing
        assert done.returncode == expected, (broken[:16], done.stdout)
