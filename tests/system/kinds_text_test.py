# SPDX-License-Identifier: Apache-2.0
"""Code that no longer lies where, or in what, its file was mapped: huge pages, memfds, code that was moved or made."""

import pytest

from harness import assert_complete, assert_shares, is_early, record, record_command, started
from shapes import DRIVEN, assert_chains, chain_of, most_common

REPLACED = ["copy", "mremap", "shared", "whole"]


def files_of(recording, function):
    return {frame.mapping.file.rsplit("/", 1)[-1] for sample in recording.profile.samples for frame in sample.frames
        if frame.function == function}


@pytest.mark.parametrize("mode", REPLACED)
def test_code_moved_to_other_memory_from_the_start(mode):
    """The records of what is mapped over the file come one by one."""
    _, recording = record_command("kind_text", 1, mode)
    assert_chains(recording, "text_work", rf"text_work;text_outer;{DRIVEN}", share=0.99)
    assert files_of(recording, "text_work") == {"kind_text"}
    assert_complete(recording, libraries=1)


@pytest.mark.parametrize("mode", REPLACED)
def test_code_moved_to_other_memory_before_attaching(mode):
    """All that can be seen is memory without a file, beside what is left of the file's mappings."""
    with started("kind_text", 4, mode) as target:
        recording = record("-p", target.pid, "-d", 2)
    assert_chains(recording, "text_work", rf"text_work;text_outer;{DRIVEN}", share=0.99, least=100)
    assert files_of(recording, "text_work") == {"kind_text"}
    assert_complete(recording)


def test_other_code_in_the_place_of_the_file():
    """Not the file's bytes, so not the file's names: but for a tick before the mapping was known."""
    _, recording = record_command("kind_text", 1, "jit")
    total = recording.count_of("call_made_code")
    made = recording.count(lambda sample: "[anonymous code]+0x" in chain_of(sample).split(";", 1)[0])
    assert made >= 0.98 * total > 500, most_common(recording)
    assert_chains(recording, r"\[anonymous code\].*", rf"\[anonymous code\]\+0x\w+;call_made_code;{DRIVEN}", share=0.99)


def test_code_moved_to_another_address():
    """Nothing tells of it; the first samples there make the mappings be read again."""
    _, recording = record_command("kind_text", 1.5, "moved")
    assert_chains(recording, "text_work", rf"text_work;text_outer;{DRIVEN}", share=0.99)
    assert recording.counters["rescans"] > 0
    assert recording.count_of("text_work") > 0.95 * recording.samples


def test_executable_segment_of_its_own():
    """1.75 GiB from the rest of the program's code, which an index of 8 bytes for each KiB would make 14 MiB."""
    _, recording = record_command("kind_text", 1, "far")
    assert_chains(recording, "far_work", rf"far_work;far_outer;{DRIVEN}")
    assert_complete(recording)
    assert recording.stats["table_bytes"] < 2 << 20


def test_code_unpacked_into_reserved_memory():
    """It has neither rows nor frame pointers: the leaf's caller is found, and then there is a reason, no parent."""
    _, recording = record_command("kind_text", 1, "packed")
    anonymous = recording.count(lambda sample: chain_of(sample).startswith("[anonymous code]") and not is_early(sample))
    assert anonymous > 0.95 * recording.samples, most_common(recording)
    ended = recording.count(lambda sample: chain_of(sample).startswith("[anonymous code]")
        and chain_of(sample).rsplit(";", 1)[1].startswith("[no unwind info"))
    assert ended >= 0.99 * anonymous, most_common(recording)
    assert recording.count(lambda sample: "call_made_code" in chain_of(sample) and "[no" in chain_of(sample)) == 0


def test_program_in_a_memfd():
    truth, recording = record_command("kind_memfd", 1.5, "exec")
    assert_shares(recording, truth, ["share_a", "share_b", "share_c"])
    assert files_of(recording, "share_a") == {"memfd:shares"}
    assert_complete(recording)


def test_library_in_a_memfd():
    _, recording = record_command("kind_memfd", 1, "dlopen")
    assert_chains(recording, "first_plugin_work", rf"first_plugin_work;call_memfd;{DRIVEN}", share=0.99)
    assert files_of(recording, "first_plugin_work") == {"memfd:libfirst_plugin.so"}
    assert_complete(recording, libraries=1)


def test_code_made_in_a_memfd():
    """No ELF file: its frames are named by the memfd and the place in it, and found by frame pointer."""
    _, recording = record_command("kind_memfd", 1, "jit")
    assert_chains(recording, r"memfd:made code.*", rf"memfd:made code\+0x\w+;call_memfd;{DRIVEN}", share=0.98)
    assert recording.counters["fp_stacks"] + recording.counters["guessed_stacks"] > 0.9 * recording.samples


@pytest.mark.parametrize("running", [False, True], ids=["from the start", "attached"])
def test_code_made_in_shared_memory(running):
    """Memory without a file, whatever the kernel calls it."""
    if running:
        with started("kind_memfd", 3, "shared") as target:
            recording = record("-p", target.pid, "-d", 1)
    else:
        _, recording = record_command("kind_memfd", 1, "shared")
    assert_chains(recording, r"\[anonymous code\].*", rf"\[anonymous code\]\+0x\w+;call_memfd;{DRIVEN}", share=0.98)
    assert {frame.mapping.file for sample in recording.profile.samples for frame in sample.frames
        if frame.function.startswith("[anonymous code]")} == {"[anon]"}
