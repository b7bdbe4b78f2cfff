# SPDX-License-Identifier: Apache-2.0
"""Is sampled CPU time the CPU time? A pinned job of 20 CPU seconds against what the kernel charged it (getrusage).

    totals.py [--seconds N] [--cpu N]

perf samples the same kind of job in the same run. Time that the machine's host took (steal) is printed: a tick that
falls into it comes late or not at all.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile

from figures import EBPROF, PERF, WORKLOADS, print_table, steal_seconds


def truth_seconds(text):
    return int(re.search(r"^rusage_us (\d+)$", text, re.MULTILINE).group(1)) / 1e6


def run_ebprof(job, rate):
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        done = subprocess.run([EBPROF, "record", "-q", "-F", str(rate), "-o", f"{folder}/profile.pb.gz", "--as-root",
                               "--stats", f"{folder}/stats.json", "--", *job], text=True, check=True,
                              stdout=subprocess.PIPE)
        with open(f"{folder}/stats.json") as file:
            stats = json.load(file)
    return stats["samples"] * stats["period_ns"] / 1e9, truth_seconds(done.stdout), stats["unexplained"]


def run_perf(job, rate):
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        path = f"{folder}/perf.data"
        done = subprocess.run([PERF, "record", "-q", "--buildid-mmap", "-e", "cpu-clock", "-F", str(rate), "-o", path, "--", *job],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        script = subprocess.run([PERF, "script", "-i", path, "-F", "period"], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL).stdout
    return sum(map(int, script.split())) / 1e9, truth_seconds(done.stdout), "-"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--cpu", type=int, default=os.cpu_count() - 1)
    arguments = parser.parse_args()
    job = ["taskset", "-c", str(arguments.cpu), os.path.join(WORKLOADS, "shares"), str(arguments.seconds)]
    rows = []
    for rate in (99, 999):
        for name, run in (("ebprof", run_ebprof), ("perf record", run_perf)):
            steal = steal_seconds()
            sampled, charged, unexplained = run(job, rate)
            rows.append([name, rate, f"{sampled:.3f}", f"{charged:.3f}", f"{100 * (sampled / charged - 1):+.2f}",
                         unexplained, f"{steal_seconds() - steal:.2f}"])
    print_table(f"Sampled CPU time of a pinned job of {arguments.seconds:g} CPU seconds",
                ["", "Hz", "sampled s", "getrusage s", "difference %", "unexplained ticks", "steal s"], rows)


if __name__ == "__main__":
    main()
