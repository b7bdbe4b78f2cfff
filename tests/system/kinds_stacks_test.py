# SPDX-License-Identifier: Apache-2.0
"""Stacks that are left by a jump, switched by hand, or made of several: each sample has the chain of its own stack."""

import os

import pytest

from harness import WORKLOADS, assert_complete, record_command
from shapes import ANY, DRIVEN, THREAD, assert_chains, chain_of, most_common


def record_stacks(mode, seconds=1):
    _, recording = record_command("kind_stacks", seconds, mode)
    return recording


def test_longjmp_across_a_deep_stack():
    """Before the jump all calls, after it none of them, though their frames still lie on the stack."""
    recording = record_stacks("jump")
    assert_chains(recording, "jump_bottom", rf"jump_bottom;(?:jump_descend;){{31}}jump;{DRIVEN}")
    assert_chains(recording, "jump_landed", rf"jump_landed;jump;{DRIVEN}")
    assert_complete(recording)


def test_longjmp_out_of_a_handler_on_another_stack():
    """
    One frame is the return trampoline, one is kill(). In the first moments a stack is walked from a copy of its own,
    and that holds one stack, not both.
    """
    recording = record_stacks("sigjump")
    assert_chains(recording, "sigjump_handler_work",
        rf"sigjump_handler_work;sigjump_handler;{ANY};{ANY};(?:sigjump_raise;){{31}}sigjump;{DRIVEN}", share=0.99)
    assert_chains(recording, "jump_landed", rf"jump_landed;sigjump;{DRIVEN}")
    assert_complete(recording)


def test_ucontext():
    """The context's root is libc's, and whole."""
    recording = record_stacks("context")
    assert_chains(recording, "context_work", rf"context_work;context_main;{ANY}")
    assert_complete(recording)


def test_switch_in_assembly():
    """Returning to 0 is a good end: no pseudo-frame, and nothing of the stack that was left."""
    recording = record_stacks("switch")
    right = assert_chains(recording, "switch_work", "switch_work;switch_main")
    assert recording.counters["user_ended"] >= right


def test_root_that_returns_to_nowhere():
    """The last frame is what the stack holds, and a reason follows it."""
    recording = record_stacks("garbage")
    wanted = "switch_work;switch_main;[unknown code]+0x5bad5bad5000;[pc not in a known mapping]"
    working = recording.count(lambda sample: chain_of(sample).startswith("switch_work"))
    right = recording.count(lambda sample: chain_of(sample) == wanted)
    assert right >= 0.99 * working > 500, most_common(recording)
    assert recording.counters["user_no_mapping"] >= right
    assert recording.counters["rescans"] < 10, "reading the mappings again doesn't help, so it is not done each time"


def test_scheduler_of_200_stacks():
    recording = record_stacks("scheduler")
    total = assert_chains(recording, "scheduler_work", "scheduler_work;(?:scheduler_descend;){1,20}scheduler_main")
    depths = {}
    for sample in recording.profile.samples:
        if chain_of(sample).startswith("scheduler_work;"):
            depth = chain_of(sample).count("scheduler_descend")
            depths[depth] = depths.get(depth, 0) + sample.values[0]
    assert set(depths) == set(range(1, 21)), "each depth has as many stacks"
    assert max(depths.values()) < 0.15 * total, depths


def test_stack_in_pieces():
    """Each call is on a piece of its own, above or below the last: frames are told by rbp, not by where they lie."""
    recording = record_stacks("segments")
    assert_chains(recording, "segment_work", rf"segment_work;(?:segment_step;segment_call;){{12}}segment_step;segment;"
        rf"{DRIVEN}", share=0.99)
    assert_complete(recording)


def test_threads_with_the_smallest_stacks():
    recording = record_stacks("tiny")
    assert_chains(recording, "tiny_work", rf"tiny_work;run_slice;run_for;tiny_main;{THREAD}")
    assert_complete(recording)


def test_thread_made_by_clone():
    recording = record_stacks("clone")
    assert_chains(recording, "clone_work", rf"clone_work;run_slice;run_for;clone_main;{ANY}")
    assert_complete(recording)


def test_coroutines():
    """What awaits has left the stack when what it awaits begins: their common caller is who resumed."""
    if not os.path.exists(os.path.join(WORKLOADS, "kind_coroutines")):
        pytest.skip("the C++ compiler has no C++20 coroutines")
    _, recording = record_command("kind_coroutines", 1.5)
    resume = r"std::[^;]*::resume\(\) const"
    driven = DRIVEN.replace("run_for", r"run_for\([^;]*\)")
    for work, body, resumer in (("generator_work", "slices", "resume_generator"), ("awaited_work", "awaited", "resume_task"),
            ("awaiting_work", "awaiting", "resume_task")):
        assert_chains(recording, work, rf"{work};{body}\([^;]*\) \[clone \.actor\];(?:{resume};)?{resumer};{driven}")
    assert_complete(recording)
