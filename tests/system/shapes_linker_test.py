# SPDX-License-Identifier: Apache-2.0
"""Calls through the dynamic linker's stubs, and the dynamic linker itself at work: binding, loading, resolving."""

import os

import pytest

from harness import WORKLOADS, record_command
from shapes import ANY, DRIVEN, assert_chains, chain_of, most_common

STUBBED = ["lazy", "now", "ibt", "ibt-now", "static-now", "clang-lazy"]


def record_plt(build, mode, seconds):
    """By its full path: the workload finds its libraries beside itself."""
    _, recording = record_command(os.path.join(WORKLOADS, f"shape_plt-{build}"), seconds, mode, rate=1999)
    return recording


def assert_no_reason(recording, *names):
    """Stacks never end for one of these reasons; a process that has just begun may have its stack not in memory yet."""
    ends = {name: recording.counters[f"user_{name}"] for name in names}
    absent = ends.pop("unreadable", 0)
    assert not any(ends.values()), ends
    assert absent <= min(recording.counters["snapshots"], 0.002 * recording.samples), absent


@pytest.mark.parametrize("build", STUBBED + ["no-plt"])
def test_stubs(build):
    """A stub leaves no frame: whether the tick hits it or its target, the caller is the next frame."""
    recording = record_plt(build, "stubs", 0.8)
    assert_chains(recording, "run_stubs", rf"(?:stub_target_\d+(?:@plt)?;)?run_stubs;{DRIVEN}", anywhere=True)
    in_stubs = recording.count(lambda sample: "@plt;run_stubs;" in chain_of(sample))
    assert in_stubs > 100 or build == "no-plt", most_common(recording)
    assert_no_reason(recording, "leaf_register", "unsupported_rule", "bad_frame", "no_unwind_info", "unreadable")


def test_lazy_binding():
    """
    3,000 functions bound one by one, and the library loaded and unloaded around that. The binder keeps its caller's
    stack pointer in rbx, whose value must be followed through all frames of the linker.
    """
    recording = record_plt("lazy", "lazy", 2)
    assert_chains(recording, "call_all", rf"(?:{ANY};)*call_all;call_library;load_and_call;run_lazy;{DRIVEN}",
                  anywhere=True, least=1000)
    resolving = rf"(?:{ANY};)*_dl_fixup;_dl_runtime_resolve_\w+;call_all;call_library;load_and_call;run_lazy;{DRIVEN}"
    assert_chains(recording, r"(?:_dl_lookup_symbol_x|do_lookup_x|_dl_fixup|check_match)(?=;.*call_all)", resolving,
                  least=500)
    # Loading is the program's own start too.
    loading = rf"(?:{ANY};)+(?:(?:load;)?load_and_call;run_lazy;{DRIVEN}|dl_main;(?:{ANY};){{1,3}}_start)"
    assert_chains(recording, r"_dl_(?:map_object|close_worker|relocate_object)\w*", loading, anywhere=True, least=20)
    assert_no_reason(recording, "leaf_register", "unsupported_rule", "bad_frame", "unreadable")
    # _init and _fini, which are put together from pieces, have no unwind information.
    assert recording.counters["user_no_unwind_info"] <= 0.002 * recording.samples


def test_resolvers():
    """They run in the middle of relocation or of the first call."""
    recording = record_plt("lazy", "resolve", 1)
    assert_chains(recording, "resolver_work",
                  rf"resolver_work;resolved?_\d;(?:{ANY};)+(?:load|call_library);load_and_call;run_resolve;{DRIVEN}")
    assert_no_reason(recording, "leaf_register", "unsupported_rule", "bad_frame", "unreadable")


def test_thread_local_block_at_first_access():
    recording = record_plt("lazy", "tls", 1.5)
    assert_chains(recording, "__tls_get_addr",
                  rf"(?:{ANY};)*__tls_get_addr;(?:{ANY};)?touch_block;thread_that_touches;{ANY};{ANY}", anywhere=True,
                  least=100)
    assert_chains(recording, "touch_block", rf"touch_block;thread_that_touches;{ANY};{ANY}", least=10)
    assert_no_reason(recording, "leaf_register", "unsupported_rule", "bad_frame", "unreadable")


def test_program_with_50_libraries_starts_again_and_again():
    """Nearly all of its time is the dynamic linker's, before main; libc's start binds a function lazily, too."""
    recording = record_plt("lazy", "libraries", 2)
    assert_chains(recording, "do_lookup_x",
                  rf"do_lookup_x;_dl_lookup_symbol_x;(?:{ANY};)*(?:dl_main;(?:{ANY};){{1,3}}_start|"
                  rf"(?:run_programs;main;)?(?:{ANY};)+_start)",
                  least=10)
    # A process that has just begun may have its stack not in memory yet.
    assert_no_reason(recording, "leaf_register", "unsupported_rule", "bad_frame")
