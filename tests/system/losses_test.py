# SPDX-License-Identifier: Apache-2.0
"""Losses are counted under their names: each is forced here, and every sum still holds (record() checks the sums)."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness import (Recording, await_recording, check_recording, finish_ebprof, names_of, record,
    record_command, start_ebprof, started, sample_rate_limit, sysctl)

FAST = 9999
LOST_STACK = "[stack lost: ring full]"


def lost_stacks(recording):
    return recording.count(lambda sample: any(name == LOST_STACK for name in names_of(sample)))


def test_refused_stack_is_sent_again():
    """A ring that was full for a moment costs no stack that is seen again afterwards."""
    _, recording = record_command("shares", 2, options=["--ring", 4096], rate=FAST)
    assert lost_stacks(recording) < 0.01 * recording.samples


def test_counts_full():
    _, recording = record_command("paths", 2, 16, options=["--counts", 16], rate=FAST)
    assert recording.counters["lost_counts_full"] > 0
    assert recording.stats["lost"] >= recording.counters["lost_counts_full"]
    assert "--counts" in recording.stderr


def test_known_full():
    """Bodies are sent twice; nothing is lost."""
    _, recording = record_command("paths", 2, 10, options=["--known", 16], rate=FAST)
    assert recording.counters["known_full"] > 0
    assert recording.counters["stack_lost"] == lost_stacks(recording) <= 0.01 * recording.samples


def test_processes_full():
    """More processes than the kernel can tell apart: samples of the others are lost, by name."""
    _, recording = record_command("forks", 400, 5, options=["--processes", 8], rate=FAST)
    assert recording.counters["lost_processes_full"] > 0
    assert "--processes" in recording.stderr


def test_mappings_full():
    """No room for the target's mappings: its stacks have no table, and the reason is told."""
    _, recording = record_command("shares", 1, options=["--mappings", 2, "--snapshot", 0], rate=FAST)
    assert recording.counters["mappings_refused"] > 0
    assert recording.counters["user_no_process_table"] > 0.9 * recording.samples


def test_mappings_full_with_a_second_chance():
    """The loader knows them all the same, and walks as many copied stacks as it may."""
    _, recording = record_command("shares", 1, options=["--mappings", 2])
    assert recording.counters["mappings_refused"] > 0
    assert recording.counters["user_complete"] > 0.9 * recording.samples


def test_strict_counts_losses():
    record_command("paths", 1, 16, options=["--counts", 4, "--strict"], rate=FAST, status=1)


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="ebprof-test-")
    yield path
    shutil.rmtree(path)


def stopped_for_a_while(folder, target, seconds, *options):
    """A recording whose ebprof was stopped in the middle, as on a host that has no CPU time left for it."""
    process = start_ebprof("record", "-F", FAST, "-o", f"{folder}/profile.pb.gz", "--stats", f"{folder}/stats.json",
        "-p", target.pid, *options)
    await_recording(process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    recording = Recording(finish_ebprof(process), folder, f"{folder}/profile.pb.gz")
    assert recording.status == 0, str(recording)
    check_recording(recording)
    return recording


def test_ring_full(folder):
    """Stacks that found no room: their samples are there, under a name that says so, with value and labels."""
    with started("paths", 20, 16) as target:
        recording = stopped_for_a_while(folder, target, 1, "--ring", 4096)
    assert recording.counters["ring_full"] > 0
    assert recording.counters["stack_lost"] == lost_stacks(recording) > 0
    assert all(sample.labels["comm"] == "paths" for sample in recording.profile.samples
        if LOST_STACK in names_of(sample))
    assert "--ring" in recording.stderr


def test_all_tables_tiny(folder):
    with started("paths", 20, 16) as target:
        recording = stopped_for_a_while(folder, target, 1, "--ring", 4096, "--known", 4, "--counts", 4)
    assert recording.counters["lost_counts_full"] > 0 and recording.counters["ring_full"] > 0
    assert recording.samples > 0


def test_mapping_records_lost(folder):
    """The kernel drops mapping records; the mappings are read again and names stay right."""
    with started("storm", 20) as target:
        recording = stopped_for_a_while(folder, target, 3)
    assert recording.counters["sideband_lost"] > 0
    assert recording.counters["rescans"] > 0
    assert recording.count_of("main") > 0.9 * recording.samples


def test_agent_without_cpu_time(folder):
    """Nothing drains: stacks are refused, counts go on until their table is full, and all of it is named."""
    with started("paths", 20, 16) as target:
        recording = stopped_for_a_while(folder, target, 2, "--ring", "64k", "--counts", 4096)
    assert recording.counters["ring_full"] > 0
    assert recording.counters["lost_counts_full"] > 0


def test_throttled(folder):
    """The limit is lowered below the rate in the middle of the run: the kernel pauses the clock and says so."""
    with started("shares", 20) as target:
        process = start_ebprof("record", "-F", 20000, "-o", f"{folder}/profile.pb.gz", "--stats",
            f"{folder}/stats.json", "-p", target.pid)
        await_recording(process)
        with sample_rate_limit(2000):
            time.sleep(1)
        process.send_signal(signal.SIGINT)
        recording = Recording(finish_ebprof(process), folder, f"{folder}/profile.pb.gz")
    assert recording.status == 0, str(recording)
    check_recording(recording)
    assert recording.counters["throttled"] > 0
    assert recording.stats["unexplained"] > 0, "ticks that never came are unexplained, not invented"


def test_no_table_yet():
    """Ticks of a program that has only just become itself wait for its tables under that name."""
    _, recording = record_command("exec_1", 0.2, rate=FAST)
    early = recording.count(lambda sample: "no table yet" in names_of(sample)[-1])
    assert early == recording.counters["user_no_process_table"] + recording.counters["user_no_file_table"]
    assert early < 0.1 * recording.samples


def test_files_that_cannot_be_named():
    """A file of noise that is mapped executable and run into: counted, and the profile is whole."""
    _, recording = record_command("shares-stripped", 0.5)
    assert recording.counters["frames_unnamed"] > 0


def test_kernel_names_hidden():
    with sysctl("kernel.kptr_restrict", 2):
        _, recording = record_command("kernel", 1)
    assert recording.counters["kernel_unnamed"] > 0
    assert "kptr_restrict" in recording.stderr
    assert recording.count_of("read_zeros") > 0.9 * recording.samples


def test_kernel_stack_cut():
    """The kernel's own limit on its stacks, lowered: cut stacks are counted."""
    with sysctl("kernel.perf_event_max_stack", 2):
        _, recording = record_command("kernel", 1)
    assert recording.counters["kernel_cut"] > 0


def test_unwind_information_missing():
    _, recording = record_command("odd", 0.5, "nothing")
    assert recording.counters["user_no_unwind_info"] > 0


def test_broken_elf_mapped(folder):
    """Something that is no ELF file mapped as code, and executed."""
    path = os.path.join(folder, "code")
    source = os.path.join(folder, "run.c")
    with open(path, "wb") as file:
        # push rbp; mov rbp,rsp; 1: sub rdi,1; jne 1b; pop rbp; ret
        file.write(bytes([0x55, 0x48, 0x89, 0xE5, 0x48, 0x83, 0xEF, 0x01, 0x75, 0xFA, 0x5D, 0xC3]) + b"\x90" * 4084)
    with open(source, "w") as file:
        file.write("#include <fcntl.h>\n#include <sys/mman.h>\n"
            "int main(int n, char **a) { void (*f)(long) = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, "
            "open(a[n - 1], O_RDONLY), 0); f(2000000000); return 0; }\n")
    subprocess.run(["gcc", "-O2", "-g", "-fno-optimize-sibling-calls", source, "-o", f"{folder}/run"], check=True)
    inner = tempfile.mkdtemp(prefix="ebprof-test-")
    recording = record(command=[f"{folder}/run", path], folder=inner)
    assert recording.counters["files_broken"] + recording.counters["files_no_unwind"] > 0
    assert recording.count_of("main") > 0.9 * recording.samples
    assert recording.count(lambda sample: names_of(sample)[0].startswith("code+0x")) > 0.9 * recording.samples
