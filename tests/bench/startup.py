# SPDX-License-Identifier: Apache-2.0
"""How soon it sees something, and how soon after Ctrl-C the result is there, beside perf.

    startup.py [--rounds N]

The target keeps a CPU busy and has 30 libraries mapped. Times are from the start of the process (execve). ebprof tells
itself when its first tick and its first complete stack came; perf's first sample is taken from its file. perf's file
has no names yet, so its time to text (perf script) stands beside.
"""

import argparse
import glob
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

from figures import EBPROF, PERF, print_table, started


def thirty_libraries():
    """Libraries of this machine that load alone, the largest of ordinary size."""
    found = []
    for path in sorted(glob.glob("/usr/lib/x86_64-linux-gnu/lib*.so.*"), key=os.path.getsize, reverse=True):
        name = os.path.basename(path)
        if os.path.islink(path) or re.match(r"lib(c|m|dl|pthread|asan|tsan|lsan|ubsan|hwasan|itm)\b", name):
            continue
        if os.path.getsize(path) > 4 << 20:
            continue
        if subprocess.run(["python3", "-c", f"import ctypes; ctypes.CDLL({path!r})"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            found.append(path)
        if len(found) == 30:
            break
    return found


def interrupt(process, seconds):
    """Ctrl-C after some time; returns how long it then took."""
    time.sleep(seconds)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait()
    return time.monotonic() - start


def time_ebprof(pid, folder):
    path, stats_path = f"{folder}/profile.pb.gz", f"{folder}/stats.json"
    process = subprocess.Popen([EBPROF, "record", "-q", "-F", "99", "-o", path, "--stats", stats_path, "-p", str(pid)])
    finished = interrupt(process, 3)
    with open(stats_path) as file:
        stats = json.load(file)
    first_ms = [(stats[name] or float("nan")) / 1e6 for name in ("first_tick_ns", "first_complete_ns")]
    return {"first tick ms": first_ms[0], "first complete ms": first_ms[1],
            "Ctrl-C to file ms": finished * 1e3, "Ctrl-C to names ms": finished * 1e3}


def time_perf(pid, folder, *call_graph):
    path = f"{folder}/perf.data"
    start_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    process = subprocess.Popen([PERF, "record", "-q", "--buildid-mmap", "-F", "99", "-e", "cpu-clock", "-k", "mono", *call_graph,
                                "-o", path, "-p", str(pid)], stderr=subprocess.DEVNULL)
    finished = interrupt(process, 3)
    script_start = time.monotonic()
    script = subprocess.run([PERF, "script", "-i", path, "-F", "time,ip,sym", "--ns"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    names = time.monotonic() - script_start
    first_ns = int(float(re.search(r"^\s*(\d+\.\d+):", script, re.MULTILINE).group(1)) * 1e9)
    return {"first tick ms": (first_ns - start_ns) / 1e6, "first complete ms": float("nan"),
            "Ctrl-C to file ms": finished * 1e3, "Ctrl-C to names ms": (finished + names) * 1e3}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    tools = {"ebprof": time_ebprof, "perf record -g": lambda *where: time_perf(*where, "-g"),
             "perf record --call-graph dwarf": lambda *where: time_perf(*where, "--call-graph", "dwarf,65528")}
    times = {name: [] for name in tools}
    libraries = thirty_libraries()
    with started("libraries", 60 + 30 * arguments.rounds, *libraries) as target:
        loaded = target.said["libraries"]
        for _ in range(arguments.rounds):
            for name, tool in tools.items():
                with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
                    times[name].append(tool(target.pid, folder))
    columns = list(times["ebprof"][0])
    rows = [[name] + [f"{statistics.median(run[column] for run in runs):.0f} ({max(run[column] for run in runs):.0f})"
                      for column in columns] for name, runs in times.items()]
    print_table(f"From start and from Ctrl-C, ms: median (worst) of {arguments.rounds}, {loaded} libraries, 99 Hz",
                [""] + columns, rows)


if __name__ == "__main__":
    main()
