# SPDX-License-Identifier: Apache-2.0
"""Executables as other linkers, C libraries and options make them: the same program, the same shares, the same chain."""

import os

import pytest

from harness import WORKLOADS, assert_complete, assert_shares, record, record_command, started
from shapes import MAIN, assert_chains, chain_of

FUNCTIONS = ["share_a", "share_b", "share_c"]
BUILDS = ["noseparate-code", "large-pages", "odd-base", "executable-stack", "bind-now", "lazy", "packed-relocations",
    "large-model", "gold", "lld", "lld-no-rosegment"]


def build_of(name, package):
    if not os.path.exists(os.path.join(WORKLOADS, f"build-{name}")):
        pytest.skip(f"not built: needs the package {package}")
    return f"build-{name}"


@pytest.mark.parametrize("build", BUILDS)
def test_build(build):
    truth, recording = record_command(build_of(build, "lld" if "lld" in build else "binutils"), 1)
    assert_shares(recording, truth, FUNCTIONS)
    for function in FUNCTIONS:
        assert_chains(recording, function, rf"{function};(?:run_slice;)?{MAIN}", least=50)
    assert_complete(recording)


@pytest.mark.parametrize("build", ["odd-base", "noseparate-code", "lld-no-rosegment"])
def test_attached(build):
    with started(build_of(build, "lld"), 4) as target:
        recording = record("-p", target.pid, "-d", 2)
    for function in FUNCTIONS:
        assert_chains(recording, function, rf"{function};(?:run_slice;)?{MAIN}", least=30)
    assert_complete(recording)


@pytest.mark.parametrize("build", ["musl", "musl-static"])
def test_musl(build):
    """
    Its own code has no unwind information in most distributions: its rows come from its instructions, and its start-up
    code reaches _start by jumps.
    """
    truth, recording = record_command(build_of(build, "musl-tools"), 1)
    assert_shares(recording, truth, FUNCTIONS)
    for function in FUNCTIONS:
        assert_chains(recording, function, rf"{function};(?:run_slice;)?main;(?:[^;[]+;){{0,3}}_start(?:_c)?", least=50)
    assert_complete(recording)
    assert recording.count(lambda sample: "main" in chain_of(sample)) > 0.95 * recording.samples
