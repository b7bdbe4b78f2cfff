# SPDX-License-Identifier: Apache-2.0
"""One other kernel, in bounded time: the oldest that ebprof works on. "make check-kernels" has the others."""

import os
import subprocess
import sys

import pytest

MATRIX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matrix.py")
SECONDS_LIMIT = 600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make check")
def test_oldest_kernel():
    done = subprocess.run([sys.executable, MATRIX, "--brief", "6.1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SECONDS_LIMIT)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout
