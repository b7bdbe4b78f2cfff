# SPDX-License-Identifier: Apache-2.0
"""ebprof as a program: exit statuses, signals, whose rights COMMAND has, what it says and to whom."""

import gzip
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

from harness import (Recording, await_recording, check_pprof, check_recording, finish_ebprof, path_of, parse_truth,
    record, record_command, refuse, run_ebprof, start_ebprof, started)


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="ebprof-test-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def options_of(folder, *more):
    return ["record", "-F", 999, "-o", f"{folder}/profile.pb.gz", "--stats", f"{folder}/stats.json", *more]


def finish_recording(process, folder, status=0):
    done = finish_ebprof(process)
    assert done.status == status, str(done)
    recording = Recording(done, folder, f"{folder}/profile.pb.gz")
    check_recording(recording)
    return recording


# --- exit statuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status, expected", [(0, 0), (1, 1), (7, 7), (255, 255), (-9, 137), (-11, 139), (-15, 143)])
def test_status_is_the_commands(status, expected):
    """Its own, or 128 + the number of the signal that ended it; the profile is written whatever it was."""
    record_command("exits", 20, status, status=expected)


def test_command_not_found():
    refuse("record", "--", "no-such-command-anywhere", status=127, says="no-such-command-anywhere")
    refuse("record", "--", "/no/such/command", status=127)


def test_command_not_executable(folder):
    path = os.path.join(folder, "text")
    with open(path, "w") as file:
        file.write("not a program\n")
    os.chmod(path, 0o644)
    refuse("record", "--", path, status=126)
    refuse("record", "--", folder, status=126)


def test_wrong_option_is_2_even_with_a_command():
    refuse("record", "--no-such-option", "--", "true", status=2)


def test_strict():
    """0.1 % unless told otherwise; the command's own failure comes first."""
    record_command("odd", 0.5, "nothing", options=["--strict"], status=1)
    record_command("odd", 0.5, "nothing", options=["--strict=100"], status=0)
    record_command("shares", 1, options=["--strict=20"], status=0)
    record_command("exits", 20, 7, options=["--strict"], status=7)
    with started("shares", 5) as target:
        record("-p", target.pid, "-d", 2, "--strict=20")
    with started("odd", 5, "nothing") as target:
        record("-p", target.pid, "-d", 1, "--strict", status=1)


def test_command_not_run_when_ebprof_cannot_record(folder):
    """The output cannot be written: nothing of COMMAND happens."""
    mark = os.path.join(folder, "mark")
    done = run_ebprof("record", "-o", "/proc/no-such-folder/file", "--", "touch", mark)
    assert done.status in (2, 125), str(done)
    assert not os.path.exists(mark)


# --- signals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_finishes_and_writes(folder, number):
    with started("shares", 20) as target:
        process = start_ebprof(*options_of(folder, "-p", target.pid))
        await_recording(process)
        time.sleep(1)
        process.send_signal(number)
        recording = finish_recording(process, folder)
        assert target.process.poll() is None, "the target does not notice"
    assert recording.count_of("share_a") > 100


def test_second_signal_stops_at_once(folder):
    """Nothing half-written: the file is whole or not there, and no temporary file stays behind."""
    for pause in (0, 0.005, 0.02, 0.05, 0.1):
        with started("shares", 20) as target:
            process = start_ebprof("record", "-o", f"{folder}/profile.pb.gz", "-p", target.pid)
            await_recording(process)
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            done = finish_ebprof(process)
        assert done.status in (0, 130), str(done)
        left = os.listdir(folder)
        assert left in ([], ["profile.pb.gz"]), left
        if done.status == 0:
            assert left
        if left:
            check_pprof.load(f"{folder}/profile.pb.gz")
            os.unlink(f"{folder}/profile.pb.gz")


def test_terminate_is_passed_on(folder):
    """SIGTERM to ebprof ends COMMAND too, the file is written, the status is COMMAND's."""
    process = start_ebprof(*options_of(folder, "--", path_of("shares"), 30))
    await_recording(process)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    recording = finish_recording(process, folder, status=143)
    assert recording.seconds < 10 and recording.count_of("share_a") > 100


def test_terminals_interrupt(folder):
    """The terminal sends SIGINT to the whole group; a command that ignores it is waited for."""
    process = start_ebprof(*options_of(folder, "--", path_of("stubborn"), 4), start_new_session=True)
    await_recording(process)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    recording = finish_recording(process, folder)
    assert parse_truth(recording.stdout.decode())["interrupts"] == 1
    assert recording.seconds > 3.5
    assert recording.stats["seconds"] < 3, "the recording ended with the signal"


def test_duration_with_a_command(folder):
    """When -d is over the file is there, and ebprof waits for COMMAND and has its status."""
    process = start_ebprof(*options_of(folder, "-d", 0.7, "--", path_of("exits"), 3000, 5))
    deadline = time.monotonic() + 8
    while not os.path.exists(f"{folder}/profile.pb.gz") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, "COMMAND still runs"
    recording = finish_recording(process, folder, status=5)
    assert 0.6 < recording.stats["seconds"] < 1.5
    assert recording.seconds > 2.5


# --- rights and secrets ---------------------------------------------------------------------------------------------

NOBODY = {"SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"}


def test_command_runs_as_the_caller_of_sudo():
    done = run_ebprof("record", "-q", "-o", "/dev/null", "--", "id", "-u", environment=NOBODY)
    assert done.stdout.decode().strip() == "65534", str(done)
    done = run_ebprof("record", "-q", "-o", "/dev/null", "--", "id", "-G", environment=NOBODY)
    assert "0" not in done.stdout.decode().split(), str(done)
    done = run_ebprof("record", "-q", "-o", "/dev/null", "--as-root", "--", "id", "-u", environment=NOBODY)
    assert done.stdout.decode().strip() == "0", str(done)


def test_command_has_no_descriptor_of_ours():
    done = run_ebprof("record", "-q", "-o", "/dev/null", "--", "ls", "-l", "/proc/self/fd", environment=NOBODY)
    assert "bpf" not in done.stdout.decode() and "perf_event" not in done.stdout.decode(), done.stdout.decode()


def test_command_that_changes_its_user(folder):
    """A setuid program is recorded like any other."""
    path = os.path.join(folder, "shares")
    shutil.copy(path_of("shares"), path)
    os.chmod(path, 0o755 | stat.S_ISUID)
    truth, recording = record_command(path, 1, environment=NOBODY)
    assert recording.count_of("share_a") > 200 and truth


def test_arguments_are_secrets():
    _, recording = record_command("exits", 50, 0, "password=hunter2")
    assert not any("hunter2" in comment for comment in recording.profile.comments)
    assert any("exits" in comment for comment in recording.profile.comments)
    _, recording = record_command("exits", 50, 0, "password=hunter2", options=["--record-args"])
    assert any("hunter2" in comment for comment in recording.profile.comments)


def test_arguments_reach_the_command():
    done = run_ebprof("record", "-q", "-o", "/dev/null", "--", "printf", "%s|", "-p", "1", "--help", "")
    assert done.stdout == b"-p|1|--help||", str(done)


# --- what it says ---------------------------------------------------------------------------------------------------


def test_profile_on_standard_output():
    """Then COMMAND's own output goes to stderr."""
    done = run_ebprof("record", "-o", "-", "-F", 999, "--", path_of("shares"), 0.5)
    assert done.status == 0, str(done)
    assert gzip.decompress(done.stdout)
    assert "share_a" in done.stderr
    with tempfile.NamedTemporaryFile() as file:
        file.write(done.stdout)
        file.flush()
        assert check_pprof.load(file.name).total(0) > 100


def test_folded():
    done = run_ebprof("record", "-q", "-o", "-", "--format", "folded", "-F", 999, "--", path_of("shares"), 0.5)
    lines = done.stdout.decode().splitlines()
    assert all(re.fullmatch(r".+ [1-9]\d*", line) for line in lines)
    assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) > 300
    assert any(";main;" in line and "share_a" in line for line in lines), lines[:5]


def test_summary():
    """At most 12 lines: what was seen, the heaviest functions with their lines, the file, the next command."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_ebprof("record", "-F", 999, "-o", f"{folder}/profile.pb.gz", "--", path_of("shares"), 1)
    lines = done.stderr.splitlines()
    assert 5 <= len(lines) <= 12, done.stderr
    assert re.search(r"share_a.*shares\.c:\d+", done.stderr), done.stderr
    assert f"{folder}/profile.pb.gz" in done.stderr
    assert re.search(r"pprof", done.stderr)
    assert re.search(r"complete", done.stderr)


def test_quiet():
    with started("shares", 3) as target:
        done = run_ebprof("record", "-q", "-o", "/dev/null", "-p", target.pid, "-d", 0.5)
    assert (done.status, done.stdout, done.stderr) == (0, b"", ""), str(done)


def test_progress_only_on_a_terminal():
    with started("shares", 8) as target:
        recording = record("-p", target.pid, "-d", 2.5)
        assert "\r" not in recording.stderr and "\x1b" not in recording.stderr
        command = f"{recording.arguments[0]} record -p {target.pid} -d 2.5 -o /dev/null"
        process = subprocess.run(["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, timeout=30)
    assert b"\r" in process.stdout and b"samples" in process.stdout, process.stdout


def test_stats_name_every_counter():
    from harness import macro_names
    _, recording = record_command("exits", 100, 0)
    for name in macro_names("bpf/sample.h", "OUTCOME_COUNTERS") + macro_names("bpf/sample.h", "EVENT_COUNTERS"):
        assert name in recording.counters, name
    for name in macro_names("bpf/sample.h", "STOPS"):
        assert f"user_{name}" in recording.counters, name
    for name in macro_names("userspace/collect/counters.h", "LOADER_COUNTERS"):
        assert name in recording.counters, name


def test_comments_tell_what_happened():
    _, recording = record_command("odd", 1, "nothing")
    text = "\n".join(recording.profile.comments)
    assert os.uname().release in text
    assert "999" in text
    assert "complete" in text
    assert str(recording.counters["user_no_unwind_info"]) in text, text
