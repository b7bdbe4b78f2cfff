# SPDX-License-Identifier: Apache-2.0
"""Foreign files are read by a process without privileges, and what happens to that process costs files, never samples."""

import contextlib
import glob
import json
import os
import random
import re
import signal
import subprocess
import threading

import pytest

from harness import (RATE, WORKLOADS, await_recording, await_true, finish_ebprof, names_of, record, record_command,
    start_ebprof, started)


def children_of(pid):
    """{pid: name} of living children."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as file:
            name, state, parent = re.match(r"\d+ \((.*)\) (\S) (\d+)", file.read()).groups()
            if int(parent) == pid and state not in "ZX":
                found[int(entry)] = name
    return found


def readers_of(pid):
    return [child for child, name in children_of(pid).items() if name == "ebprof-reader"]


def openers_of(pid):
    return [child for reader in readers_of(pid) for child, name in children_of(reader).items()
            if name == "ebprof-opener"]


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(re.findall(r"^(\w+):\t(.*)$", file.read(), re.MULTILINE))


@contextlib.contextmanager
def recording(target, folder, *options):
    """A running recording whose readers are there."""
    process = start_ebprof("record", "-o", f"{folder}/profile.pb.gz", "-p", target.pid, *options)
    try:
        await_recording(process)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        finish_ebprof(process)


# --- what it may do -------------------------------------------------------------------------------------------------


def test_readers_have_no_privileges(tmp_path):
    with started("shares", 20) as target, recording(target, tmp_path) as process:
        readers = readers_of(process.pid)
        assert len(readers) == 2, "one for each thread that asks"
        for reader in readers:
            status = status_of(reader)
            assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
            assert status["Groups"].strip() == ""
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
            assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
            assert status["Threads"] == "1"
            for name in ("mnt", "net", "ipc", "uts"):
                assert os.readlink(f"/proc/{reader}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
            with open(f"/proc/{reader}/limits") as file:
                limits = {name: soft for name, soft in re.findall(r"^Max (.+?)  +(\S+)", file.read(), re.MULTILINE)}
            assert limits["file size"] == limits["core file size"] == "0"
            assert int(limits["open files"]) <= 64 and limits["address space"].isdigit()
            with open(f"/proc/{reader}/environ") as file:
                assert not re.search(r"PATH=/|HOME=", file.read()), "the environment is not its business"
            # Two sockets, and three times /dev/null: no file, no map, no clock.
            held = sorted(os.readlink(f"/proc/{reader}/fd/{name}").split(":")[0]
                          for name in os.listdir(f"/proc/{reader}/fd"))
            assert held == ["/dev/null"] * 3 + ["socket"] * 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_readers_end_with_ebprof(tmp_path, how):
    with started("shares", 20) as target, recording(target, tmp_path) as process:
        left = readers_of(process.pid) + openers_of(process.pid)
        assert len(left) == 4
        process.send_signal(how)
        process.wait(30)
    assert await_true(lambda: not any(os.path.exists(f"/proc/{pid}") and status_of(pid)["State"][0] not in "ZX"
                                      for pid in left)), "nobody stays behind"


def test_nobody_reads_for_it_in_process(tmp_path):
    with started("shares", 20) as target, recording(target, tmp_path, "--in-process-reader") as process:
        assert children_of(process.pid) == {}
    truth, done = record_command("shares", 1, options=["--in-process-reader"])
    assert done.count_of("share_a") > 0


# --- what may happen to it ------------------------------------------------------------------------------------------


class Tormentor(threading.Thread):
    """Waits for an ebprof of this process's, and kills its readers and openers at random moments until told to stop."""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.others = set(children_of(os.getpid()))
        self.done = threading.Event()
        self.sent = 0

    def victims(self):
        return [victim for child, name in children_of(os.getpid()).items() if child not in self.others
                and name == "ebprof" for victim in readers_of(child) + openers_of(child)]

    def run(self):
        while not self.done.wait(self.random.uniform(0, 0.02)):
            victims = self.victims()
            if victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.random.choice(victims), signal.SIGKILL)
                    self.sent += 1


def record_tormented(target, folder, seconds, seed):
    """A recording of a target during which its readers are killed all the time; (Recording, how many were)."""
    tormentor = Tormentor(seed)
    tormentor.start()
    try:
        return record("-p", target.pid, "-d", seconds, folder=str(folder)), tormentor.sent
    finally:
        tormentor.done.set()
        tormentor.join()


@pytest.mark.parametrize("seed", range(3))
def test_killed_readers_cost_no_samples(tmp_path, seed):
    libraries = sorted(glob.glob("/usr/lib/x86_64-linux-gnu/lib[c-m]*.so.[0-9]"))[:40]
    with started("libraries", 20, *libraries) as target:
        done, sent = record_tormented(target, tmp_path, 1.5, seed)
    assert sent > 10, "they were killed whenever they were there"
    # That each tick is accounted for, and each sample in the profile, is checked of every recording.
    assert done.stats["lost"] == 0 and done.samples > 100
    failed = done.stats["failed_files"]
    assert done.counters["files_failed"] == len(failed)
    for failure in failed:
        assert re.fullmatch(r"was killed \(SIGKILL\)|lost the process that opens files|ended \(status 0\)|"
                            r"closed its connection", failure["reason"]), failure
        assert re.search(r"/|\[vdso\]", failure["file"]) and failure["wanted"]


def test_a_stopped_reader_costs_its_file_names(tmp_path):
    """Stopped while it has nothing to do, it misses the deadline of the next question; the one after gets another."""
    with started("shares", 60) as target:
        process = start_ebprof("record", "-F", RATE, "-o", f"{tmp_path}/p.pb.gz", "--stats", f"{tmp_path}/s.json", "-p",
                               target.pid)
        await_recording(process)
        for reader in readers_of(process.pid):
            os.kill(reader, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        done = finish_ebprof(process)
    assert done.status == 0, str(done)
    with open(f"{tmp_path}/s.json") as file:
        stats = json.load(file)
    assert [failure["wanted"] for failure in stats["failed_files"]] == ["its names"], stats["failed_files"]
    assert re.fullmatch(r"took longer than \d+ s", stats["failed_files"][0]["reason"])
    assert "its names could not be read: the process that reads files took longer than" in done.stderr
    assert "times that reading a file failed" in done.stderr, "the summary has it as well"


# --- what may be mapped ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def hung_folder(request_kind):
    """A process and the folder of a file system that leaves such requests without an answer."""
    with started("hung", 60, request_kind) as target:
        mounted = re.search(r"^mounted (\S+)/program$", "".join(target.lines), re.MULTILINE)
        if not mounted:
            pytest.skip("no file system can be mounted by /dev/fuse here")
        try:
            yield target, mounted.group(1)
        finally:
            # Its code has no end of its own now: ended, with what it mounted.
            target.stop()
            subprocess.run(["umount", "-l", mounted.group(1)], check=False)
            with contextlib.suppress(OSError):
                os.rmdir(mounted.group(1))


@pytest.mark.parametrize("request_kind", ["open", "read", "close"])
def test_a_file_that_never_answers(request_kind):
    """A file system that stops answering, at any kind of request, costs its own file's names."""
    with hung_folder(request_kind) as (target, folder):
        done = record("-p", target.pid, "-d", 1)
    assert done.stats["lost"] == 0 and done.samples > 50
    failures = done.stats["failed_files"]
    assert [failure["file"] for failure in failures] == [f"{folder}/program"], failures
    assert failures[0]["reason"].startswith("took longer than")
    assert done.counters["files_failed"] == 1
    named = {name for sample in done.profile.samples for name in names_of(sample)}
    assert any(name in named for name in ("main", "thread_cpu_ns", "clock_gettime", "__clock_gettime")), named


def test_a_library_path_that_never_answers(tmp_path):
    """A command says that its libraries are there; the dynamic linker finds them elsewhere first, and ebprof starts."""
    (tmp_path / "user.c").write_text("""
        void first_plugin_work(unsigned long spins);
        int main(void) { for (int i = 0; i < 300; i++) first_plugin_work(1000000); return 0; }""")
    with hung_folder("lookup") as (target, folder):
        subprocess.run(["gcc", "-o", tmp_path / "user", tmp_path / "user.c", f"-Wl,-rpath,{folder}", f"-L{WORKLOADS}",
            "-lfirst_plugin"], check=True)
        paths = f"{WORKLOADS}:/lib/x86_64-linux-gnu"
        recording = record(command=[str(tmp_path / "user")], environment={"LD_LIBRARY_PATH": paths})
        assert target.process.poll() is None, "not because it answers again"
    assert recording.count_of("first_plugin_work") > 0.9 * recording.samples > 50
    files = {failure["file"] for failure in recording.stats["failed_files"]}
    assert files and all(file.startswith(folder) for file in files), files
