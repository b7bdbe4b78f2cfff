# SPDX-License-Identifier: Apache-2.0
"""The BPF programs load whichever clang made them: of each that is installed, by this machine's kernel."""

import glob
import os

import pytest

import harness

OBJECTS = sorted(glob.glob(os.path.join(harness.BUILD, "compilers", "*", "bpf", "recorder.o")))


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.split(os.sep)[-3])
def test_programs_load(path):
    assert harness.loads(path) == ""
