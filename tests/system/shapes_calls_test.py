# SPDX-License-Identifier: Apache-2.0
"""Calls, and ways out of functions, that are not the usual ones: each frame's parent is who called it."""

import pytest

from harness import assert_complete, record_command
from shapes import ANY, DRIVEN, MAIN, THREAD, assert_chains, chain_of, most_common

# The same functions of work.h as C++ names them.
DRIVEN_CPP = rf"run_slice[^;]*;run_for[^;]*;{MAIN}"
BUILDS = ["gcc", "gcc-O3", "gcc-Os", "gcc-hardened", "gcc-thunks", "clang", "clang-Oz"]
# mode: (how a chain of it starts, the whole chain). A function's own frame may be the leaf's too.
CHAINS = {
    "tail": ("(?:call_leaf;)?tail_target;run_tail", rf"(?:call_leaf;)?tail_target;run_tail;{DRIVEN}"),
    "cold": ("(?:cold_leaf;)?split", rf"(?:cold_leaf;)?split;run_cold;{DRIVEN}"),
    "noreturn": ("call_leaf;never_returns;ends_in_call", rf"call_leaf;never_returns;ends_in_call;run_noreturn;{DRIVEN}"),
    "longjmp": ("call_leaf;never_returns;jump_down",
                rf"call_leaf;never_returns;(?:jump_down;){{6}}run_longjmp;{DRIVEN}"),
    "wrapped": ("(?:call_leaf;)?wrapped", rf"(?:call_leaf;)?wrapped;run_wrapped;{DRIVEN}"),
    "callback": ("(?:call_leaf;)?compare", rf"(?:call_leaf;)?compare;(?:{ANY};)+run_callback;{DRIVEN}"),
    "alias": ("call_leaf;(?:first|second)_twin", rf"call_leaf;(?:first|second)_twin;run_alias;{DRIVEN}"),
    "indirect": ("(?:call_leaf;)?tail_target;run_indirect", rf"(?:call_leaf;)?tail_target;run_indirect;{DRIVEN}"),
}
ALONE = {
    "constructor": rf"call_leaf;spin_until_limit;constructor;(?:{ANY};){{1,3}}_start",
    "atexit": rf"call_leaf;spin_until_limit;after_main;(?:{ANY};){{1,4}}_start",
    "thread_exit": rf"call_leaf;spin_until_limit;destroy_key;(?:{ANY};){{1,2}}{THREAD}",
    # In C the unwinder jumps back to where the handler was pushed, and that calls it.
    "cancel": rf"call_leaf;spin_until_limit;clean_up;thread_to_cancel;{THREAD}",
    "vfork": rf"call_leaf;spin_until_limit;vfork_child;run_vfork;(?:run_other;)?{MAIN}",
    "clone": rf"call_leaf;spin_until_limit;clone_function;{ANY}",
    "raw_clone": "call_leaf;spin_until_limit;raw_function",
}


@pytest.mark.parametrize("build", BUILDS)
def test_calls(build):
    """One recording of all kinds; the runner counts one test a build."""
    _, recording = record_command(f"shape_calls-{build}", 0.15, "all", rate=2999)
    for mode, (leaf, chain) in CHAINS.items():
        assert_chains(recording, leaf, chain)
        assert recording.count_of(f"run_{mode}") > 0
    assert_complete(recording, libraries=1)


@pytest.mark.parametrize("mode", ALONE)
def test_calls_from_elsewhere(mode):
    """Before, after and beside main."""
    for build in ("gcc", "clang"):
        _, recording = record_command(f"shape_calls-{build}", 0.3, mode, rate=1999)
        assert_chains(recording, "call_leaf", ALONE[mode])
        if mode != "raw_clone":
            assert_complete(recording, libraries=1)


@pytest.mark.parametrize("build", ["gcc", "clang"])
def test_exceptions(build):
    """Whatever the unwinder does: the functions that it goes through are there, in their order, and so is the root."""
    _, recording = record_command(f"shape_throws-{build}", 1.5, "throw", rate=1999)
    below = rf"(?:throw_deep;){{0,6}}catch_one;run_throw;{DRIVEN_CPP}"
    thrown = recording.count(lambda sample: "catch_one" in chain_of(sample))
    in_unwinder = recording.count(lambda sample: "_Unwind_" in chain_of(sample))
    assert in_unwinder > 0.5 * thrown, most_common(recording)
    # Above: the destructors and the leaf by name, or the unwinder's and the C++ library's frames, in a row.
    above = r"(?:(?!throw_|catch_|run_|main)[^;[]+;)*"
    # To jump into a handler the unwinder overwrites its own return address a few instructions before it leaves its
    # frame: in between the stack says that the handler called the unwinder, and nothing else is there to be read.
    assert_chains(recording, rf"(?:{above})?(?:throw_deep|catch_one)", rf"{above}{below}", share=0.993, least=1000)
    assert_chains(recording, "throw_leaf", rf"throw_leaf;(?:[^;]*guard::~guard\(\);)?{below}", least=50)
    assert_complete(recording, libraries=1)


@pytest.mark.parametrize("build", ["gcc", "clang"])
def test_sort(build):
    _, recording = record_command(f"shape_throws-{build}", 0.6, "sort", rate=1999)
    assert_chains(recording, "throw_leaf", rf"throw_leaf;is_less;(?:[^;[]*(?:std::|__ops)[^;]*;)+run_sort;{DRIVEN_CPP}")
    assert_complete(recording, libraries=1)


@pytest.mark.parametrize("build", ["gcc", "clang"])
def test_destructor_of_a_thread_local(build):
    _, recording = record_command(f"shape_throws-{build}", 0.6, "local", rate=1999)
    assert_chains(recording, "throw_leaf", rf"throw_leaf;spin_until_limit;[^;]*~local_object\(\);{ANY};{THREAD}")
    assert_complete(recording, libraries=1)


@pytest.mark.parametrize("build", ["gcc", "clang"])
def test_constructor_of_a_static_object(build):
    _, recording = record_command(f"shape_throws-{build}", 1, "static", rate=1999,
                                  environment={"SHAPE_STATIC_SECONDS": "0.6"})
    assert_chains(recording, "throw_leaf",
                  rf"throw_leaf;spin_until_limit;[^;]*static_object::static_object\(\);(?:{ANY};){{2,6}}_start")
    assert_complete(recording, libraries=1)
