# SPDX-License-Identifier: Apache-2.0
"""What a sample costs in the kernel: ebprof's walk without frame pointers beside bpf_get_stack() along them.

    cost.py [--seconds N] [--rounds N] [--memory KIB]

The same program twice, built without and with frame pointers, 10, 30 and 100 frames deep, pinned to one CPU. The kernel
adds up the run time of each BPF program (kernel.bpf_stats_enabled); ticks of other processes and of idle CPUs are runs
too, so what such a tick costs is measured with a sleeping target and taken off. Warm: 4,999 Hz. Cold: 99 Hz, and the
program walks through more memory than the caches hold, as real ones do.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

from figures import EBPROF, GET_STACK, WORKLOADS, print_table, started, sysctl

from harness import bpf_ids

BPFTOOL = "/usr/sbin/bpftool" if os.path.exists("/usr/sbin/bpftool") else "bpftool"


def program_times(pid):
    """(run time in ns, runs) of the perf_event programs that a process holds."""
    run_time_ns = runs = 0
    for program in bpf_ids(pid)["prog"]:
        listing = subprocess.run([BPFTOOL, "-j", "prog", "show", "id", str(program)], stdout=subprocess.PIPE).stdout
        shown = json.loads(listing or b"{}")
        if shown.get("type") == "perf_event":
            run_time_ns += shown.get("run_time_ns", 0)
            runs += shown.get("run_cnt", 0)
    return run_time_ns, runs


def run_ebprof(pid, rate, seconds):
    """(run time in ns, runs, samples, frames)"""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        process = subprocess.Popen([EBPROF, "record", "-q", "-F", str(rate), "-o", "/dev/null", "--stats",
                                    f"{folder}/stats.json", "-p", str(pid)])
        time.sleep(seconds + 0.5)
        # The program counts on while it is asked: what is read here is scaled to the whole below.
        run_time_ns, runs = program_times(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait()
        with open(f"{folder}/stats.json") as file:
            stats = json.load(file)
    share = runs / stats["runs"] if stats["runs"] else 0
    return run_time_ns, runs, stats["samples"] * share, stats["counters"]["user_frames"] * share


def run_get_stack(pid, rate, seconds):
    done = subprocess.run([GET_STACK, str(pid), str(rate), str(seconds)], text=True, check=True, stdout=subprocess.PIPE)
    said = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", done.stdout, re.MULTILINE)}
    return said["run_time_ns"], said["runs"], said["samples"], said["frames"]


def cost_per_sample(measured, other_ns):
    """ns per sample and user frames per sample."""
    run_time_ns, runs, samples, frames = measured
    if not samples:
        return float("nan"), float("nan")
    return (run_time_ns - other_ns * (runs - samples)) / samples, frames / samples


def on_cpu(workload, *arguments):
    cpu = str(os.cpu_count() - 1)
    return started("/usr/bin/taskset", "-c", cpu, os.path.join(WORKLOADS, workload), *arguments)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=32 << 10)
    arguments = parser.parse_args()
    tools = {"ebprof": (run_ebprof, "depth"), "bpf_get_stack": (run_get_stack, "depth-frame-pointer")}
    rows = []
    with sysctl("kernel.bpf_stats_enabled", 1):
        for rate, memory in ((4999, 0), (4999, arguments.memory), (99, arguments.memory)):
            seconds = arguments.seconds * (4 if rate < 1000 else 1)
            other_ns = {}
            with started("sleeper", 600) as target:
                for name, (run, _) in tools.items():
                    run_time_ns, runs, _, _ = run(target.pid, rate, seconds)
                    other_ns[name] = run_time_ns / runs
            for frames in (10, 30, 100):
                costs = {name: [] for name in tools}
                depths = {}
                for _ in range(arguments.rounds):
                    for name, (run, workload) in tools.items():
                        with on_cpu(workload, 600, frames, memory) as target:
                            cost, depths[name] = cost_per_sample(run(target.pid, rate, seconds), other_ns[name])
                            costs[name].append(cost)
                ours, theirs = (statistics.median(costs[name]) for name in ("ebprof", "bpf_get_stack"))
                rows.append([f"{rate} Hz, {memory >> 10} MiB", frames, f"{depths['ebprof']:.0f}", f"{ours:.0f}",
                             f"{ours / depths['ebprof']:.0f}", f"{depths['bpf_get_stack']:.0f}", f"{theirs:.0f}",
                             f"{ours / theirs:.2f}", f"{other_ns['ebprof']:.0f} / {other_ns['bpf_get_stack']:.0f}"])
    print_table(f"BPF run time per sample, median of {arguments.rounds}",
                ["rate, working set", "frames", "ebprof's", "ns per sample", "ns per frame", "bpf_get_stack's",
                 "ns per sample", "ratio", "other ticks ns"], rows)


if __name__ == "__main__":
    main()
