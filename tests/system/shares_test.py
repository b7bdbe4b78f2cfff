# SPDX-License-Identifier: Apache-2.0
"""Who used how much: shares per function against what the workload measured of itself, in every kind of file."""

import os
import re
import subprocess

import pytest

from harness import (WORKLOADS, assert_complete, assert_count, assert_share, assert_shares, is_early, is_kernel,
    names_of, record, record_command, started)

FUNCTIONS = ["share_a", "share_b", "share_c"]
NAMED = ["shares", "shares-static", "shares-static-pie", "shares-no-pie", "shares-debuglink", "shares-minidebug",
    "shares-dwarf4", "shares-compressed", "shares-debug-frame", "shares-optimised", "shares-clang"]


@pytest.mark.parametrize("workload", NAMED)
def test_shares_and_names(workload):
    truth, recording = record_command(workload, 1.5)
    assert_shares(recording, truth, FUNCTIONS)
    assert_complete(recording)
    chains = {tuple(names_of(sample)[:2]) for sample in recording.profile.samples if names_of(sample)[0] == "share_a"}
    assert ("share_a", "main") in chains or ("share_a", "run_slice") in chains, chains
    rooted = recording.count(lambda sample: is_early(sample) or names_of(sample)[-1] == "_start")
    assert rooted >= 0.995 * recording.samples, {names_of(sample)[-1] for sample in recording.profile.samples}


@pytest.mark.parametrize("workload", ["shares-stripped", "shares-no-sections"])
def test_shares_without_any_names(workload):
    """Frames are FILE+0xADDRESS; the addresses are those of the file before it was stripped."""
    truth, recording = record_command(workload, 1.5)
    symbols = {}
    listing = subprocess.run(["nm", "-S", os.path.join(WORKLOADS, "shares")], text=True, check=True,
        stdout=subprocess.PIPE).stdout
    for start, size, name in re.findall(r"^(\w+) (\w+) T (share_\w)$", listing, re.MULTILINE):
        symbols[name] = range(int(start, 16), int(start, 16) + int(size, 16))

    def function_of(sample):
        found = re.fullmatch(re.escape(workload) + r"\+0x([0-9a-f]+)", names_of(sample)[0])
        return [name for name in symbols if found and int(found.group(1), 16) in symbols[name]]

    counts = {name: recording.count(lambda sample, name=name: name in function_of(sample)) for name in FUNCTIONS}
    total = sum(counts.values())
    for name in FUNCTIONS:
        assert_share(counts[name], total, truth[name] / sum(truth[each] for each in FUNCTIONS), name)
    assert_complete(recording)
    assert recording.counters["frames_unnamed"] > 0


@pytest.mark.parametrize("workload", ["shares-frame-pointer", "shares-no-unwind"])
def test_no_table(workload):
    """With frame pointers or without: the instructions tell, and each stack is marked as partly guessed."""
    truth, recording = record_command(workload, 1.5)
    assert_shares(recording, truth, FUNCTIONS)
    assert_complete(recording)
    assert recording.counters["guessed_frames"] >= recording.counters["guessed_stacks"] > 0.9 * recording.samples
    whole = recording.count(lambda sample: names_of(sample)[:2] == ["share_a", "main"]
        and names_of(sample)[-1] == "_start")
    early = recording.count(lambda sample: "share_a" in names_of(sample) and is_early(sample))
    assert whole >= 0.99 * (recording.count_of("share_a") - early)


@pytest.mark.parametrize("rate", [99, 999])
def test_total_is_the_cpu_time(rate):
    truth, recording = record_command("shares", 3, rate=rate)
    assert_count(recording.samples, truth["rusage_us"] / 1e6 * rate)
    assert recording.profile.period == round(1e9 / rate)


def test_rate_is_99_unless_asked():
    with started("shares", 5) as target:
        recording = record("-p", target.pid, "-d", 0.5, "-F", 99)
    assert recording.stats["rate_hz"] == 99


def test_attached_shares():
    """Attached in the middle of the run: the shares are the same at any moment."""
    with started("shares", 8) as target:
        recording = record("-p", target.pid, "-d", 2)
    assert_shares(recording, {"share_a": 50, "share_b": 30, "share_c": 20}, FUNCTIONS)
    assert_complete(recording)
    assert 1.9 < recording.stats["seconds"] < 2.5


def test_pprof_agrees():
    """What the real pprof prints as flat and cumulative shares is the truth too."""
    truth, recording = record_command("shares", 2)
    total_ns = truth["rusage_us"] * 1000
    for name in FUNCTIONS:
        flat, cumulative = recording.top[name]
        assert_share(cumulative * recording.samples, recording.samples, truth[name] / total_ns, f"pprof: {name}")
        assert flat <= cumulative
    assert recording.top["main"][1] > 0.97


def test_parts():
    """--user and --kernel keep one part; a sample without it counts as filtered."""
    _, both = record_command("kernel", 1)
    _, user = record_command("kernel", 1, options=["--user"])
    _, kernel = record_command("kernel", 1, options=["--kernel"])
    def has_kernel(sample):
        return any(is_kernel(frame) for frame in sample.frames)

    assert both.count(has_kernel) > 0.5 * both.samples
    assert user.count(has_kernel) == 0
    assert all(is_kernel(frame) for sample in kernel.profile.samples for frame in sample.frames)
    assert kernel.counters["filtered"] > 0

