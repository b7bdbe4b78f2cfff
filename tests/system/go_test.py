# SPDX-License-Identifier: Apache-2.0
"""Go's stacks, frame by frame: plain and stripped, position-independent or not, and through C in both directions."""

import re

import pytest

from harness import assert_complete, is_early, names_of, record, user_names_of, path_of

KINDS = ["plain", "stripped", "pie", "pie-stripped"]
MAIN = ["main.main", "runtime.main", "runtime.goexit"]
# Where a thread or a goroutine begins, or has left what it came from.
ROOTS = {"runtime.goexit", "runtime.mstart", "runtime.mcall", "runtime.rt0_go", "runtime.morestack", "gogo",
    "runtime.gogo", "runtime.clone", "_rt0_amd64", "_rt0_amd64_linux", "_start", "__clone3", "clone", "__clone"}


def name_of(function):
    """Without what differs between compilers and builds: wrappers of go statements, hashes, C's names."""
    function = re.sub(r"\.(func|gowrap)\d+$", ".func", function)
    function = re.sub(r"^_cgoexp_[0-9a-f]+_", "_cgoexp_", function)
    function = re.sub(r"^(c_(spin|outer|calls_go|thread)|gocalls[\w-]*\+0x[0-9a-f]+)$", "C", function)
    return function.removesuffix(".abi0")


def go_names_of(sample):
    # Newer releases have one function more between time.Now and the clock.
    return [name_of(name) for name in user_names_of(sample) if name != "time.runtimeNow"]


def record_go(workload, mode, seconds=2):
    # A stack whose other half is elsewhere gets no second chance: such ticks count as those before the tables came.
    recording = record("--snapshot", 0, command=[workload, mode, seconds])
    for sample in recording.profile.samples:
        names = go_names_of(sample)
        assert not names or names[-1] in ROOTS or names[-1].startswith("["), names
    # Programs with C in them load libraries while they start, and libc's clone3 says nothing of a thread's first moment.
    assert_complete(recording, min(0.999, 1 - 3 / recording.samples), libraries=workload.startswith("gocalls"))
    return recording


def chains_from(recording, function, at_least=100):
    """What is above each stack's innermost call of the function: {chain: samples}; early stacks are left out."""
    chains = {}
    for sample in recording.profile.samples:
        names = go_names_of(sample)
        if function in names and not is_early(sample):
            chain = tuple(names[names.index(function):])
            chains[chain] = chains.get(chain, 0) + sample.values[0]
    assert sum(chains.values()) >= at_least, f"{sum(chains.values())} samples have {function}"
    return chains


def assert_chain(recording, expected, share=0.9):
    """Every single stack with the chain's first function goes on as the source says."""
    chains = chains_from(recording, expected[0])
    wrong = {chain: count for chain, count in chains.items() if list(chain) != expected}
    assert not wrong, list(wrong.items())[:3]
    assert sum(chains.values()) >= share * recording.samples, f"{sum(chains.values())} of {recording.samples}"


def assert_suffix(recording, function, expected):
    """What is above each stack's innermost call of the function is what the source says of one of its calls."""
    for chain in chains_from(recording, function):
        assert chain == tuple(expected[-len(chain):]), chain


CHAINS = {
    "recurse": ["main.spin", "main.bottom", "main.descend"] +
        ["main.descend.func", "main.call", "main.descend"] * 40 + ["main.recurse", *MAIN],
    "threads": ["main.spin", "main.bottom", "main.worker", "main.threads.func", "runtime.goexit"],
    "channels": ["main.spin", "main.serve", "main.channels.func", "runtime.goexit"],
    "preempted": ["main.spin", "main.preempted", *MAIN],
}


@pytest.mark.parametrize("kind", KINDS + ["no-sections"])
def test_recursion_through_closures(kind):
    assert_chain(record_go(f"gostacks-{kind}", "recurse"), CHAINS["recurse"])


@pytest.mark.parametrize("mode", [mode for mode in CHAINS if mode != "recurse"])
def test_goroutines(mode):
    """On several threads, between switches, and interrupted by the signals that preempt a loop."""
    assert_chain(record_go("gostacks-stripped", mode), CHAINS[mode], share=0.6)


@pytest.mark.parametrize("kind", ["plain", "pie-stripped"])
@pytest.mark.parametrize("mode, function, thrower", [("panics", "main.panicker", "runtime.gopanic"),
    ("faults", "main.faulter", "runtime.sigpanic")])
def test_panics(kind, mode, function, thrower):
    """A deferred function that runs while its caller panics; by a fault, that wasn't even a call."""
    recording = record_go(f"gostacks-{kind}", mode)
    assert_chain(recording, [function, f"main.{mode}", *MAIN])
    for chain in chains_from(recording, "main.spin"):
        assert chain[1] == "main.recoverer", chain
        between = chain[2:chain.index(function)]
        assert all(name.startswith("runtime.") for name in between), chain
        assert "runtime.gopanic" in between and between[-1] == thrower, chain


@pytest.mark.parametrize("kind", KINDS)
def test_stacks_that_grow(kind):
    """The runtime copies a goroutine's stack on the thread's own: those stacks lead on to the goroutine."""
    recording = record_go(f"gostacks-{kind}", "growth")
    for chain in chains_from(recording, "runtime.copystack"):
        rest = list(chain[chain.index("runtime.morestack") + 1:])
        assert set(rest[:-3]) == {"main.grow"}, chain
        assert rest[-3:] == ["main.grower", "main.growth.func", "runtime.goexit"], chain
    for chain in chains_from(recording, "main.grow"):
        assert list(chain[-3:]) == ["main.grower", "main.growth.func", "runtime.goexit"], chain
        assert len(chain) <= 201 + 3, chain


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_collector(kind):
    """Its work is done on the thread's own stack; the goroutine that it is done for is behind systemstack."""
    recording = record_go(f"gostacks-{kind}", "garbage")
    for chain in chains_from(recording, "runtime.systemstack"):
        assert len(chain) > 2 and chain[-1] in ("runtime.goexit", "runtime.mstart", "runtime.rt0_go"), chain
        assert chain[1] not in ROOTS, chain
    for chain in chains_from(recording, "runtime.gcBgMarkWorker.func"):
        rest = [name for name in chain[1:] if name != "runtime.gcBgMarkStartWorkers.func"]
        # Another function of it runs when it has left its goroutine for good.
        assert rest in (["runtime.systemstack", "runtime.gcBgMarkWorker", "runtime.goexit"],
            ["runtime.park_m", "runtime.mcall"]), chain
    for chain in chains_from(recording, "main.build"):
        assert list(chain[-4:]) == ["main.garbage", *MAIN] and set(chain[:-4]) == {"main.build"}, chain
        assert len(chain) <= 17 + 4, chain


@pytest.mark.parametrize("kind", KINDS)
def test_vdso(kind):
    """Go calls it on the thread's own stack."""
    recording = record_go(f"gostacks-{kind}", "askTime")
    vdso = recording.count(lambda sample: any(frame.mapping.file == "[vdso]" for frame in sample.frames))
    assert vdso > 0.5 * recording.samples
    assert_chain(recording, ["time.now", "time.Now", "main.askTime", *MAIN], share=0.6)


def test_system_calls():
    recording = record_go("gostacks-stripped", "writes")
    assert_chain(recording, ["main.writeAway", "main.writes", *MAIN])
    assert any("write" in name for sample in recording.profile.samples for name in names_of(sample)[:8])


FROM_GO = ["runtime.asmcgocall", "runtime.cgocall"]
CALLBACK = ["runtime.cgocallbackg1", "runtime.cgocallbackg", "runtime.cgocallbackg", "runtime.cgocallback", "crosscall2"]
BACK = ["_cgoexp_goBack", *CALLBACK, "goBack", "C", *FROM_GO, "main._Cfunc_c_calls_go", "main.between"]
C_WORK = ["C", *FROM_GO, "main._Cfunc_c_outer", "main.inC"]


@pytest.mark.parametrize("kind", KINDS)
def test_c_called_by_go(kind):
    recording = record_go(f"gocalls-{kind}", "in_c")
    assert_chain(recording, ["main._Cfunc_c_outer", "main.inC", *MAIN])
    if "stripped" not in kind:
        assert_suffix(recording, "C", ["C", *C_WORK, *MAIN])


@pytest.mark.parametrize("kind", KINDS)
def test_go_called_by_c(kind):
    """Three times over: each time both stacks change."""
    recording = record_go(f"gocalls-{kind}", "back")
    assert_chain(recording, ["main.spin", "main.bottom", "main.goBack", *BACK, "main.goBack", *BACK, "main.goBack", *BACK,
        "main.back", *MAIN])


@pytest.mark.parametrize("kind", KINDS)
def test_c_below_go_below_c(kind):
    recording = record_go(f"gocalls-{kind}", "nested")
    assert_chain(recording, ["main._Cfunc_c_outer", "main.inC", "main.goBack", *BACK, "main.nested", *MAIN])
    if "stripped" not in kind:
        assert_suffix(recording, "C", ["C", *C_WORK, "main.goBack", *BACK, "main.nested", *MAIN])


@pytest.mark.parametrize("kind", KINDS)
def test_go_in_a_thread_of_c(kind):
    recording = record_go(f"gocalls-{kind}", "foreign")
    for chain in chains_from(recording, "main.spin"):
        assert list(chain[:-2]) == ["main.spin", "main.bottom", "main.goForeign", "_cgoexp_goForeign", *CALLBACK,
            "goForeign", "C"], chain
        assert chain[-1] in ROOTS, chain


def test_file_and_line():
    """The names' debug information still counts where there is some."""
    recording = record_go("gostacks-plain", "channels", 1)
    files = {frame.file for sample in recording.profile.samples for frame in sample.frames if frame.function == "main.spin"}
    assert files and all(file.endswith("tests/workloads/gostacks.go") for file in files), files
