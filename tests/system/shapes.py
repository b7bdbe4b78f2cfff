# SPDX-License-Identifier: Apache-2.0
"""What the tests of odd code shapes share: a stack is one line of text, and its truth is a regular expression.

A workload's functions never call each other in any other way than its source says, so each sample that has one of them
as its leaf must have one whole chain: no frame missing, none too many, up to the entry point. The user part of a
sample is written leaf first, "leaf;caller;...;_start", and matched to its last character. So a wrong parent, a frame
that was skipped and a stack that ends early are all the same to these tests: wrong.
"""

import re

from harness import is_early, user_names_of

# From main to the entry point: libc's frames between them have names or not, but there is no pseudo-frame.
MAIN = r"main;(?:[^;[]+;){0,4}_start"
# The workloads' common way from main to the work (work.h).
DRIVEN = rf"run_slice;run_for;{MAIN}"
# A thread's bottom: start_thread and clone3 have names only where libc has its symbols.
THREAD = r"[^;[]+;[^;[]+"
# Any one frame that is not a pseudo-frame.
ANY = r"[^;[]+"


def chain_of(sample):
    return ";".join(user_names_of(sample))


def assert_chains(recording, leaf, chain, share=0.999, least=200, anywhere=False):
    """
    Of the samples whose user part starts with a match of leaf (or has one anywhere), at least a share has a whole chain
    that matches. Left out are ticks before the tables, and stacks walked later from a copy which lacks the other stacks that
    the walk asked for. Returns how many there were.
    """
    wanted = re.compile(rf"(?:{chain})")
    starts = re.compile(rf"{'(?:.*;)?' if anywhere else ''}(?:{leaf})(?:;|$)")
    total = right = early = 0
    copied = recording.counters["snapshots"]
    others = {}
    for sample in recording.profile.samples:
        text = chain_of(sample)
        if not starts.match(text):
            continue
        count = sample.values[0]
        if is_early(sample):
            early += count
            continue
        if copied >= count and re.search(r";\[cut: the stack's copy ends[^;]*$", text):
            copied -= count
            continue
        total += count
        if wanted.fullmatch(text):
            right += count
        else:
            others[text] = others.get(text, 0) + count
    worst = sorted(others.items(), key=lambda item: -item[1])[:5]
    assert total >= least, f"{total} samples start with {leaf}: {most_common(recording)}"
    assert right >= share * total, f"{right} of {total} samples in {leaf}; others: {worst}"
    assert early <= 0.1 * recording.stats["rate_hz"] + 0.02 * total, f"{early} ticks without a table"
    return total


def most_common(recording, how_many=5):
    chains = {}
    for sample in recording.profile.samples:
        text = chain_of(sample)
        chains[text] = chains.get(text, 0) + sample.values[0]
    return sorted(chains.items(), key=lambda item: -item[1])[:how_many]
