# SPDX-License-Identifier: Apache-2.0
"""What a system test needs: workloads that know their own truth, recordings, and what holds of every recording.

    truth, recording = record_command("shares", 2)             ebprof record ... -- shares 2
    with started("threads", 3) as target:                      a running target
        recording = record("-p", target.pid, "-d", 1)

record() checks what must always hold, so no test can forget it: exit status, the conservation equation on every CPU, a
valid profile whose samples are exactly those counted, the real pprof without a word on stderr, nothing else in the
folder. A test adds its own claim.
"""

import contextlib
import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("EBPROF_BUILD", os.path.join(ROOT, "build"))
EBPROF = os.path.join(BUILD, "ebprof")
WORKLOADS = os.path.join(BUILD, "tests", "workloads")
PPROF = shutil.which("pprof", path="/usr/lib/go-1.19/pkg/tool/linux_amd64:" + os.environ.get("PATH", ""))
RATE = 999
SECONDS_LIMIT = 90

sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import check_pprof  # noqa: E402  (the path above is where it lives)


def path_of(workload):
    """Of a workload's name; a path stays what it is."""
    return workload if "/" in workload else os.path.join(WORKLOADS, workload)


def parse_truth(text):
    """The lines "NAME VALUE" that a workload prints."""
    return {name: int(value) for name, value in re.findall(r"^(\S+) (\d+)$", text, re.MULTILINE)}


# --- targets --------------------------------------------------------------------------------------------------------


class Target:
    """A running workload, past its "ready"."""

    def __init__(self, arguments, **popen):
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, **popen)
        self.pid = self.process.pid
        self.lines = []
        for line in self.process.stdout:
            if line == "ready\n":
                break
            self.lines.append(line)

    @property
    def said(self):
        return parse_truth("".join(self.lines))

    def finish(self):
        """Waits for its end; returns its truth."""
        self.lines += self.process.stdout.readlines()
        self.process.wait(SECONDS_LIMIT)
        return self.said

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdout.close()
        self.process.wait()


@contextlib.contextmanager
def started(workload, *arguments, **popen):
    target = Target([path_of(workload)] + [str(argument) for argument in arguments], **popen)
    try:
        yield target
    finally:
        target.stop()


# --- running ebprof -------------------------------------------------------------------------------------------------


class Done:
    """A run of ebprof that is over."""

    def __init__(self, arguments, status, stdout, stderr, seconds):
        self.arguments = arguments
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds

    def __str__(self):
        return f"{' '.join(self.arguments)}\nstatus {self.status} after {self.seconds:.1f} s\nstderr:\n{self.stderr}"


def run_ebprof(*arguments, environment=None, **popen):
    """Runs it to its end; stdout is bytes, stderr text."""
    arguments = [EBPROF] + [str(argument) for argument in arguments]
    start = time.monotonic()
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=SECONDS_LIMIT, env=dict(os.environ, **(environment or {})), **popen)
    return Done(arguments, done.returncode, done.stdout, done.stderr.decode(errors="replace"), time.monotonic() - start)


def start_ebprof(*arguments, environment=None, **popen):
    """A running ebprof, for tests that send it signals; its end is watched with finish_ebprof()."""
    arguments = [EBPROF] + [str(argument) for argument in arguments]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, **(environment or {})), **popen)
    process.started = time.monotonic()
    process.arguments = arguments
    return process


def finish_ebprof(process):
    stdout, stderr = process.communicate(timeout=SECONDS_LIMIT)
    return Done(process.arguments, process.returncode, stdout, stderr.decode(errors="replace"),
        time.monotonic() - process.started)


def bpf_ids(pid):
    """{"prog": ids, "map": ids, "link": ids} that a process holds by descriptor."""
    held = {"prog": set(), "map": set(), "link": set()}
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{name}") as file:
                for kind, number in re.findall(r"^(prog|map|link)_id:\s*(\d+)$", file.read(), re.MULTILINE):
                    held[kind].add(int(number))
    return held


def loads(path):
    """Loads all programs of a BPF object and lets them go again; "" or the end of what the kernel objects to."""
    tool = shutil.which("bpftool", path="/usr/sbin:" + os.environ.get("PATH", ""))
    assert tool, "bpftool is missing: apt-get install bpftool"
    folder = f"/sys/fs/bpf/ebprof-test-{os.getpid()}"
    try:
        done = subprocess.run([tool, "prog", "loadall", path, folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS_LIMIT)
        return "" if done.returncode == 0 else done.stdout[-2000:]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clocks_of(pid):
    """How many perf events a process holds."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/{pid}/fd/{name}") == "anon_inode:[perf_event]"
    return count


def await_recording(process, target=None):
    """Until an ebprof that was just started has its clocks attached: as many perf events as it will ever have."""
    before = -1
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        now = clocks_of(process.pid)
        if now >= 2 * os.cpu_count() and now == before:
            time.sleep(0.3)
            return
        before = now
        time.sleep(0.1)


# --- recordings -----------------------------------------------------------------------------------------------------


class Recording(Done):
    """A finished recording with its profile and its counters."""

    def __init__(self, done, folder, path):
        super().__init__(done.arguments, done.status, done.stdout, done.stderr, done.seconds)
        self.folder = folder
        self.path = path
        with open(os.path.join(folder, "stats.json")) as file:
            self.stats = json.load(file)
        self.counters = self.stats["counters"]
        self.profile = check_pprof.load(path)

    @property
    def samples(self):
        return self.profile.total(0)

    def count(self, wanted):
        """Samples for which wanted(sample) is true."""
        return sum(sample.values[0] for sample in self.profile.samples if wanted(sample))

    def count_of(self, function):
        """Samples that have the function anywhere."""
        return self.count(lambda sample: function in names_of(sample))

    def count_at(self, function):
        """Samples in the function itself."""
        return self.count(lambda sample: names_of(sample)[0] == function)


def names_of(sample):
    """Functions, leaf first."""
    return [frame.function for frame in sample.frames]


def user_names_of(sample):
    """Functions of the user part, leaf first."""
    return [frame.function for frame in sample.frames if not is_kernel(frame)]


def is_kernel(frame):
    return frame.address >= 1 << 63


def check_balance(recording):
    """expected = runs + idle_skipped + unexplained and runs = the sum of what became of them, on every CPU and to the unit."""
    for cpu in recording.stats["cpus"]:
        assert cpu["expected"] == cpu["runs"] + cpu["idle_skipped"] + cpu["unexplained"], cpu
        assert cpu["runs"] == cpu["named"], cpu
    outcomes = sum(recording.counters[name] for name in outcome_names())
    assert outcomes == recording.stats["runs"] == sum(cpu["runs"] for cpu in recording.stats["cpus"]), recording.stats
    ends = sum(recording.counters[f"user_{name}"] for name in macro_names("bpf/sample.h", "STOPS"))
    assert ends == recording.counters["samples"], "each sample's user part ended in exactly one way"


def macro_names(file, macro):
    """The first arguments of the rows of an X-macro in a header."""
    with open(os.path.join(ROOT, file)) as header:
        text = header.read()
    body = re.search(rf"^#define {macro}\(\w+\)(.*?[^\\])\n\n?", text, re.MULTILINE | re.DOTALL).group(1)
    body = re.split(r"\n(?!\t)", body)[0]
    return re.findall(r"^\s*[A-Z_]+\((\w+),", body, re.MULTILINE)


def outcome_names():
    return macro_names("bpf/sample.h", "OUTCOME_COUNTERS")


def run_pprof(path, *options):
    """The real pprof; it must have nothing to complain about. Returns its stdout."""
    assert PPROF, "pprof is missing: apt-get install golang-1.19-go"
    environment = dict(os.environ, HOME=tempfile.gettempdir(), PPROF_TMPDIR=tempfile.gettempdir())
    done = subprocess.run([PPROF, "-symbolize=none", *options, path], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment, timeout=SECONDS_LIMIT)
    assert done.returncode == 0 and done.stderr == "", f"pprof {path}: {done.returncode}\n{done.stderr}"
    return done.stdout


def pprof_top(path, sample_index="cpu"):
    """{function: (flat share, cumulative share)} as the real pprof prints them."""
    text = run_pprof(path, "-top", "-nodecount=100000", "-nodefraction=0", "-edgefraction=0",
        f"-sample_index={sample_index}")
    rows = re.findall(r"^\s*\S+\s+([\d.]+)%\s+[\d.]+%\s+\S+\s+([\d.]+)%\s+(.+?)(?: \(inline\))?$", text, re.MULTILINE)
    shares = {}
    for flat, cumulative, name in rows:
        before = shares.get(name, (0, 0))
        shares[name] = (before[0] + float(flat) / 100, max(before[1], float(cumulative) / 100))
    return shares


def check_recording(recording):
    check_balance(recording)
    assert recording.samples == recording.counters["samples"], "the profile holds the samples that were counted"
    period_ns = recording.profile.period
    assert recording.profile.total(1) == recording.samples * period_ns, "a sample's value is its period"
    faults = check_pprof.check(recording.path)
    assert not faults, faults[:10]
    recording.top = pprof_top(recording.path)
    files = {"stats.json", os.path.basename(recording.path)}
    assert set(os.listdir(recording.folder)) == files, "nothing else was left in the folder"


def record(*options, rate=RATE, command=None, status=0, environment=None, folder=None):
    """ebprof record; options as on the command line, command as a list that starts with a workload's name."""
    folder = folder or tempfile.mkdtemp(prefix="ebprof-test-")
    try:
        path = os.path.join(folder, "profile.pb.gz")
        arguments = ["record", "-F", rate, "-o", path, "--stats", os.path.join(folder, "stats.json"), *options]
        if command:
            arguments += ["--", path_of(command[0]), *command[1:]]
        done = run_ebprof(*arguments, environment=environment)
        assert done.status == status, str(done)
        recording = Recording(done, folder, path)
        check_recording(recording)
        return recording
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def record_command(workload, *arguments, options=(), **keywords):
    """A workload's own truth and its recording, from its first instruction to its last."""
    recording = record(*options, command=[workload, *arguments], **keywords)
    return parse_truth(recording.stdout.decode()), recording


def refuse(*arguments, status=2, says=None, environment=None, **popen):
    """ebprof must say no in one sentence, with this status, and write nothing in the current folder."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_ebprof(*arguments, environment=environment, cwd=folder, **popen)
        assert done.status == status, str(done)
        assert re.fullmatch(r"ebprof: [^\n]+\n", done.stderr), f"one sentence expected:\n{done}"
        assert done.stdout == b"", str(done)
        assert os.listdir(folder) == [], "no file is written"
        if says:
            assert re.search(says, done.stderr), str(done)
        return done.stderr


# --- statistics -----------------------------------------------------------------------------------------------------


def assert_share(part, total, truth, what=""):
    """part of total samples against a true share, within 4 binomial standard errors."""
    assert total >= 200, f"{total} samples are too few to say anything"
    error = 4 * math.sqrt(truth * (1 - truth) / total)
    assert abs(part / total - truth) <= error, f"{what} {part / total:.4f} of {total}, true {truth:.4f} +- {error:.4f}"


def assert_count(count, truth, what=""):
    """A number of samples against the number due, within 4 standard errors of a Poisson count."""
    error = 4 * math.sqrt(truth)
    assert abs(count - truth) <= error, f"{what} {count}, due {truth:.0f} +- {error:.0f}"


def assert_shares(recording, truth, functions):
    """Each function's share of the samples against what the workload measured of itself."""
    total_ns = sum(truth[name] for name in functions)
    counts = {name: recording.count_of(name) for name in functions}
    total = sum(counts.values())
    for name in functions:
        assert_share(counts[name], total, truth[name] / total_ns, name)


def complete_share(recording):
    stats = recording.stats
    return stats["complete"] / stats["user_stacks"]


def is_early(sample):
    """Whether the stack ends where a table or mapping was not known yet, or was replaced while it was walked."""
    return names_of(sample)[-1].startswith(("[no table yet", "[mappings changed during the walk",
                                            "[pc not in a known mapping"))


def assert_complete(recording, share=0.995, early_seconds=0.1, libraries=0):
    """
    Nearly all user stacks reach their root. Ticks right after an exec may come before the tables, those right after
    dlopen before the mapping: both are allowed for early_seconds each, as short recordings have few others to dilute
    them.
    """
    counters = recording.counters
    early = counters["user_no_process_table"] + counters["user_no_file_table"] + counters["user_table_changed"]
    if libraries:
        early += counters["user_no_mapping"]
        early_seconds *= 1 + libraries
    assert early <= early_seconds * recording.stats["rate_hz"], f"{early} ticks without a table"
    others = recording.stats["user_stacks"] - early
    reasons = {name: value for name, value in counters.items() if name.startswith("user_") and value}
    # Of few stacks one may be odd.
    assert recording.stats["complete"] >= share * others - 1, f"{recording.stats['complete']} of {others}: {reasons}"


def assert_only_known_ends(recording, share=0.999, cut=0):
    """Nearly all user stacks reach their root, but for those that were cut; with no allowance for beginnings."""
    reasons = {name: value for name, value in recording.counters.items() if name.startswith("user_") and value}
    assert recording.stats["complete"] >= share * (recording.stats["user_stacks"] - cut) - 1, reasons


def line_of(source, words):
    """The number of the line of a workload's source that holds the words."""
    with open(os.path.join(ROOT, "tests", "workloads", source)) as file:
        for number, line in enumerate(file, 1):
            if words in line:
                return number
    raise AssertionError(f"no line of {source} holds {words!r}")


# --- the machine ----------------------------------------------------------------------------------------------------


def write_parameter(path, value):
    """Some cannot be changed while a perf event is there; the last one may just be going away."""
    for attempt in range(100):
        try:
            with open(path, "w") as file:
                file.write(str(value))
            return
        except OSError as error:
            if error.errno != errno.EBUSY or attempt == 99:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def sysctl(name, value):
    """Sets a kernel parameter and puts it back."""
    path = "/proc/sys/" + name.replace(".", "/")
    with open(path) as file:
        before = file.read()
    write_parameter(path, value)
    try:
        yield
    finally:
        write_parameter(path, before)


@contextlib.contextmanager
def sample_rate_limit(rate):
    """Sets the kernel's limit of sampling rates; it can only be written while the kernel may lower it itself."""
    with sysctl("kernel.perf_cpu_time_max_percent", 25), sysctl("kernel.perf_event_max_sample_rate", rate):
        yield


def await_true(condition, seconds=5.0):
    """Whether a condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()

