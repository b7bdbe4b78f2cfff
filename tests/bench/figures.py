# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: the programs that are profiled, ebprof and perf as a person runs them, and tables.

Every table compares within one run on one machine: ratios travel, times do not.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
from harness import BUILD, EBPROF, WORKLOADS, bpf_ids, sample_rate_limit, started, sysctl  # noqa: E402,F401

PERF = "perf"
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/sbin:" + os.environ.get("PATH", ""))
GET_STACK = os.path.join(BUILD, "tests", "bench", "get_stack")


def print_table(title, header, rows):
    """Columns as wide as they need to be; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [header] + rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                        for column, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def percent(part, whole, digits=2):
    return f"{100 * part / whole:.{digits}f}" if whole else "-"


def record(command, *options, rate=999):
    """ebprof on a command; returns its counters."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        subprocess.run([EBPROF, "record", "-q", "-F", str(rate), "-o", f"{folder}/profile.pb.gz", "--as-root",
                        "--stats", f"{folder}/stats.json", *map(str, options), "--", *map(str, command)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        with open(f"{folder}/stats.json") as file:
            return json.load(file)


def user_seconds(pid):
    """CPU time of a process and its dead children so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def steal_seconds():
    """CPU time that the host took from this machine."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def perf_event_times(pid):
    """(run time in ns, runs) of the perf_event programs that a process holds; kernel.bpf_stats_enabled has to be 1."""
    run_time_ns = runs = 0
    for program in bpf_ids(pid)["prog"]:
        listing = subprocess.run([BPFTOOL, "-j", "prog", "show", "id", str(program)], stdout=subprocess.PIPE).stdout
        shown = json.loads(listing or b"{}")
        if shown.get("type") == "perf_event":
            run_time_ns += shown.get("run_time_ns", 0)
            runs += shown.get("run_cnt", 0)
    return run_time_ns, runs


def await_runs(process, seconds_limit=60):
    """Until the perf_event programs of a process that was just started run; false if they never do."""
    deadline = time.monotonic() + seconds_limit
    while perf_event_times(process.pid)[1] < 3:
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def await_file(path, seconds=10):
    deadline = time.monotonic() + seconds
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
