# SPDX-License-Identifier: Apache-2.0
"""What a sample costs in the kernel: ebprof's walk without frame pointers beside bpf_get_stack() along them and beside
OpenTelemetry's profiler, which walks without them too.

    cost.py [--only warm|mixed|cold] [--depth FRAMES,...] [--rounds N] [--seconds N] [--memory KIB]
            [--spread] [--build NAME=FOLDER]... [--together] [--programs]

One program calls itself FRAMES deep, built without frame pointers and, for bpf_get_stack(), with them. It is pinned to
one CPU at the highest priority, so that hardly anything else is sampled there. The kernel adds up the run time of each
BPF program (kernel.bpf_stats_enabled). Ticks of other processes and of idle CPUs are runs too: what such a tick costs is
measured with a sleeping target and taken off.

Warm: 4,999 Hz and nothing but the loop in the caches. Mixed: 4,999 Hz, and the program walks through more memory than
the caches hold, as real ones do. Cold: 99 Hz and such a program, so that each sample finds hardly anything of the
last one: what a profile in production costs.

The ladder's ten functions lie side by side and share their lines of the tables. --spread takes one of forty functions,
each in a page of its own: the other end, where nearly every frame of a stack needs other tables than the one before.

In a round every rival takes its turn, so a disturbance of the machine hits all of them; a cell shows the median of the
rounds, the range in brackets. The ratio is the median of the rounds' own ratios. Goals: 0.35 times OpenTelemetry's and,
at 30 frames, 1.2 times (warm) or 2 times (cold) bpf_get_stack()'s.

--build adds other builds of ebprof, to compare variants of the walker. --together lets all tools but OpenTelemetry's
sample one and the same process at the same time, with frame pointers for bpf_get_stack() and call-frame information for
ebprof: differences of some percent show within a minute on a busy machine, as in `cost.py --together --only cold --depth
30 --build base=FOLDER`. Absolute times are lower then, since one tick warms kernel code for the next. --programs takes
real programs in place of the ladder of calls.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

import otel

from figures import (EBPROF, GET_STACK, WORKLOADS, await_runs, perf_event_times, print_table, started, sysctl)

from workloads import prepared, row_named

CPU = os.cpu_count() - 1
PINNED = ["nice", "-n", "-20", "taskset", "-c", str(CPU)]
SETTINGS = {"warm": (4999, False), "mixed": (4999, True), "cold": (99, True)}
GOALS = {"OpenTelemetry": dict.fromkeys(SETTINGS, 0.35),
         "bpf_get_stack": {"warm": 1.2, "mixed": 1.2, "cold": 2}}


class Cost:
    """What one run measured of a tool's programs in the kernel."""

    def __init__(self, run_time_ns, runs, samples, frames=float("nan")):
        self.run_time_ns, self.runs, self.samples, self.frames = run_time_ns, runs, samples, frames

    def per_sample(self, other_ns):
        if not self.samples:
            return float("nan")
        return (self.run_time_ns - other_ns * (self.runs - self.samples)) / self.samples

    @property
    def depth(self):
        return self.frames / self.samples if self.samples else 0


class OnDemand:
    """Begins with each measurement: nothing has to run beforehand."""

    def measure(self, pid, rate, seconds):
        with self.recording(pid, rate) as finish:
            time.sleep(seconds)
            return finish()

    def begin(self, rate):
        return contextlib.nullcontext(self.measure)


class Ebprof(OnDemand):
    needs_frame_pointers = False

    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def recording(self, pid, rate):
        """Samples a process; yields what gives the cost so far and ends it."""
        with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
            process = subprocess.Popen(["nice", "-n", "-20", self.path, "record", "-q", "-F", str(rate), "-o",
                                        "/dev/null", "--stats", f"{folder}/stats.json", "-p", str(pid)])

            def finish():
                # The program counts on while it is asked: what is read here is scaled to the whole below.
                run_time_ns, runs = perf_event_times(process.pid)
                process.send_signal(signal.SIGINT)
                process.wait()
                with open(f"{folder}/stats.json") as file:
                    stats = json.load(file)
                share = runs / stats["runs"] if stats["runs"] else 0
                return Cost(run_time_ns, runs, stats["samples"] * share, stats["counters"]["user_frames"] * share)

            try:
                if not await_runs(process):
                    raise RuntimeError(f"{self.path} did not begin")
                yield finish
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()


class GetStack(OnDemand):
    needs_frame_pointers = True

    @contextlib.contextmanager
    def recording(self, pid, rate):
        """As Ebprof.recording()."""
        process = subprocess.Popen(["nice", "-n", "-20", GET_STACK, str(pid), str(rate)], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def finish():
            text, _ = process.communicate("")
            said = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}
            return Cost(said["run_time_ns"], said["runs"], said["samples"], said["frames"])

        try:
            if not await_runs(process):
                raise RuntimeError(f"{GET_STACK} did not begin")
            yield finish
        finally:
            process.kill()
            process.wait()


class OpenTelemetry:
    """Every run of its program is a sample, whoever it is of: the workload has the CPU to itself."""

    needs_frame_pointers = False
    settle_seconds = 4  # until it has a new process's tables, measured from the cost of its samples

    @contextlib.contextmanager
    def begin(self, rate):
        with otel.running(rate, CPU) as agent:
            def measure(_pid, _rate, seconds):
                time.sleep(self.settle_seconds)
                run_time_ns, runs, frames = otel.measure(agent, seconds)
                return Cost(run_time_ns, runs, runs, frames)

            yield measure


def pinned(*arguments):
    return started("/usr/bin/nice", *PINNED[1:], *arguments)


def measure_others(tools, rate, seconds):
    """What a tick of another process costs: with a target that sleeps, every tick is one."""
    costs = {name: 0.0 for name in tools}
    with started("sleeper", 600) as target:
        for name, tool in tools.items():
            if not isinstance(tool, OpenTelemetry):
                with tool.begin(rate) as measure:
                    cost = measure(target.pid, rate, seconds)
                costs[name] = cost.run_time_ns / cost.runs
    return costs


def workload_of(tool, arguments):
    return "-".join(["depth", *["spread"] * arguments.spread, *["frame-pointer"] * tool.needs_frame_pointers])


def measure_ladder(tools, setting, arguments):
    """{(tool, frames): [(ns per sample, frames per sample) of each round]}, {tool: ns of other ticks}"""
    rate, has_memory = SETTINGS[setting]
    memory = arguments.memory if has_memory else 0
    seconds = arguments.seconds * (4 if rate < 1000 else 1)
    others = measure_others(tools, rate, seconds)
    found = {}
    for _ in range(arguments.rounds):
        for name, tool in tools.items():
            with tool.begin(rate) as measure:
                for frames in arguments.depth:
                    with pinned(os.path.join(WORKLOADS, workload_of(tool, arguments)), 600, frames, memory) as target:
                        cost = measure(target.pid, rate, seconds)
                    found.setdefault((name, frames), []).append((cost.per_sample(others[name]), cost.depth))
    return found, others


def measure_together(tools, setting, arguments):
    """As measure_ladder(), of one process that all tools sample at the same time."""
    rate, has_memory = SETTINGS[setting]
    seconds = arguments.seconds * (4 if rate < 1000 else 1)

    def measure(target):
        with contextlib.ExitStack() as stack:
            finishes = {name: stack.enter_context(tool.recording(target.pid, rate)) for name, tool in tools.items()}
            time.sleep(seconds)
            return {name: finish() for name, finish in finishes.items()}

    with started("sleeper", 600) as target:
        others = {name: cost.run_time_ns / cost.runs for name, cost in measure(target).items()}
    workload = os.path.join(WORKLOADS, "depth-spread-frame-pointer" if arguments.spread else "depth-frame-pointer")
    found = {}
    for _ in range(arguments.rounds):
        for frames in arguments.depth:
            with pinned(workload, 600, frames, arguments.memory if has_memory else 0) as target:
                for name, cost in measure(target).items():
                    found.setdefault((name, frames), []).append((cost.per_sample(others[name]), cost.depth))
    return found, others


def with_range(values, digits=0):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def slope(points):
    """(fixed, per frame) by least squares over (frames, ns)."""
    line = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return line.intercept, line.slope


def ratio_cell(ours, theirs, goal):
    """The rounds' ratios, and whether their median meets the goal."""
    ratios = [a[0] / b[0] for a, b in zip(ours, theirs)]
    verdict = "" if goal is None else " ok" if statistics.median(ratios) <= goal else f" > {goal:g}"
    return with_range(ratios, 2) + verdict


def print_ladder(setting, tools, found, others, arguments):
    rate, has_memory = SETTINGS[setting]
    rivals = [name for name in tools if name != "ebprof"]
    rows = []
    for frames in arguments.depth:
        ours = found["ebprof", frames]
        for name in tools:
            cells = found[name, frames]
            ns, depth = [cell[0] for cell in cells], statistics.median(cell[1] for cell in cells)
            goal = GOALS.get(name, {}).get(setting) if name == "OpenTelemetry" or frames == 30 else None
            rows.append([name, frames, f"{depth:.0f}", with_range(ns), f"{statistics.median(ns) / depth:.0f}" if depth else "-",
                         "" if name == "ebprof" else ratio_cell(ours, cells, goal)])
    print_table(f"{setting}: {rate} Hz, working set {arguments.memory >> 10 if has_memory else 0} MiB: BPF run time per "
                f"sample, median (range) of {arguments.rounds} rounds",
                ["", "frames", "walked", "ns per sample", "ns per frame", "ebprof's / this"], rows)
    lines = [f"{name} {others[name]:.0f}" for name in tools if others[name]]
    print(f"ns of a tick of another process: {', '.join(lines)}")
    if len(arguments.depth) > 1:
        for name in ["ebprof", *rivals]:
            fixed, each = slope([(statistics.median(cell[1] for cell in found[name, frames]),
                                  statistics.median(cell[0] for cell in found[name, frames]))
                                 for frames in arguments.depth])
            print(f"{name}: {fixed:.0f} ns + {each:.0f} ns for each frame")


@contextlib.contextmanager
def running_program(command):
    """A real program on the measured CPU; past its start when it is handed out."""
    process = subprocess.Popen([*PINNED, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield process
    finally:
        process.kill()
        process.wait()


PROGRAMS = ("cc1 -O2", "sqlite3 aggregate", "python3", "perl", "git gc")


def measure_programs(tools, arguments):
    """Real programs, whose code, stacks and working sets are as they are; 99 Hz. They have no frame pointers."""
    rows = []
    seconds = arguments.seconds * 4
    others = measure_others(tools, 99, seconds)
    found = {}
    with contextlib.ExitStack() as stack:
        commands = {name: stack.enter_context(prepared(row_named(name), 3 * seconds + 5)) for name in PROGRAMS}
        for _ in range(arguments.rounds):
            for name, tool in tools.items():
                with tool.begin(99) as measure:
                    for program, command in commands.items():
                        with running_program(command) as process:
                            cost = measure(process.pid, 99, seconds)
                        if cost.samples:
                            found.setdefault((name, program), []).append((cost.per_sample(others[name]), cost.depth))
    for (name, program), cells in sorted(found.items(), key=lambda item: item[0][1]):
        depth = statistics.median(cell[1] for cell in cells)
        rows.append([program, name, f"{depth:.0f}", with_range([cell[0] for cell in cells]),
                     "" if name == "ebprof" else
                     ratio_cell(found["ebprof", program], cells, GOALS.get(name, {}).get("cold"))])
    print_table(f"real programs: 99 Hz: BPF run time per sample, median (range) of {arguments.rounds} rounds",
                ["program", "", "walked", "ns per sample", "ebprof's / this"], rows)


def choose_tools(arguments):
    tools = {"ebprof": Ebprof(EBPROF)}
    for build in arguments.build:
        name, folder = build.split("=", 1)
        tools[name] = Ebprof(os.path.join(folder, "ebprof"))
    if not arguments.programs:
        tools["bpf_get_stack"] = GetStack()
    if arguments.together:
        pass
    elif otel.OTEL:
        tools["OpenTelemetry"] = OpenTelemetry()
    else:
        print(f"OpenTelemetry: {otel.NOT_MEASURED}")
    for name in arguments.without.split(","):
        tools.pop(name, None)
    return tools


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=SETTINGS)
    parser.add_argument("--depth", type=lambda text: [int(word) for word in text.split(",")],
                        default=[10, 30, 100, 300])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=32 << 10)
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--build", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--without", default="", help="rivals to leave out, with commas")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--programs", action="store_true")
    arguments = parser.parse_args()
    tools = choose_tools(arguments)
    with sysctl("kernel.bpf_stats_enabled", 1):
        if arguments.programs:
            measure_programs(tools, arguments)
            return
        for setting in [arguments.only] if arguments.only else SETTINGS:
            measure = measure_together if arguments.together else measure_ladder
            found, others = measure(tools, setting, arguments)
            print_ladder(setting, tools, found, others, arguments)


if __name__ == "__main__":
    main()
