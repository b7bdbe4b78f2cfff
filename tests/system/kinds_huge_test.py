# SPDX-License-Identifier: Apache-2.0
"""Very much code: its unwind tables take memory in the kernel, of which there is a limit; what doesn't fit is named."""

import re

import pytest

from harness import assert_complete, record_command, refuse
from shapes import DRIVEN, chain_of, most_common

CHAIN, STEP, SIZE = 40, 7919, 512


def chain_places(truth):
    """Where the 40 functions of the chain begin, innermost first."""
    return [truth["code"] + (i + 1) * STEP % truth["functions"] * SIZE for i in reversed(range(CHAIN))]


def places_of(sample, truth):
    """Where the functions of the sample's frames in that code begin."""
    end = truth["code"] + truth["functions"] * SIZE
    return [frame.address // SIZE * SIZE for frame in sample.frames if truth["code"] <= frame.address < end]


def test_chain_through_51_megabytes():
    truth, recording = record_command("kind_huge", 1)
    working = right = 0
    for sample in recording.profile.samples:
        if not chain_of(sample).startswith("huge_work;"):
            continue
        working += sample.values[0]
        right += sample.values[0] * (places_of(sample, truth) == chain_places(truth)
            and re.fullmatch(rf"huge_work;(?:[^;[]+;){{{CHAIN}}}huge;{DRIVEN}", chain_of(sample)) is not None)
    assert working > 200 and right >= 0.98 * working, most_common(recording)
    assert_complete(recording, early_seconds=0.5)
    assert recording.counters["tables_refused"] == 0 and recording.stats["refused_tables"] == []
    # Twelve rows of 4 bytes for each function, and 8 bytes for each KiB of code.
    need = truth["functions"] * (12 * 4 + SIZE * 8 // 1024)
    # Once, although it has no build-id by which the file that is mapped is known for the command's.
    assert need <= recording.stats["table_bytes"] < 1.8 * need


def test_what_does_not_fit_is_named():
    """libc and the dynamic linker fit; the large executable is told of by name, with what it needs and the remedy."""
    _, recording = record_command("kind_huge", 1, options=["--max-unwind-memory", "4m"])
    assert recording.counters["tables_refused"] == 1
    [refused] = recording.stats["refused_tables"]
    assert refused["file"].endswith("/kind_huge") and refused["bytes"] > 4 << 20
    need = f"{refused['bytes'] / (1 << 20):.1f} MiB"
    assert re.search(rf"ebprof: .*kind_huge' need {re.escape(need)}, .* of 4\.0 MiB .*raise --max-unwind-memory",
        recording.stderr)
    assert recording.stats["table_bytes_max"] == 4 << 20 >= recording.stats["table_bytes"] > 100 << 10
    ended = recording.count(lambda sample: "[no unwind info: kind_huge]" in chain_of(sample)
        or "[pc not in" in chain_of(sample))
    assert ended > 0.9 * recording.samples, most_common(recording)


@pytest.mark.parametrize("size", ["1g", "600m"])
def test_limits_that_are_allowed(size):
    _, recording = record_command("shares", 0.5, options=["--max-unwind-memory", size])
    assert_complete(recording)


@pytest.mark.parametrize("size", ["0", "1k", "2g", "-1", "much"])
def test_limits_that_are_not(size):
    refuse("record", f"--max-unwind-memory={size}", "--", "true", says="max-unwind-memory")
