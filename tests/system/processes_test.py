# SPDX-License-Identifier: Apache-2.0
"""Whose samples: threads, children, images before and after exec, processes that are gone, kernel threads."""

import os
import shutil
import subprocess
import time

import pytest

from harness import (assert_complete, assert_count, assert_share, assert_shares, names_of, path_of, record,
    record_command, refuse, run_ebprof, started, user_names_of, Target)


def label(sample, key):
    return sample.labels.get(key)


def test_threads_by_name():
    truth, recording = record_command("threads", 2)
    total_ns = sum(truth[f"{name}_work"] for name in ("alpha", "beta", "gamma"))
    counts = {name: recording.count(lambda sample, name=name: label(sample, "thread") == name)
        for name in ("alpha", "beta", "gamma")}
    for name, count in counts.items():
        assert_share(count, sum(counts.values()), truth[f"{name}_work"] / total_ns, name)
        own = recording.count(lambda sample, name=name: label(sample, "thread") == name
            and f"{name}_work" in names_of(sample))
        assert own >= 0.97 * count
        assert recording.count_of(f"{name}_work") == own, "nobody else runs it"
    assert {label(sample, "comm") for sample in recording.profile.samples} == {"threads"}
    assert_complete(recording)


def test_one_thread_alone():
    with started("threads", 6) as target:
        recording = record("-t", target.said["beta_tid"], "-d", 1.5)
    assert recording.samples > 300
    assert recording.count_of("beta_work") >= 0.97 * recording.samples
    assert {label(sample, "thread") for sample in recording.profile.samples} == {"beta"}


def test_labels_for_the_asking():
    with started("threads", 6) as target:
        recording = record("-p", target.pid, "-d", 1, "--label", "tid", "--label", "cpu", "--no-label", "comm")
        said = target.said
    tids = {label(sample, "tid") for sample in recording.profile.samples}
    assert tids >= {said["alpha_tid"], said["beta_tid"]}
    assert {label(sample, "pid") for sample in recording.profile.samples} == {target.pid}
    assert {label(sample, "cpu") for sample in recording.profile.samples} <= set(range(os.cpu_count()))
    assert {label(sample, "comm") for sample in recording.profile.samples} == {None}


@pytest.mark.parametrize("rate", [99, 999])
def test_400_children_shorter_than_a_period(rate):
    """Their CPU time is there, although at 99 Hz none of them lives for a whole period."""
    truth, recording = record_command("forks", 400, 5, rate=rate)
    children = recording.count_of("child_work")
    others = recording.count(lambda sample: names_of(sample)[0] == "[stack lost: ring full]")
    assert others == 0
    # The children's clock reads include starting up and reading the clock, which child_work is not on the stack for.
    assert_count(recording.samples, (truth["children_us"] + truth["parent_us"]) / 1e6 * rate, "all")
    assert_count(children, truth["child_work"] / 1e9 * rate, "child_work")
    assert len({label(sample, "pid") for sample in recording.profile.samples}) > 50


def test_children_are_followed():
    with started("family", 8) as target:
        recording = record("-p", target.pid, "-d", 2)
    names = ["parent_work", "elder_work", "younger_work"]
    assert_shares(recording, dict.fromkeys(names, 1), names)
    for name, own in (("parent_work", True), ("elder_work", False), ("younger_work", False)):
        pids = {label(sample, "pid") for sample in recording.profile.samples if name in names_of(sample)}
        assert (pids == {target.pid}) if own else (target.pid not in pids and len(pids) > 5), (name, pids)
    assert_complete(recording, 0.98)


def test_no_children():
    with started("family", 8) as target:
        recording = record("-p", target.pid, "-d", 3, "--no-children")
    assert recording.samples > 100 and recording.count_of("parent_work") > 0.9 * recording.samples
    assert recording.count_of("elder_work") == recording.count_of("younger_work") == 0
    assert {label(sample, "pid") for sample in recording.profile.samples} == {target.pid}


def test_no_children_still_means_new_threads():
    """Threads that are there and threads that come."""
    with started("threads", 30) as target:
        recording = record("-p", target.pid, "-d", 1, "--no-children")
    assert all(recording.count_of(f"{name}_work") > 30 for name in ("alpha", "beta", "gamma"))
    assert {label(sample, "pid") for sample in recording.profile.samples} == {target.pid}
    recording = record("--no-children", command=["threads", 1])
    assert recording.count_of("alpha_work") > 200


def test_three_images_of_one_process():
    """One pid, three programs: each function is found in its own image and nowhere else."""
    truth, recording = record_command("exec_1", 0.8)
    names = ["image_1_work", "image_2_work", "image_3_work"]
    assert_shares(recording, truth, names)
    for number, name in enumerate(names, 1):
        frames = [frame for sample in recording.profile.samples for frame in sample.frames if frame.function == name]
        assert {os.path.basename(frame.mapping.file) for frame in frames} == {f"exec_{number}"}
    assert_complete(recording, 0.98)


def test_twins_at_one_address():
    """Two programs become each other: what is known of one's pcs says nothing of the other's, though they are the same."""
    truth, recording = record_command("twin_1", 60)
    assert truth["twin_1"] == truth["twin_2"]
    for number in (1, 2):
        names = [f"twin_{number}_work", f"twin_{number}_calls"]
        stacks = [user_names_of(sample) for sample in recording.profile.samples if names[0] in names_of(sample)]
        assert recording.count_of(names[0]) > 200
        assert all(stack[:2] == names and stack[-1] == "_start" for stack in stacks), stacks
    assert_complete(recording, 0.98, early_seconds=0.5)


def test_exec_while_attached():
    with started("exec_1", 1.5) as target:
        recording = record("-p", target.pid, "-d", 30)
    for name in ("image_1_work", "image_2_work", "image_3_work"):
        assert recording.count_of(name) > 100, name
    assert {label(sample, "pid") for sample in recording.profile.samples} == {target.pid}


def test_command_is_recorded_from_its_exec_on():
    """Never ebprof's own image, neither its file nor its name."""
    for _ in range(3):
        _, recording = record_command("exits", 30, 0, rate=9999)
        mapped = {frame.mapping.file for sample in recording.profile.samples for frame in sample.frames}
        assert not any(os.path.basename(path) == "ebprof" for path in mapped), mapped
        assert {label(sample, "comm") for sample in recording.profile.samples} == {"exits"}
        assert recording.count_of("brief_work") > 200


def test_exits_early_and_is_still_named():
    """It is long gone when its names are looked up."""
    with started("exits", 700, 0) as target:
        recording = record("-p", target.pid, "-d", 10)
    assert recording.seconds < 6, "the recording ends with its target"
    assert recording.count_of("brief_work") > 0.9 * recording.samples > 150


def test_deleted_file_is_still_named():
    path = "/tmp/ebprof-test-deleted"
    shutil.copy(path_of("shares"), path)
    with started(path, 6) as target:
        os.unlink(path)
        recording = record("-p", target.pid, "-d", 1)
    assert recording.count_of("share_a") > 200
    mapped = {frame.mapping.file for sample in recording.profile.samples for frame in sample.frames
        if frame.function == "share_a"}
    assert mapped == {path}


def test_replaced_file_is_not_confused():
    """Another program now has the path: the names are those of the one that runs."""
    path = "/tmp/ebprof-test-replaced"
    shutil.copy(path_of("shares"), path)
    try:
        with started(path, 6) as target:
            shutil.copy(path_of("threads"), path + ".new")
            os.rename(path + ".new", path)
            recording = record("-p", target.pid, "-d", 1)
    finally:
        os.unlink(path)
    assert recording.count_of("share_a") > 200
    assert recording.count_of("alpha_work") == 0


def test_several_targets():
    with started("shares", 20) as one, started("recurse", 20, 10) as two:
        recording = record("-p", f"{one.pid},{two.pid}", "-d", 1.5)
    assert {label(sample, "pid") for sample in recording.profile.samples} == {one.pid, two.pid}
    assert recording.count_of("share_a") > 50 and recording.count_of("bottom") > 50


def test_ends_when_the_last_target_has_gone():
    with started("shares", 0.5), started("shares", 1.5) as two:
        start = time.monotonic()
        done_early = record("-p", f"{two.pid}", "-d", 30)
        assert time.monotonic() - start < 10
    assert done_early.samples > 100


def test_grandchild_of_a_daemon():
    """Its parents are gone and its session is another one; it is still a descendant, and its end is the end."""
    with started("daemonish", 1.5, 1.5) as target:
        recording = record("-p", target.pid, "-d", 30)
    assert recording.seconds < 15
    assert recording.count_of("grandchild_work") > 300
    pids = {label(sample, "pid") for sample in recording.profile.samples if "grandchild_work" in names_of(sample)}
    assert len(pids) == 1 and target.pid not in pids
    assert_complete(recording, 0.98)


def test_idle_target():
    """No samples is an answer: a valid profile, and a sentence that says so."""
    with started("sleeper", 20) as target:
        recording = record("-p", target.pid, "-d", 1)
    assert recording.samples <= 2
    assert recording.counters["filtered"] + recording.counters["idle"] > 0


def kernel_thread():
    """The kernel thread that has used most CPU time."""
    best = (0, None)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if fields[1] in ("0", "2"):
                best = max(best, (int(fields[11]) + int(fields[12]), int(name)))
        except OSError:
            continue
    return best[1]


def test_kernel_thread():
    """It has no user part: what it does is kernel stacks, or nothing at all, and the profile is valid."""
    recording = record("-p", kernel_thread(), "-d", 1, rate=4999)
    assert recording.counters["user_absent"] == recording.samples
    for sample in recording.profile.samples:
        assert not names_of(sample)[-1].startswith("[no unwind"), names_of(sample)


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def record_program(data):
    """Of a program with these bytes, which may be damaged where it doesn't look."""
    path = "/tmp/ebprof-test-hostile"
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o755)
    try:
        with started(path, 4) as target:
            return record("-p", target.pid, "-d", 1)
    finally:
        os.unlink(path)


def test_file_written_over_while_it_runs():
    """A target's file full of noise behind its first page costs that file its names, never the profile."""
    data = bytearray(bytes_of(path_of("shares")))
    section_headers = int.from_bytes(data[40:48], "little")
    data[section_headers:] = os.urandom(len(data) - section_headers)
    recording = record_program(data)
    assert recording.samples > 300


def eh_frame_of(path):
    """(file offset, size) of .eh_frame and of .eh_frame_hdr together."""
    listing = subprocess.run(["readelf", "-SW", path], text=True, check=True, stdout=subprocess.PIPE).stdout
    sections = {}
    for line in listing.splitlines():
        fields = line.replace("[ ", "[").split()
        if len(fields) > 5 and fields[1].startswith(".eh_frame"):
            sections[fields[1]] = (int(fields[4], 16), int(fields[5], 16))
    return sections


@pytest.mark.parametrize("noise", ["random", "ones", "zeros"])
def test_hostile_unwind_tables(noise):
    data = bytearray(bytes_of(path_of("shares")))
    for offset, size in eh_frame_of(path_of("shares")).values():
        data[offset: offset + size] = {"random": os.urandom(size), "ones": b"\xff" * size, "zeros": bytes(size)}[noise]
    recording = record_program(data)
    assert_shares(recording, {"share_a": 50, "share_b": 30, "share_c": 20}, ["share_a", "share_b", "share_c"])


def test_truncated_file():
    """A library that is cut to a few bytes after it was mapped (a program that runs cannot be written to)."""
    path = "/tmp/ebprof-test-truncated.so"
    shutil.copy(path_of("libfirst_plugin.so"), path)
    with started("libraries", 6, path) as target:
        os.truncate(path, 100)
        recording = record("-p", target.pid, "-d", 1)
    os.unlink(path)
    assert target.said["libraries"] == 1
    assert recording.counters["files_broken"] > 0
    assert recording.count_of("busy_work") > 0.9 * recording.samples > 100
    assert_complete(recording)


def test_python_target_gets_a_line():
    program = ("import time\nprint('ready', flush=True)\nend = time.time() + 20\n"
        "while time.time() < end: sum(range(1000))")
    target = Target(["/usr/bin/python3", "-c", program])
    try:
        recording = record("-p", target.pid, "-d", 1)
    finally:
        target.stop()
    assert "Python" in recording.stderr, recording.stderr
    assert_complete(recording)


def test_pid_that_does_not_exist():
    refuse("record", "-p", 4194300, "-d", 1, says="4194300")


def test_pid_that_exits_at_once():
    """Either it was seen, then there is a valid profile, or it was gone, then there is one sentence."""
    for _ in range(5):
        process = subprocess.Popen([path_of("exits"), "1", "0"], stdout=subprocess.DEVNULL)
        done = run_ebprof("record", "-p", process.pid, "-d", 1, "-o", "/dev/null")
        process.wait()
        assert done.status in (0, 2), str(done)
        if done.status == 2:
            assert len(done.stderr.splitlines()) == 1, str(done)
