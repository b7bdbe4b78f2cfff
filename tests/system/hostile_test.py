# SPDX-License-Identifier: Apache-2.0
"""Processes and files that are made to trouble a profiler: what is wrong itself suffers, and the rest stays whole."""

import os
import re
import shutil
import struct
import tempfile

import pytest

from harness import assert_count, assert_share, names_of, record, record_command, started, user_names_of

RATE = 999
MANY = 60000


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="ebprof-test-")
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


# --- many mappings --------------------------------------------------------------------------------------------------


def test_many_mappings_of_a_running_process():
    """As many as a process can have, read from /proc: every stack is whole."""
    with started("hostile", 20, "many") as target:
        assert target.said["mappings"] > MANY
        recording = record("-p", target.pid, "-d", 2)
    assert recording.count_of("host_work") > 0.9 * recording.samples
    assert recording.counters["user_complete"] > 0.9 * recording.samples
    assert recording.counters["mappings_refused"] == 0


@pytest.mark.parametrize("mode", ["many-later", "descending"])
def test_many_mappings_while_recorded(mode):
    """As many come while the recording runs, from below or from above: they are read, and nothing is left waiting."""
    truth, recording = record_command("hostile", 2, mode)
    assert truth["mappings"] > MANY
    due = truth["host_work"] / 1e9 * RATE
    assert_count(recording.count_of("host_work"), due, "host_work")
    whole = recording.count(lambda sample: "host_work" in names_of(sample) and "main" in names_of(sample))
    # A run of the walker's mappings rests before it is used again: some ticks may wait for room.
    assert whole > 0.7 * due, f"{whole} of {due}: {recording.counters}"


def test_a_neighbour_with_many_mappings():
    """What one process does to its mappings costs another one nothing."""
    with started("hostile", 20, "descending"):
        truth, recording = record_command("shares", 1)
    assert_count(recording.samples, sum(truth.values()) / 1e9 * RATE, "samples")
    assert recording.counters["user_complete"] > 0.97 * recording.samples


# --- mappings that change -------------------------------------------------------------------------------------------


def test_mappings_change_under_the_reader():
    """Libraries come and go at the same addresses, each for a millisecond: nothing is lost uncounted."""
    truth, recording = record_command("hostile", 3, "churn")
    assert truth["rounds"] > 100
    assert_count(recording.count_of("host_work"), truth["host_work"] / 1e9 * RATE, "host_work")
    ticks = sum(truth[name] for name in ("host_work", "first", "second")) / 1e9 * RATE
    assert recording.samples >= ticks - 4 * ticks ** 0.5
    cut = recording.count(lambda sample: names_of(sample)[-1].startswith("["))
    whole = sum(recording.counters[f"user_{name}"] for name in ("complete", "ended", "absent"))
    assert cut == recording.samples - whole, "what ended early says so"


@pytest.mark.parametrize("snapshot", [16, 0])
def test_a_piece_of_text_gets_another_flag(snapshot):
    """No record tells of it, and the code is the same as before: its stacks are soon walked as before."""
    truth, recording = record_command("hostile", 2, "pieces", options=["--snapshot", snapshot])
    whole = recording.count(lambda sample: {"host_work", "main"} <= set(names_of(sample)))
    changed = recording.counters["user_table_changed"]
    assert changed <= (0 if snapshot else 0.2 * recording.samples)
    assert_count(whole + changed, truth["host_work"] / 1e9 * RATE, "host_work")
    assert recording.counters["snapshots"] <= 0.3 * recording.samples


@pytest.mark.parametrize("mode", ["churn", "churn-forks"])
def test_no_wrong_library(mode):
    """
    Two libraries take turns at one address: what runs there hardly ever has the other's name. (When mappings are read
    again from /proc, after a thousand changes, copies of a moment before may meet what came there in between.)
    """
    _, recording = record_command("hostile", 3, mode)
    wrong = recording.count(lambda sample: {"call_first", "second_plugin_work"} <= set(user_names_of(sample)) or
        {"call_second", "first_plugin_work"} <= set(user_names_of(sample)))
    assert wrong <= 0.003 * recording.samples, f"{wrong} of {recording.samples}"


# --- what is mapped -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attach", [True, False], ids=["running", "from-the-start"])
def test_odd_files(folder, attach):
    """Code from files that are no longer what they were: no read waits for them, and the rest is whole."""
    if attach:
        with started("hostile", 4, "files", folder) as target:
            recording = record("-p", target.pid)
            truth = target.finish()
    else:
        truth, recording = record_command("hostile", 2, "files", folder)
    due = truth["host_work"] / 1e9 * RATE
    whole = recording.count(lambda sample: {"host_work", "main"} <= set(names_of(sample)))
    assert_count(whole, due, "host_work")
    # The first of five kinds may be over before an attached recording begins.
    files_due = truth["files"] / 1e9 * RATE * 4 / 5
    foreign = recording.count(lambda sample: "call_file" in names_of(sample)
        and re.match(r"(deleted|fifo|socket|folder)\+0x", names_of(sample)[0]))
    assert abs(foreign - files_due) <= 4 * files_due ** 0.5 + 0.1 * files_due, (foreign, files_due)


def hostile_library(path, kind):
    """A shared library of one function that spins, whose call-frame information is a trap."""
    code_at, code = 0x1000, b"\x48\xff\xcf\x75\xfb\xc3"
    frames_at, frames_size = 0x2000, 0x1000
    frames = {
        "huge": b"\0\0\0\0\0\0\0\0",
        "endless": struct.pack("<IIB", 0xff8, 0, 1) + b"z" * 0xff0,
        "loop": struct.pack("<II", 12, 0) + b"\1\0\1\x78\x10\0\0\0" + struct.pack("<IIQQ", 20, 4, 0x1000, 6) * 100,
        "overlong": struct.pack("<I", 0xffffffff) + b"\xff" * 64,
    }[kind].ljust(frames_size, b"\0")
    if kind == "huge":
        frames_size = 4 << 30
    names = b"\0.eh_frame\0.shstrtab\0"
    sections_at = 0x3000 + 64
    header = b"\x7fELF\2\1\1" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, 1,
        64, 3, 2)
    header += struct.pack("<IIQQQQQQ", 1, 5, code_at, code_at, code_at, len(code), len(code), 4096)
    sections = b"\0" * 64 + struct.pack("<IIQQQQIIQQ", 1, 1, 2, frames_at, frames_at, frames_size, 0, 0, 8, 0)
    sections += struct.pack("<IIQQQQIIQQ", 11, 3, 0, 0, 0x3000, len(names), 0, 0, 1, 0)
    with open(path, "wb") as file:
        for place, data in [(0, header), (code_at, code), (frames_at, frames), (0x3000, names),
                (sections_at, sections)]:
            file.seek(place)
            file.write(data)
        if kind == "huge":
            file.truncate((4 << 30) + 0x10000)  # a sparse file takes no room


@pytest.mark.parametrize("kind", ["huge", "endless", "loop", "overlong"])
def test_hostile_library(folder, kind):
    """A library's unwind information is a trap: it has no table then, and everything else has."""
    path = os.path.join(folder, "trap.so")
    hostile_library(path, kind)
    truth, recording = record_command("hostile", 2, "library", path)
    whole = recording.count(lambda sample: {"host_work", "main"} <= set(names_of(sample)))
    assert_count(whole, truth["host_work"] / 1e9 * RATE, "host_work")
    assert_share(whole, recording.samples, truth["host_work"] / (truth["host_work"] + truth["library"]), "host_work")
    trapped = recording.count(lambda sample: "trap.so" in "".join(names_of(sample)))
    assert trapped >= 0.8 * truth["library"] / 1e9 * RATE
