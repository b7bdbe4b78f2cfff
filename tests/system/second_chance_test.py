# SPDX-License-Identifier: Apache-2.0
"""Stacks that the kernel could not walk yet: finished by the loader from a copy, which no file ever holds."""

import os
import resource
import shutil
import signal
import time

import pytest

from harness import (ROOT, assert_only_known_ends, finish_ebprof, names_of, path_of, record, record_command, start_ebprof,
    started)

EARLY = ("user_no_process_table", "user_no_file_table", "user_table_changed")


def early(recording):
    return sum(recording.counters[name] for name in EARLY)


@pytest.mark.parametrize("kib", [0, 1, 16, 64])
def test_programs_that_have_just_started(kib):
    """Three programs, one after the other by exec, sampled from their first instructions."""
    _, recording = record_command("exec_1", 0.3, rate=4999, options=["--snapshot", kib])
    if kib:
        assert recording.counters["snapshots"] > 0
        # A tick in exec's last moments may have the registers of the program before.
        assert early(recording) <= 1
        # The smallest copy holds the shallow stacks only.
        cut = recording.counters["user_copy_cut"]
        assert (cut > 0) == (kib == 1)
        assert_only_known_ends(recording, cut=cut)
    else:
        assert recording.counters["snapshots"] == 0
    # None is lost or counted twice either way: record() compares the profile with the counters.
    for name in ("image_1_work", "image_2_work", "image_3_work"):
        assert recording.count_of(name) > 100, name


def test_libraries_that_have_just_been_mapped():
    _, recording = record_command("dlopens", 2, rate=4999)
    assert recording.counters["snapshots"] > 0
    assert early(recording) == 0
    assert recording.counters["user_no_mapping"] <= 0.001 * recording.samples


def test_libraries_of_a_command():
    """Looked for and read before it starts, however large: nothing has to wait for them."""
    clang = shutil.which("clang")
    if not clang:
        pytest.skip("no clang, whose library is large")
    source = os.path.join(ROOT, "tests", "workloads", "odd.c")
    recording = record(command=[clang, "-O2", "-c", source, "-o", "/dev/null"])
    inside = recording.count(lambda sample: any("libclang" in frame.mapping.file for frame in sample.frames))
    assert inside > 30
    assert recording.counters["snapshots"] <= 5 + 0.02 * recording.samples
    assert_only_known_ends(recording)


def test_a_stack_deeper_than_the_copy(tmp_path):
    """Cut where the copy ends, which the stack and the counter say, with what to do about it."""
    # By way of a shell: what a command itself maps is known before it starts. Each copy is a file of its own, whose
    # table has to be made while it runs already.
    programs = [shutil.copy(path_of("recurse"), tmp_path / f"recurse_{i}") for i in range(20)]
    command = ["/bin/sh", "-c", "; ".join(f"{program} 0.03 3000" for program in programs)]
    shallow = record("--snapshot", 1, rate=4999, command=command)
    cut = shallow.counters["user_copy_cut"]
    assert cut == shallow.count(lambda sample: names_of(sample)[-1].startswith("[cut: the stack's copy ends"))
    assert cut > 0
    assert "raise --snapshot" in shallow.stderr
    assert shallow.counters["user_unreadable"] == 0


def test_a_process_without_any_hope_is_bounded():
    """Each tick of it has a pc outside of all mappings; the copies stop soon, the samples don't."""
    with started("odd", 4, "nowhere") as target:
        recording = record("-p", target.pid, "-d", 2)
    assert recording.counters["user_no_mapping"] > 0.9 * recording.samples
    assert recording.counters["snapshots"] < 0.5 * recording.samples


def test_a_stack_with_nothing_below_it():
    """The copy takes some bytes from below the stack pointer, but doesn't depend on them."""
    with started("odd", 3, "edge") as target:
        recording = record("-p", target.pid, "-d", 1)
    assert recording.count(lambda sample: names_of(sample)[0] == "odd_edge") > 200
    assert recording.counters["snapshots"] > 0
    assert recording.counters["snapshots_failed"] == 0


def test_no_core_dump(tmp_path):
    """A crash of ebprof leaves no file with the memory of others."""
    with open("/proc/sys/kernel/core_pattern") as file:
        if not file.read().startswith("core"):
            pytest.skip("core dumps go elsewhere on this machine")
    limits = resource.getrlimit(resource.RLIMIT_CORE)

    def allow_cores():
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))

    with started("shares", 5) as target:
        process = start_ebprof("record", "-p", target.pid, "-d", 20, cwd=tmp_path, preexec_fn=allow_cores)
        time.sleep(1)
        process.send_signal(signal.SIGSEGV)
        done = finish_ebprof(process)
    assert done.status == -signal.SIGSEGV
    assert not [name for name in os.listdir(tmp_path) if name.startswith("core")]
