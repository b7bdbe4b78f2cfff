# SPDX-License-Identifier: Apache-2.0
"""32-bit processes, and the code that the kernel puts into processes of both kinds."""

import os

import pytest

from harness import WORKLOADS, assert_complete, record, record_command, started
from shapes import MAIN, assert_chains, most_common

WORKING = "bits_work;bits_middle;bits_outer;run_slice;run_for;main"
# main's caller, and why there is none above it.
CHAIN = rf"{WORKING};[^;[]+(?:;\[32-bit process: no frame pointer: [^;]+\])?"


def need_bits32(name="kind_bits32"):
    if not os.path.exists(os.path.join(WORKLOADS, name)):
        pytest.skip("not built: needs the package gcc-multilib")
    return name


@pytest.mark.parametrize("workload", ["kind_bits32", "kind_bits32-static"])
def test_names_and_callers(workload):
    """By frame pointer up to main, named by the 32-bit files' symbols; then libc has none, which is the reason."""
    _, recording = record_command(need_bits32(workload), 1, "work")
    assert_chains(recording, "bits_work", CHAIN, share=0.98)
    assert recording.counters["fp_stacks"] > 0.9 * recording.samples


def test_attached():
    with started(need_bits32(), 4, "work") as target:
        recording = record("-p", target.pid, "-d", 2)
    assert_chains(recording, "bits_work", CHAIN, least=50)


def test_vdso_of_32_bits():
    """It is another file than that of 64 bits, whose names would fit its addresses as well."""
    _, recording = record_command(need_bits32(), 1, "vdso")
    inside = [sample for sample in recording.profile.samples
        if sample.frames and sample.frames[0].mapping.file == "[vdso]"]
    total = sum(sample.values[0] for sample in inside)
    named = sum(sample.values[0] for sample in inside if sample.frames[0].function.startswith("__vdso_clock_gettime"))
    assert total > 0.4 * recording.samples, most_common(recording)
    assert named > 0.9 * total, most_common(recording)


def test_both_vdsos_in_one_recording():
    """Each process's frames are looked up in its own."""
    with started(need_bits32(), 4, "vdso") as small, started("kind_bits64", 4, "vdso") as large:
        recording = record("-p", f"{small.pid},{large.pid}", "-d", 2)
    build_ids = {frame.mapping.build_id for sample in recording.profile.samples for frame in sample.frames
        if frame.mapping.file == "[vdso]"}
    assert len(build_ids) == 2
    inside = recording.count(lambda sample: sample.frames[0].mapping.file == "[vdso]")
    named = recording.count(lambda sample: sample.frames[0].mapping.file == "[vdso]"
        and "clock_gettime" in sample.frames[0].function)
    assert named > 0.9 * inside > 50


def test_vdso_of_64_bits():
    _, recording = record_command("kind_bits64", 1, "vdso")
    assert_chains(recording, "__vdso_clock_gettime", rf"__vdso_clock_gettime;(?:[^;[]*clock_gettime[^;]*;)?clock_ns;"
        rf"(?:(?:bits_ask;|thread_cpu_ns;)?run_slice;)?run_for;{MAIN}")
    assert_complete(recording)


def test_vsyscall_page():
    """The kernel steps in at a fixed address among its own; the stack is the caller's all the same."""
    with open("/proc/self/maps") as file:
        if "[vsyscall]" not in file.read():
            pytest.skip("this kernel has no vsyscall page")
    _, recording = record_command("kind_bits64", 1, "vsyscall")
    at_page = [sample for sample in recording.profile.samples if "[vsyscall]+0xffffffffff600400" in chain(sample)]
    total = sum(sample.values[0] for sample in at_page)
    whole = sum(sample.values[0] for sample in at_page
        if ";[vsyscall]+0xffffffffff600400;bits_ask_old;run_slice;run_for;main;" in f";{chain(sample)}")
    assert whole >= 0.98 * total > 200, most_common(recording)
    assert all(chain(sample).count("vsyscall]") == 1 for sample in at_page), "shown once"
    assert all(frame.mapping.file == "[vsyscall]" for sample in at_page for frame in sample.frames
        if frame.function.startswith("[vsyscall]"))
    assert_complete(recording, share=0.98)


def chain(sample):
    """Kernel frames too."""
    return ";".join(frame.function for frame in sample.frames)
