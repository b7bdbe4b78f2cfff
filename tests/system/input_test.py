# SPDX-License-Identifier: Apache-2.0
"""Bad input: one sentence on stderr that says what to do, status 2, no file."""

import os
import re
import subprocess

import pytest

from harness import EBPROF, path_of, refuse, run_ebprof, sample_rate_limit, started


@pytest.mark.parametrize("arguments, says", [
    (["record"], "target"),
    (["record", "-d", "1"], "target"),
    (["record", "-p", "0"], "-p"),
    (["record", "-p", "-1"], "-p"),
    (["record", "-p", ""], "-p"),
    (["record", "-p", "1,,2"], "-p"),
    (["record", "-p", "abc"], "abc"),
    (["record", "-p", "99999999999999999999"], "-p"),
    (["record", "-p", "4194300"], "4194300"),
    (["record", "-t", "4194300"], "4194300"),
    (["record", "-F", "0", "--", "true"], "-F"),
    (["record", "-F", "-5", "--", "true"], "-F"),
    (["record", "-F", "99x", "--", "true"], "-F"),
    (["record", "-F", "10000000", "--", "true"], "perf_event_max_sample_rate"),
    (["record", "-d", "-1", "--", "true"], "-d"),
    (["record", "-d", "0", "--", "true"], "-d"),
    (["record", "-d", "nan", "--", "true"], "-d"),
    (["record", "-d", "inf", "--", "true"], "-d"),
    (["record", "-d", "1e99", "--", "true"], "-d"),
    (["record", "-d", "x", "--", "true"], "-d"),
    (["record", "--max-depth", "0", "--", "true"], "--max-depth"),
    (["record", "--max-depth", "100000", "--", "true"], "--max-depth"),
    (["record", "--strict=-1", "--", "true"], "--strict"),
    (["record", "--format", "xml", "--", "true"], "xml|pprof"),
    (["record", "-e", "nonsense", "--", "true"], "nonsense|cpu"),
    (["record", "--label", "nonsense", "--", "true"], "nonsense|pid"),
    (["record", "--user", "--kernel", "--", "true"], "--user"),
    (["record", "--outptu", "x", "--", "true"], "--output"),
    (["record", "-Z", "--", "true"], "-Z"),
    (["record", "-p"], "-p"),
    (["record", "-p", "1", "--", "true"], "-p"),
    (["recrod"], "record"),
    (["nonsense"], "nonsense"),
])
def test_refused(arguments, says):
    refuse(*arguments, status=2, says=says)


@pytest.mark.no_root
def test_no_command_at_all():
    done = run_ebprof()
    assert done.status == 2 and "record" in done.stderr + done.stdout.decode()


@pytest.mark.no_root
@pytest.mark.parametrize("arguments", [["--help"], ["help"], ["record", "--help"], ["help", "record"], ["--version"]])
def test_help_is_no_error(arguments):
    done = run_ebprof(*arguments)
    assert done.status == 0 and done.stdout and not done.stderr, str(done)


def test_without_privilege():
    """Which capability is missing, and the exact sudo or setcap line."""
    with started("shares", 5) as target:
        done = subprocess.run([EBPROF, "record", "-p", str(target.pid), "-d", "1", "-o", "/dev/null"], text=True,
            stdin=subprocess.DEVNULL, capture_output=True, user=65534, group=65534, extra_groups=[], cwd="/",
            timeout=30)
    assert done.returncode == 2, done
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("ebprof: "), done.stderr
    assert re.search("cap_bpf", done.stderr, re.I) and re.search("cap_perfmon", done.stderr, re.I), done.stderr
    assert "sudo" in done.stderr and "setcap" in done.stderr, done.stderr


def test_rate_over_a_lowered_limit():
    with sample_rate_limit(5000):
        refuse("record", "-F", 6000, "--", "true", says=r"perf_event_max_sample_rate=6000")


def test_hostile_command_file(tmp_path):
    """It claims to be ELF and is cut short: the kernel refuses it, and a shell that is asked to read it does too."""
    path = str(tmp_path / "broken")
    with open(path_of("shares"), "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(data[:100])
    os.chmod(path, 0o755)
    done = run_ebprof("record", "-o", str(tmp_path / "out"), "--", path)
    assert done.status in (126, 2), str(done)
