# SPDX-License-Identifier: Apache-2.0
"""What pytest runs besides tests/system/*_test.py.

tests/unit/NAME_test.c       one item per test function and build (plain, sanitizers), and one per binary that says
                             that it ran to its end: a crash, a leak or a sanitizer's report fails that one. A binary
                             runs once, when its first item is wanted; a test function in no group fails.
tests/differential/*/SCRIPT  each executable file is one test: exit status 0 passed, 77 skipped (its last line says
                             why), anything else failed. Its last line holds its totals, which are shown at the end.

System tests need root; without it they are skipped and the reason is listed.
"""

import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILDS = {
    "plain": os.environ.get("EBPROF_BUILD", os.path.join(ROOT, "build")),
    "sanitizers": os.environ.get("EBPROF_SAN_BUILD", os.path.join(ROOT, "build-san")),
}
UNIT_SECONDS = 600
DIFFERENTIAL_SECONDS = 900

totals = []


class TestFailed(Exception):
    """Carries the text that is shown; there is no Python traceback worth showing."""


class Item(pytest.Item):
    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, TestFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, self.name


# --- unit tests -----------------------------------------------------------------------------------------------------

RESULT = re.compile(r"^\[\s*(OK|FAILED|SKIPPED|RUN)\s*\] (\w+)$", re.MULTILINE)
LISTED = re.compile(r"^static void (\w+)\(void \*\*", re.MULTILINE)


class UnitRun:
    """One run of one test binary, made when it is first asked for."""

    def __init__(self, binary):
        self.binary = binary
        self.status = None
        self.output = ""
        self.results = {}

    def finish(self):
        if self.status is not None:
            return
        if not os.path.exists(self.binary):
            self.status = f"{self.binary} was not built: make check-unit"
            return
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
        environment.pop("CMOCKA_MESSAGE_OUTPUT", None)
        try:
            done = subprocess.run([self.binary], cwd=ROOT, env=environment, timeout=UNIT_SECONDS, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        except subprocess.TimeoutExpired as expired:
            self.output = (expired.stdout or b"").decode(errors="replace")
            self.status = f"did not end within {UNIT_SECONDS} seconds"
        else:
            self.output = done.stdout
            self.status = "" if done.returncode == 0 else f"exit status {done.returncode}"
        for result, name in RESULT.findall(self.output):
            # The list of failed tests at the end repeats names; RUN without an end is a crash.
            if result != "RUN" or name not in self.results:
                self.results[name] = result

    def tail(self, lines=60):
        return "\n".join(self.output.splitlines()[-lines:])

    def text_of(self, name):
        """What the binary said between a test's start and its end."""
        found = re.search(rf"^\[ RUN      \] {name}$(.*?)^\[[^\n]*\] {name}$", self.output, re.M | re.S)
        return found.group(0) if found else self.tail()


class UnitItem(Item):
    def __init__(self, *, run, test, **kwargs):
        super().__init__(**kwargs)
        self.run = run
        self.test = test

    def runtest(self):
        self.run.finish()
        result = self.run.results.get(self.test)
        if result == "SKIPPED":
            pytest.skip(f"{self.name}: the test skipped itself")
        if result is None:
            why = self.run.status or "it is in no group"
            raise TestFailed(f"{self.test} was not reached: {why}\n{self.run.tail()}")
        if result != "OK":
            raise TestFailed(f"{self.test}: {result} ({self.run.status})\n{self.run.text_of(self.test)}")


class UnitEndItem(Item):
    def __init__(self, *, run, listed, **kwargs):
        super().__init__(**kwargs)
        self.run = run
        self.listed = listed

    def runtest(self):
        self.run.finish()
        if self.run.status and "FAILED" not in self.run.results.values():
            raise TestFailed(f"{os.path.basename(self.run.binary)}: {self.run.status}\n{self.run.tail()}")
        unlisted = sorted(set(self.run.results) - set(self.listed))
        if unlisted:
            raise TestFailed(f"these ran, but have no item: {unlisted}; write 'static void NAME(void **...'")


class UnitFile(pytest.File):
    def collect(self):
        names = list(dict.fromkeys(LISTED.findall(self.path.read_text())))
        relative = os.path.relpath(str(self.path), ROOT)[: -len(".c")]
        for build, folder in BUILDS.items():
            run = UnitRun(os.path.join(folder, relative))
            for name in names:
                yield UnitItem.from_parent(self, name=f"{name}[{build}]", run=run, test=name)
            yield UnitEndItem.from_parent(self, name=f"ran-to-its-end[{build}]", run=run, listed=names)


# --- differential tests ---------------------------------------------------------------------------------------------


class ScriptItem(Item):
    def runtest(self):
        environment = dict(os.environ, EBPROF_BUILD=BUILDS["plain"])
        try:
            done = subprocess.run([str(self.path)], cwd=ROOT, env=environment, timeout=DIFFERENTIAL_SECONDS, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        except subprocess.TimeoutExpired as expired:
            raise TestFailed(f"did not end within {DIFFERENTIAL_SECONDS} seconds:\n{expired.stdout}") from None
        lines = done.stdout.strip().splitlines() or ["(printed nothing)"]
        if done.returncode == 77:
            pytest.skip(lines[-1])
        totals.append(f"{os.path.relpath(str(self.path), ROOT)}: {lines[-1]}")
        if done.returncode:
            raise TestFailed(f"exit status {done.returncode}\n" + "\n".join(lines[-60:]))


class ScriptFile(pytest.File):
    def collect(self):
        yield ScriptItem.from_parent(self, name=self.path.name)


# --- hooks ----------------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path, parent):
    folder = os.path.relpath(str(file_path.parent), os.path.join(ROOT, "tests"))
    if folder == "unit" and file_path.name.endswith("_test.c"):
        return UnitFile.from_parent(parent, path=file_path)
    if folder.split(os.sep)[0] == "differential" and os.access(file_path, os.X_OK) and file_path.is_file():
        return ScriptFile.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0:
        return
    for item in items:
        if f"{os.sep}system{os.sep}" in str(item.path) and not item.get_closest_marker("no_root"):
            item.add_marker(pytest.mark.skip(reason="needs root: sudo make check"))


def pytest_terminal_summary(terminalreporter):
    if totals:
        terminalreporter.section("totals of the differential tests")
        for line in totals:
            terminalreporter.write_line(line)
