# SPDX-License-Identifier: Apache-2.0
"""Signals that hit at every kind of instruction: the interrupted frame is the one that was interrupted, exactly."""

import os
import re

import pytest

from harness import assert_complete, path_of, record_command
from shapes import ANY, MAIN, assert_chains, chain_of

BELOW = rf"(?:run_anywhere|run_nested|run_faults|run_restorer);run_mode;{MAIN}"
# Wherever the timer hit: these functions call each other in one way only.
INTERRUPTED = rf"(?:(?:(?:fine;)?small;)?short_lived;)?interrupted;{BELOW}"
PROGRAMS = ["shape_signals", "shape_signals-static", pytest.param("shape_signals-musl", marks=pytest.mark.skipif(
    not os.path.exists(path_of("shape_signals-musl")), reason="no musl-gcc: apt-get install musl-tools"))]


def assert_roots(recording, program):
    assert_complete(recording, libraries=0 if program.endswith("-musl") else 1)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("stack", ["", "altstack"])
def test_interrupted_at_any_instruction(program, stack):
    _, recording = record_command(program, 2, "anywhere", *filter(None, [stack]), rate=1999)
    total = assert_chains(recording, "handler_work", rf"handler_work;on_timer;{ANY};{INTERRUPTED}")
    assert total > 400
    # While nobody interrupts: the same functions as leaves.
    for leaf in ("fine", "small", "short_lived"):
        assert_chains(recording, leaf, INTERRUPTED, least=20)
    assert_roots(recording, program)


def assert_nested(recording):
    """Two signals that are due together are delivered together: one is interrupted before its first instruction."""
    inner = rf"inner_handler;{ANY};(?:outer_work;)?(?:outer_handler;{ANY};)?"
    outer = rf"outer_handler;{ANY};(?:(?:handler_work;)?inner_handler;{ANY};)?"
    assert_chains(recording, "outer_work", rf"outer_work;{outer}{INTERRUPTED}")
    # The timer's signal can be delivered at the end of the system call that sends the other.
    inner_alone = rf"inner_handler;{ANY};(?:syscall;used_up;)?{outer}"
    assert_chains(recording, "handler_work", rf"handler_work;(?:{inner}|{inner_alone}){INTERRUPTED}", share=0.998)


@pytest.mark.parametrize("program", PROGRAMS)
def test_handler_interrupted_by_another(program):
    _, recording = record_command(program, 2, "nested", rate=1999)
    assert_nested(recording)
    assert_roots(recording, program)


def test_nested_on_an_alternate_stack():
    _, recording = record_command("shape_signals", 2, "nested", "altstack", rate=1999)
    assert_nested(recording)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("mode", ["ud2", "int3", "segv"])
def test_fault_by_the_first_instruction(program, mode):
    """The byte before belongs to another function with another frame: taken for a return address it would be that."""
    _, recording = record_command(program, 1, mode)
    assert_chains(recording, "handler_work", rf"handler_work;on_fault;{ANY};first_{mode};raise_{mode};{BELOW}")
    assert_roots(recording, program)


@pytest.mark.parametrize("mode", ["restorer", "restorer32"])
@pytest.mark.parametrize("stack", ["", "altstack"])
def test_restorer_without_unwind_information(mode, stack):
    _, recording = record_command("shape_signals", 1, mode, *filter(None, [stack]))
    assert_chains(recording, "handler_work",
                  rf"handler_work;on_fault;own_{mode};first_ud2;raise_ud2;{BELOW}")
    assert_complete(recording, libraries=1)


def test_jump_to_nowhere():
    """Nothing is known of address 0: the stack ends there and says so."""
    _, recording = record_command("shape_signals", 1, "null")
    ended = recording.count(lambda sample: re.fullmatch(
        r"handler_work;on_fault;__restore_rt;[^;]*0x0;\[pc not in a known mapping\]", chain_of(sample)))
    assert ended > 0.9 * recording.samples
