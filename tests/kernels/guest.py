# SPDX-License-Identifier: Apache-2.0
"""What runs inside a virtual machine with another kernel: does ebprof work here?

A line of JSON per answer goes to the second serial port, so that what was found out is not lost if the rest takes too long.

  kernel   what the kernel calls itself
  load     the programs load: ebprof records a short command; what it said
  compiler the programs as another clang makes them load, too
  smoke    a workload of known shares has these shares, and nearly all of its stacks are complete
  test     one test of the system tests: passed, failed (with the reason) or skipped

A machine that interprets instructions is some ten times slower, and the kernel drops ticks that come late; what depends on
how much gets done per tick is therefore not among the tests that are asked for (EBPROF_KERNEL_TESTS).
"""

import glob
import json
import os
import platform
import sys
import traceback

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
import harness  # noqa: E402  (the path above is where it lives)

ANSWERS = "/dev/ttyS1"
FUNCTIONS = ("share_a", "share_b", "share_c")


def answer(kind, **fields):
    with open(ANSWERS, "w") as file:
        file.write(json.dumps(dict(fields, kind=kind)) + "\n")


def load():
    """Whether the programs load, and what ebprof says if they don't."""
    done = harness.run_ebprof("record", "-v", "-o", "/tmp/load.pb.gz", "--", "/bin/true")
    print(done.stderr)
    said = [line for line in done.stderr.splitlines() if line.startswith("ebprof: ") and "libbpf:" not in line]
    notes = [line[len("ebprof: "):] for line in said if "this kernel" in line]
    answer("load", ok=done.status == 0, status=done.status, said=said[-1] if said else "", notes=notes)
    return done.status == 0


def compilers():
    for path in sorted(glob.glob(os.path.join(harness.BUILD, "compilers", "*", "bpf", "recorder.o"))):
        said = harness.loads(path)
        print(said)
        answer("compiler", name=path.split(os.sep)[-3], ok=not said, said=said.strip()[-300:])


def check_shares(name, truth, recording):
    harness.assert_shares(recording, truth, FUNCTIONS)
    complete = harness.complete_share(recording)
    assert complete > 0.98, f"{name}: {complete:.4f} of the stacks are complete"
    return f"{name} {recording.samples} samples, {complete * 100:.2f} % complete"


def smoke():
    """A command from its beginning, and a process that runs already (to which ebprof may take seconds to attach here)."""
    try:
        said = [check_shares("command", *harness.record_command("shares", 2, rate=499))]
        with harness.started("shares", 120) as target:
            recording = harness.record("-p", target.pid, "-d", 3, rate=499)
        said.append(check_shares("attached", {"share_a": 50, "share_b": 30, "share_c": 20}, recording))
        answer("smoke", ok=True, said="; ".join(said))
    except Exception as error:  # pylint: disable=broad-except
        traceback.print_exc()
        answer("smoke", ok=False, said=str(error)[:500])


class Reporter:
    """Of a test that fails in its set-up or its end, that is what counts."""

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            said = ""
            if report.skipped:
                said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            elif report.failed:
                said = str(report.longrepr).strip().splitlines()[-1]
            answer("test", name=report.nodeid, outcome=report.outcome, said=said[-500:])


def main():
    answer("kernel", release=platform.release(), version=platform.version())
    if not load():
        return
    compilers()
    smoke()
    tests = os.environ.get("EBPROF_KERNEL_TESTS", "").split()
    if tests:
        os.chdir(ROOT)
        pytest.main(["-c", "tests/pytest.ini", "--rootdir=.", "-v", *tests], plugins=[Reporter()])
    answer("end")


main()
