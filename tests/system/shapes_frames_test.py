# SPDX-License-Identifier: Apache-2.0
"""Frames of every make, by two compilers with many options: realigned, variable, large, hand-written."""

import pytest

from harness import assert_complete, record_command
from shapes import DRIVEN, MAIN, THREAD, assert_chains

BUILDS = ["gcc", "gcc-O0", "gcc-O3", "gcc-Os", "gcc-realign", "gcc-clash", "gcc-boundary", "gcc-fp", "gcc-hardened",
          "gcc-thunks", "clang", "clang-O0", "clang-Oz", "clang-clash", "clang-realign"]
MODES = ["fixed", "variable", "aligned", "realigned", "vectors", "large", "saving", "naked"]


@pytest.mark.parametrize("build", BUILDS)
def test_frames(build):
    """One recording of all kinds; the runner counts one test a build."""
    _, recording = record_command(f"shape_frames-{build}", 0.15, "all", rate=2999)
    for mode in MODES:
        chain = rf"(?:frame_leaf;)?{mode};run_{mode};{DRIVEN}"
        assert_chains(recording, rf"(?:frame_leaf;)?{mode}", chain)
    # 20 MiB, on a thread.
    assert_chains(recording, r"(?:frame_leaf;)?huge",
                  rf"(?:frame_leaf;)?huge;run_huge;run_slice;run_for;run_thread;{THREAD}")
    assert_chains(recording, "frame_leaf;main", rf"frame_leaf;{MAIN}")
    assert_complete(recording, libraries=1)
