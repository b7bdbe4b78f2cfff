# SPDX-License-Identifier: Apache-2.0
"""The frames of a stack, one by one: recursion, signals, libraries that come and go, inlining, names, odd code."""

import re

import pytest

from harness import (assert_complete, assert_count, assert_share, assert_shares, complete_share, is_early, is_kernel,
    line_of, names_of, record, record_command, started, user_names_of)


def assert_only_chain(recording, leaf, expected, share=0.99):
    """Of the samples that have the leaf, at least a share has exactly this chain above it (it may go on)."""
    total = right = 0
    others = {}
    for sample in recording.profile.samples:
        names = names_of(sample)
        if leaf not in names:
            continue
        names = names[names.index(leaf):]
        total += sample.values[0]
        if names[: len(expected)] == expected:
            right += sample.values[0]
        else:
            others[tuple(names[:12])] = sample.values[0]
    assert total >= 200, f"{total} samples have {leaf}"
    assert right >= share * total, f"{right} of {total}; others, for example: {list(others.items())[:3]}"


def test_recursion_200_deep():
    _, recording = record_command("recurse", 1.5, 200)
    chain = ["bottom"] + ["descend"] * 200 + ["start_descent", "run_slice", "run_for", "main"]
    assert_only_chain(recording, "bottom", chain)
    assert_complete(recording)


def test_deep_stacks_lose_their_middle():
    """Leaf and root are kept, the number of frames between them is told, and the stack is complete."""
    _, recording = record_command("recurse", 1, 3000, options=["--max-depth", 300])
    assert_complete(recording)
    assert recording.counters["elided_stacks"] > 0.95 * recording.samples

    def keeps_both_ends(sample):
        names = user_names_of(sample)
        elided = [re.fullmatch(r"\[(\d+) frames elided\]", name) for name in names]
        elided = [int(found.group(1)) for found in elided if found]
        return (len(elided) == 1 and names.count("descend") + elided[0] == 3000
            and names[:2] == ["bottom", "descend"] and names[-1] == "_start" and "main" in names)

    deep = recording.count(lambda sample: user_names_of(sample)[:1] == ["bottom"] and not is_early(sample))
    assert recording.count(keeps_both_ends) >= 0.99 * deep
    assert any("left out" in comment for comment in recording.profile.comments), recording.profile.comments


def test_deeper_than_the_walker_goes():
    _, recording = record_command("recurse", 1, 6000)
    assert recording.counters["user_too_deep"] > 0.95 * recording.samples
    cut = recording.count(lambda sample: names_of(sample)[-1].startswith("[cut: deeper than"))
    assert cut == recording.counters["user_too_deep"]


def test_256_frames_by_default():
    _, recording = record_command("recurse", 1, 256)
    assert_complete(recording)


@pytest.mark.parametrize("stack", ["", "altstack"])
def test_signal_handler(stack):
    """The stack goes on below the kernel's signal frame, with an alternate stack across to the other one."""
    truth, recording = record_command("signals", 2, *filter(None, [stack]))
    total = right = 0
    for sample in recording.profile.samples:
        names = user_names_of(sample)
        if "on_timer" not in names or is_early(sample):
            continue
        total += sample.values[0]
        below = names[names.index("on_timer") + 1:]
        # The timer may also come while the workload reads its clock; one frame is the return trampoline.
        right += sample.values[0] * (below[1:5] == ["interrupted_work", "run_slice", "run_for", "main"])
        assert "main" in below, names
    assert right > 0.97 * total
    assert_share(total, recording.samples, truth["handler_work"] / sum(truth.values()), "handler_work")
    assert_complete(recording)


def test_libraries_that_come_and_go():
    """Two libraries, one after the other at the same addresses: each keeps its own samples and its own names."""
    truth, recording = record_command("dlopens", 2.4)
    assert_shares(recording, truth, ["host_work", "first_plugin_work", "second_plugin_work"])
    for name in ("first_plugin", "second_plugin"):
        assert_only_chain(recording, f"{name}_work", [f"{name}_work", "call_plugin", "run_slice"], share=0.85)
    assert_complete(recording, libraries=2)


def test_library_loaded_while_attached():
    """No exec and no fork tells of it: the mapping record alone."""
    with started("dlopens", 3) as target:
        recording = record("-p", target.pid, "-d", 30)
    assert recording.count_of("first_plugin_work") > 300 and recording.count_of("second_plugin_work") > 300
    assert_complete(recording, libraries=2)


def test_vdso():
    _, recording = record_command("clocks", 1)
    assert_complete(recording)
    vdso = recording.count(lambda sample: any(frame.mapping.file == "[vdso]" for frame in sample.frames))
    assert vdso > 0.5 * recording.samples
    below = recording.count(lambda sample: "ask_time" in names_of(sample) and "main" in names_of(sample))
    assert below > 0.98 * recording.samples


def test_kernel_part_above_the_system_call():
    """Kernel frames first, then the user's: one stack from the copy loop to _start."""
    truth, recording = record_command("kernel", 1.5)
    mixed = reading = 0
    for sample in recording.profile.samples:
        kinds = [is_kernel(frame) for frame in sample.frames]
        assert kinds == sorted(kinds, reverse=True), "kernel frames come before user frames"
        if kinds[0] and "read_zeros" in names_of(sample):
            mixed += sample.values[0]
            reading += sample.values[0] * any("read" in frame.function for frame in sample.frames if is_kernel(frame))
    assert mixed > 0.9 * recording.samples and reading > 0.9 * mixed
    assert_complete(recording)
    assert truth["read_zeros"] > 0


def test_inlined_functions_with_their_lines():
    _, recording = record_command("inlined", 1)
    wanted = [(name, line_of("inlined.c", f"/* line of {name} */")) for name in ("inner", "middle", "outer")]
    right = recording.count(lambda sample: [(frame.function, frame.line) for frame in sample.frames[:3]] == wanted)
    # The loop's other instructions belong to the same line: BURN is one macro.
    assert right > 0.98 * recording.samples, [(f.function, f.line) for f in recording.profile.samples[0].frames[:4]]
    files = {frame.file for sample in recording.profile.samples for frame in sample.frames if frame.function == "inner"}
    assert all(file.endswith("tests/workloads/inlined.c") for file in files), files


def test_cplusplus_names():
    truth, recording = record_command("names", 1.8)
    wanted = {"fill": r"shapes::box<double>::fill\(unsigned long\)|shapes::box<double>::fill",
        "operator+=": r"shapes::box<double>::operator\+=(\(unsigned long\))?",
        "hidden": r"shapes::\(anonymous namespace\)::hidden(\(unsigned long\))?"}
    total_ns = sum(truth[name] for name in wanted)
    counts = {name: recording.count(lambda sample, name=name: any(re.fullmatch(wanted[name], function)
        for function in names_of(sample))) for name in wanted}
    for name, count in counts.items():
        assert_share(count, sum(counts.values()), truth[name] / total_ns, name)
    assert sum(counts.values()) > 0.95 * recording.samples


def test_code_made_at_run_time():
    """Anonymous code with a frame pointer is walked through, and the frames behind it are marked."""
    _, recording = record_command("jit", 1)
    assert_complete(recording, 0.98)
    below = recording.count(lambda sample: "call_code" in names_of(sample)[1:2] and "main" in names_of(sample))
    assert below > 0.95 * recording.samples
    assert recording.counters["fp_stacks"] > 0.9 * recording.samples


def test_code_moved_behind_the_kernels_back():
    """mremap gives no record: the first samples there say so, then the mappings are read again."""
    _, recording = record_command("jit", 2, "moved")
    assert recording.counters["snapshots"] > 0, "the mappings had to be read again"
    assert recording.counters["rescans"] > 0
    assert complete_share(recording) > 0.8


ODD = {
    "expression": ("user_unsupported_rule", "unwind rule not supported"),
    "register": ("user_leaf_register", "lost register"),
    "unreadable": ("user_unreadable", "stack not readable"),
    "backwards": ("user_bad_frame", "stack corrupt"),
    "nothing": ("user_no_unwind_info", "no unwind info"),
}


@pytest.mark.parametrize("mode", ODD)
def test_code_that_cannot_be_walked(mode):
    """Each reason has a counter and a pseudo-frame of its own, and both agree."""
    counter, text = ODD[mode]
    _, recording = record_command("odd", 1, mode)
    odd = recording.count(lambda sample: any(name.startswith("odd_") for name in names_of(sample)))
    assert odd > 0.9 * recording.samples
    ended = recording.count(lambda sample: names_of(sample)[-1].startswith("[") and text in names_of(sample)[-1])
    assert ended == recording.counters[counter] > 0.9 * odd, recording.counters


def test_32_bit_process():
    _, recording = record_command("bits32")
    assert recording.counters["user_not_64bit"] > 0.9 * recording.samples
    assert_count(recording.count(lambda sample: "32-bit process" in names_of(sample)[-1]),
        recording.counters["user_not_64bit"])
