# SPDX-License-Identifier: Apache-2.0
"""Assembly without unwind information, called by C code with and without it: each function's chain is known."""

import pytest

from harness import assert_complete, is_early, record_command, user_names_of

FUNCTIONS = ["leaf", "pushes", "locals", "realigned", "spilled", "calls", "spilled_calls", "tail", "loops", "returns",
             "rbp", "rbp_calls", "frame", "enter", "alloca", "constants", "switch"]
CALLERS = [f"{how}_{kind}" for how in ("direct", "pointer") for kind in ("covered", "bare")]
SECONDS = 10


@pytest.fixture(scope="module")
def recording():
    return record_command("uncovered", SECONDS)[1]


def chains_of(recording, function):
    """{caller: {chain from the function on: samples}}"""
    chains = {caller: {} for caller in CALLERS}
    for sample in recording.profile.samples:
        names = user_names_of(sample)
        if not names or is_early(sample):
            continue
        if names[0] == "spin_short":
            names = names[1:]
        # A tail call leaves no frame of its own.
        if names and names[0] in (f"spin_{function}", f"spin_{function}_end"):
            caller = next((caller for caller in CALLERS if f"{function}_{caller}" in names), None)
            chain = tuple(names[1:5])
            if caller:
                chains[caller][chain] = chains[caller].get(chain, 0) + sample.values[0]
            else:
                chains.setdefault("lost", {})[chain] = sample.values[0]
    return chains


@pytest.mark.parametrize("function", FUNCTIONS)
def test_chain(recording, function):
    chains = chains_of(recording, function)
    assert "lost" not in chains, chains["lost"]
    for caller, seen in chains.items():
        expected = (f"{function}_{caller}", "run_slice", "run_for", "main")
        assert set(seen) == {expected}, (caller, seen)
        # An equal share of the time is 147 samples.
        assert seen[expected] > 70, (caller, seen)


def test_complete(recording):
    assert_complete(recording)
    assert recording.counters["guessed_stacks"] > 0.9 * recording.samples


def test_complete_when_stripped():
    """Neither symbols nor anything else says where the functions begin, but for calls and pointers."""
    _, recording = record_command("uncovered-stripped", 3)
    assert_complete(recording)
