# SPDX-License-Identifier: Apache-2.0
"""The machine as the system tests need it: the kernel must not lower the limit of sampling rates while they run."""

import os

import pytest

import harness


@pytest.fixture(scope="session", autouse=True)
def steady_rate():
    """The kernel lowers perf_event_max_sample_rate when it finds interrupts slow; a percentage of 0 forbids that."""
    if os.geteuid():
        yield
        return
    with harness.sample_rate_limit(100000), harness.sysctl("kernel.perf_cpu_time_max_percent", 0):
        yield
