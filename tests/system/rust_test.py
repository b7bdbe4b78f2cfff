# SPDX-License-Identifier: Apache-2.0
"""Rust's stacks: without frame pointers, without a way to unwind, without symbols."""

import os
import re

import pytest

from harness import WORKLOADS, assert_complete, is_early, record, user_names_of

CHAIN = ["spin", "bottom", "descend"] + ["{closure}", "call", "descend"] * 20 + ["work"]


@pytest.fixture(autouse=True)
def compiler():
    if not os.path.exists(os.path.join(WORKLOADS, "ruststacks-plain")):
        pytest.skip("no rustc: apt-get install rustc")


def source_names(sample):
    """The workload's own functions as its source has them, whichever way a closure is spelled; inlined library code not."""
    names = (re.sub(r"(::)?\{+closure[^}]*\}+", "{closure}", name) for name in user_names_of(sample))
    return [re.sub(r"^.*(::|(?=\{))", "", name) for name in names if name.startswith("ruststacks::")]


@pytest.mark.parametrize("kind", ["plain", "abort"])
def test_known_chain(kind):
    recording = record("--snapshot", 0, command=[f"ruststacks-{kind}", 2])
    assert_complete(recording, 0.999, libraries=1)
    total = 0
    for sample in recording.profile.samples:
        names = source_names(sample)
        if names[:1] == ["spin"] and not is_early(sample):
            total += sample.values[0]
            assert names[: len(CHAIN)] == CHAIN, names
    assert total > 0.9 * recording.samples


def test_stripped():
    """
    Without names the number of frames is what can be checked. The compiler gives the C function "main", two frames below
    the root, no unwind information when panics abort: stacks of the main thread may say so there, no earlier.
    """
    recording = record("--snapshot", 0, command=["ruststacks-stripped", 2])
    deep = [sample for sample in recording.profile.samples if len(user_names_of(sample)) > 40]
    assert sum(sample.values[0] for sample in deep) > 0.8 * recording.samples
    # Two frames a level, the third is inlined or jumped from.
    for sample in deep:
        names = user_names_of(sample)
        assert len(names) >= 40 + 3, names
        if names[-1].startswith("["):
            assert names[-1].startswith(("[no unwind info: ruststacks", "[pc not in a known")), names
