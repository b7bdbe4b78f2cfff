# SPDX-License-Identifier: Apache-2.0
"""Stacks of programs in which other tools have probes: return addresses and code that the kernel has replaced."""

import contextlib
import re
import subprocess
import threading
import time

from harness import assert_complete, path_of, record, started, user_names_of

CHAIN = ["bottom"] + ["descend"] * 20 + ["start_descent", "run_slice", "run_for", "main"]


def file_offsets(path):
    """Of a program's functions and of the instructions in them: {name: [file offset, ...]}."""
    segments = re.findall(r"LOAD\s+(0x\w+) (0x\w+) 0x\w+ (0x\w+)", subprocess.run(["readelf", "-lW", path], text=True,
        check=True, stdout=subprocess.PIPE).stdout)
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], text=True, check=True,
        stdout=subprocess.PIPE).stdout
    offsets = {}
    for line in listing.splitlines():
        if found := re.fullmatch(r"\w+ <(\w+)>:", line):
            instructions = offsets.setdefault(found.group(1), [])
        elif found := re.match(r"\s+(\w+):\s+(\w+)", line):
            address = int(found.group(1), 16)
            offset, start = next((int(offset, 16), int(start, 16)) for offset, start, size in segments
                if int(start, 16) <= address < int(start, 16) + int(size, 16))
            instructions.append((address - start + offset, found.group(2)))
    return offsets


@contextlib.contextmanager
def probed(path, *probes):
    """While the probes (offset, kind) are there."""
    arguments = [path_of("prober"), path] + [str(word) for probe in probes for word in probe]
    prober = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert prober.stdout.readline() == "ready\n"
        yield
    finally:
        prober.communicate()


def assert_chains(recording, leaf="bottom", share=0.99):
    total = right = 0
    others = {}
    for sample in recording.profile.samples:
        names = user_names_of(sample)
        if leaf not in names:
            continue
        total += sample.values[0]
        if names[names.index(leaf):][:len(CHAIN)] == CHAIN:
            right += sample.values[0]
        else:
            others[tuple(names[:6])] = sample.values[0]
    assert total > 0.5 * recording.samples and total > 200, (total, recording.samples)
    assert right >= share * total, f"{right} of {total}; others: {list(others.items())[:4]}"
    # A stack that is walked later from a copy has no list of probes with it.
    copied = recording.counters["snapshots"]
    assert recording.count(lambda sample: any("[uprobes]" in name for name in user_names_of(sample))) <= copied


def test_probed_returns():
    """Each of the calls returns through the kernel's page; the stacks are those of the program all the same."""
    offsets = file_offsets(path_of("recurse"))
    probes = [(offsets[name][0][0], "return") for name in ("descend", "bottom", "start_descent")]
    with started("recurse", 8, 20) as target, probed(path_of("recurse"), *probes):
        recording = record("-p", target.pid, "-d", 2)
    assert_chains(recording)
    assert_complete(recording)


def test_probes_that_come_and_go():
    """The kernel's page appears while the process is recorded, and calls are in progress when the probes go."""
    offsets = file_offsets(path_of("recurse"))

    def probe_now_and_then():
        for _ in range(3):
            time.sleep(0.4)
            with probed(path_of("recurse"), (offsets["descend"][0][0], "return")):
                time.sleep(0.3)

    with started("recurse", 8, 20) as target:
        prober = threading.Thread(target=probe_now_and_then)
        prober.start()
        recording = record("-p", target.pid, "-d", 2.5)
        prober.join()
    assert_chains(recording)
    assert_complete(recording)


def test_stepping_over_probes():
    """An instruction of the hot loop that the kernel can't emulate is executed from a copy elsewhere."""
    offsets = file_offsets(path_of("recurse"))
    steps = [offset for offset, mnemonic in offsets["bottom"] if mnemonic in ("add", "sub", "imul", "mov", "xor")]
    with started("recurse", 8, 20) as target, probed(path_of("recurse"), (steps[-1], "entry")):
        recording = record("-p", target.pid, "-d", 2)
    assert_chains(recording)
    assert_complete(recording)
