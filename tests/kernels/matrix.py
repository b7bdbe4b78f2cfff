#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does ebprof work on other kernels than this machine's? Boots each in a virtual machine and prints a table.

    matrix.py                  all kernels, with the tests of TESTS
    matrix.py --brief 6.1      one, with those of BRIEF_TESTS only
    matrix.py --tests 'shares_test.py probes_test.py::test_probed_returns' 6.1 newest

Exit status: 0 all is as it should be, 1 it isn't, 77 no kernel could be tested (the last line says why). A kernel whose
package can't be had is a row that says so. The console of each is kept in build/kernels/NAME.console.

What should be: ebprof works, or, where a kernel lacks what it can't do without, refuses with a sentence that names it
(`refused`). With "preempt=full" a kernel that can be switched runs as a preemptible one: programs then are interrupted
by others where they never are on this machine.
"""

import argparse
import json
import os
import sys
import time

import machine
import packages

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("EBPROF_BUILD", os.path.join(ROOT, "build"))
CLOUD = "linux-image-cloud-amd64"

# name: suite, meta-package, kernel parameters, what ebprof must say if it must refuse
KERNELS = {
    "5.10": ("bullseye-security", CLOUD, "", "this kernel lacks bpf_loop"),
    "6.1": ("bookworm", CLOUD, "", None),
    "6.1-preempt": ("bookworm", CLOUD, "preempt=full", None),
    "6.12": ("trixie", CLOUD, "", None),
    "6.12-preempt": ("trixie", CLOUD, "preempt=full", None),
    "6.12-rt": ("trixie", "linux-image-rt-amd64", "", None),
    "newest": ("sid", CLOUD, "", None),
    "newest-preempt": ("sid", CLOUD, "preempt=full", None),
}
# Each for something that kernels do in their own ways. None that asks for a number of samples per second of time, or for
# many in a short time.
BRIEF_TESTS = ("processes_test.py::test_children_are_followed", "chains_test.py::test_signal_handler")
TESTS = BRIEF_TESTS + (
    "shares_test.py::test_shares_without_any_names[shares-stripped]",
    "shares_test.py::test_total_is_the_cpu_time[99]",
    "shares_test.py::test_parts",
    "processes_test.py::test_three_images_of_one_process",
    "chains_test.py::test_recursion_200_deep",
    "chains_test.py::test_libraries_that_come_and_go",
    "chains_test.py::test_kernel_part_above_the_system_call",
    "chains_test.py::test_32_bit_process",
    "probes_test.py::test_probed_returns",
    "probes_test.py::test_stepping_over_probes",
    "losses_test.py::test_known_full",
)
SECONDS, BRIEF_SECONDS = 1200, 300


class Row:
    """What became of one kernel."""

    def __init__(self, name):
        self.name = name
        self.release = "-"
        self.boots = self.loads = self.compilers = self.smoke = "-"
        self.outcomes = {"passed": 0, "failed": 0, "skipped": 0}
        self.notes = []
        self.tested = False
        self.is_good = True
        self.seconds = 0.0

    def fault(self, text):
        self.notes.append(text)
        self.is_good = False

    def take(self, answers, refused):
        """Reads the guest's answers."""
        by_kind = {}
        for line in answers.splitlines():
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            by_kind.setdefault(fields.pop("kind"), []).append(fields)
        if "kernel" not in by_kind:
            self.boots = "no"
            return self.fault("did not get as far as the tests: see its console")
        self.boots = "yes"
        self.release = by_kind["kernel"][0]["release"]
        self.take_load(by_kind.get("load", [None])[0], refused)
        compilers = by_kind.get("compiler", [])
        for compiler in compilers:
            if not compiler["ok"]:
                self.fault(f"made by {compiler['name']}: {compiler['said']}")
        if compilers:
            self.compilers = f"{sum(compiler['ok'] for compiler in compilers)}/{len(compilers)}"
        for smoke in by_kind.get("smoke", []):
            self.smoke = "yes" if smoke["ok"] else "NO"
            (self.notes.append if smoke["ok"] else self.fault)(f"smoke: {smoke['said']}")
        for test in by_kind.get("test", []):
            self.outcomes[test["outcome"]] += 1
            if test["outcome"] == "failed":
                self.fault(f"{test['name']}: {test['said']}")
        if self.loads == "yes" and "end" not in by_kind:
            self.fault("the tests did not end in time")
        return None

    def take_load(self, load, refused):
        if load is None:
            self.loads = "NO"
            return self.fault("ebprof did not end")
        self.notes += load["notes"]
        if load["ok"]:
            self.loads = "yes"
            return self.fault("was expected to be refused") if refused else None
        self.loads = "refused" if refused else "NO"
        if not refused or refused not in load["said"]:
            return self.fault(f"status {load['status']}: {load['said']}")
        return None

    def line(self):
        counts = "/".join(str(self.outcomes[outcome]) for outcome in ("passed", "failed", "skipped"))
        return (f"{self.name:16}{self.release:30}{self.boots:7}{self.loads:9}{self.compilers:8}{self.smoke:7}{counts:10}"
                f"{self.seconds:5.0f} s")


def test_kernel(name, tests, seconds):
    suite, package, append, refused = KERNELS[name]
    row = Row(name)
    start = time.monotonic()
    try:
        kernel = packages.get_kernel(suite, package, os.path.join(BUILD, "kernels"))
        row.release = kernel.release
        settings = f'HOME=/tmp PYTHONDONTWRITEBYTECODE=1 EBPROF_BUILD={BUILD} EBPROF_KERNEL_TESTS="{" ".join(tests)}"'
        answers = machine.run(kernel, f"cd /tmp; {settings} /usr/bin/python3 {ROOT}/tests/kernels/guest.py",
            os.path.join(BUILD, "kernels", f"{name}.console"), append, seconds, sorted({ROOT, BUILD}))
        row.tested = True
        row.take(answers, refused)
    except packages.Unavailable as error:
        row.notes.append(f"not tested: {error}")
    row.seconds = time.monotonic() - start
    return row


def main():
    parser = argparse.ArgumentParser(description="ebprof on other kernels")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help=f"of {', '.join(KERNELS)}; all if none is named")
    parser.add_argument("--brief", action="store_true", help="few tests, in bounded time")
    parser.add_argument("--tests", help="what pytest is to run inside")
    options = parser.parse_args()
    unknown = set(options.kernels) - set(KERNELS)
    if unknown:
        parser.error(f"no such kernel: {', '.join(sorted(unknown))}")
    tests = options.tests.split() if options.tests is not None else BRIEF_TESTS if options.brief else TESTS
    tests = [os.path.join("tests/system", test) for test in tests]
    os.makedirs(os.path.join(BUILD, "kernels"), exist_ok=True)
    print(f"{'kernel':16}{'release':30}{'boots':7}{'loads':9}{'clangs':8}{'smoke':7}{'tests*':10}    took", flush=True)
    rows = []
    for name in options.kernels or KERNELS:
        row = test_kernel(name, tests, BRIEF_SECONDS if options.brief else SECONDS)
        rows.append(row)
        print(row.line(), flush=True)
        for note in row.notes:
            print(f"    {note}", flush=True)
    print("* passed/failed/skipped")
    tested = [row for row in rows if row.tested]
    if not tested:
        print(rows[0].notes[-1])
        return 77
    good = sum(row.is_good for row in tested)
    print(f"{good} of {len(tested)} kernels as they should be, {len(rows) - len(tested)} not tested")
    return 0 if good == len(tested) else 1


sys.exit(main())
