# SPDX-License-Identifier: Apache-2.0
"""Are all stacks whole, and right? Every program of workloads.py, recorded, replayed by libdwfl, and beside perf.

    stacks.py [--seconds N] [--rate HZ] [--perf-samples N] [--without-perf] [--keep FOLDER] [-n FINDINGS] [--strict]
              [--list] [NAME...]      names as in the table's first column

A program is recorded once with the registers and the stack of each sample. Complete and ended are counted from the
first tick after exec, incomplete stacks in the denominator; the rest is named with its reasons. libdwfl then unwinds the
same bytes: the share of our complete stacks that it finishes too, and of these the share whose frames are all equal.
Stacks that only one of the two finishes are a column of their own (in brackets: those that are the same as far as they
go), and so are captures that did not fit the ring.

perf records the same work with as much of the stack as it can keep. Its stacks are judged from its output by one rule:
the last frame lies in a function whose unwind information says that it has no caller (_start, clone), which is what
"complete" means for ebprof too. It takes minutes to unwind what it kept, so it records at a lower rate, and no more than
--perf-samples are looked at.

A program that is not installed is a row that says so. Goals: 99.9 % complete or ended; equal 99.95 %; libdwfl finishes
95 % of ours, but for those whose truth is known from elsewhere (workloads.NO_WITNESS).
"""

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

from figures import BUILD, EBPROF, PERF, percent, print_table

from workloads import NO_WITNESS, TABLE, prepared

REPLAY = os.path.join(BUILD, "tests", "replay", "replay")
# A capture takes 72 KiB of the ring, however small the stack was.
RING = "256m"
PERF_RATE, PERF_SECONDS = 199, 120
GOALS = {"complete": 99.9, "equal": 99.95, "finished": 95}
HEADER = ["program", "samples", "complete", "ended", "by frame pointer", "guessed", "not captured",
          "libdwfl finished of ours", "equal of both", "different", "only ours (agreeing)", "perf dwarf,65528 complete",
          "the rest of ours", "the rest of libdwfl's"]


@functools.lru_cache(maxsize=None)
def root_pages(path):
    """
    Offsets within a page of all code in functions whose return address is undefined, and of the entry point: enough to
    know a root again wherever the file is mapped, as loading moves code by whole pages.
    """
    if not os.path.exists(path):
        return set()
    listing = subprocess.run(["readelf", "-h", "--debug-dump=frames", path], text=True, errors="replace",
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    entry = int(re.search(r"Entry point address:\s+(0x[0-9a-f]+)", listing).group(1), 16)
    offsets = {address & 0xfff for address in range(entry, entry + 0x40)} if entry else set()
    kinds = set()  # offsets of the CIEs that say it for all of their functions
    cie, start, end = None, 0, 0
    for line in listing.splitlines():
        common = re.match(r"([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ CIE", line)
        function = re.search(r" FDE cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+)", line)
        if common:
            cie, start, end = int(common.group(1), 16), 0, 0
        elif function:
            cie, start, end = (int(number, 16) for number in function.groups())
        if "DW_CFA_undefined: r16" in line and not end:
            kinds.add(cie)
        if "DW_CFA_undefined: r16" in line or function and cie in kinds:
            offsets.update(address & 0xfff for address in range(start, end))
    return offsets


def judge_perf(lines, nr_max):
    """(samples, complete ones) of perf script's output with -F ip,sym,dso, of the first nr_max samples."""
    samples = complete = 0
    last = None
    for line in lines:
        frame = re.match(r"\s*([0-9a-f]+) .*\((.*)\)$", line)
        if frame:
            last = int(frame.group(1), 16), frame.group(2)
        elif last and not line.strip():
            samples += 1
            complete += last[0] < 1 << 47 and last[0] & 0xfff in root_pages(last[1])
            last = None
            if samples >= nr_max:
                break
    return samples, complete


def run_perf(command, nr_max):
    """As judge_perf; what can't be said within PERF_SECONDS isn't counted."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-", dir="/var/tmp") as folder:
        path = f"{folder}/perf.data"
        # Without build-ids from the kernel, 6.1's perf reads them from the files and aborts when it does.
        subprocess.run([PERF, "record", "-q", "--buildid-mmap", "-F", str(PERF_RATE), "-e", "cpu-clock", "-m", "16M",
                        "--call-graph", "dwarf,65528", "-o", path, "--", *command], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        script = subprocess.Popen([PERF, "script", "-i", path, "-F", "comm,ip,sym,dso", "--no-inline", "--max-stack",
                                   "1024"], text=True, errors="replace", stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        limit = threading.Timer(PERF_SECONDS, script.kill)
        limit.start()
        try:
            return judge_perf(script.stdout, nr_max)
        finally:
            limit.cancel()
            script.kill()
            script.stdout.close()
            script.wait()


class Result:
    """What replay said of one capture, and the counters of the recording that made it."""

    def __init__(self, stats, text, status):
        self.stats = stats
        self.text = text
        self.status = status
        total = re.search(r"^total: .*$", text, re.MULTILINE)
        self.counts = {name: int(value) for name, value in re.findall(r"([a-z][a-z ]*?) (\d+)[,;]", total.group(0))}
        self.samples, self.equal, self.different = (self.counts[name] for name in ("samples", "equal", "different"))
        self.only_ours, self.only_libdwfl = self.counts["only ours"], self.counts["only libdwfl"]
        self.both = self.equal + self.different
        self.ours = self.both + self.only_ours
        self.only_ours_agreeing = int(re.search(r"agreeing as far as they go: only ours (\d+)", text).group(1))
        self.by_frame_pointer = int(re.search(r"with frames by frame pointer (\d+)", text).group(1))

    def line(self, start):
        return re.search(rf"^{re.escape(start)}:?(.*)$", self.text, re.MULTILINE).group(1).strip() or "-"

    @property
    def agrees(self):
        return not self.different and self.only_ours == self.only_ours_agreeing

    @property
    def findings(self):
        """Everything before the lines of totals."""
        return self.text.split("our incomplete stacks:")[0]

    @property
    def not_captured(self):
        return self.stats["counters"]["capture_failed"]


    @property
    def reasons(self):
        """Why the rest of our stacks ended where they did, the most frequent first."""
        good = ("user_complete", "user_ended", "user_absent", "user_frames")
        ends = {name[len("user_"):]: value for name, value in self.stats["counters"].items()
                if name.startswith("user_") and value and name not in good}
        return ", ".join(f"{name} {value}" for name, value in sorted(ends.items(), key=lambda end: -end[1])) or "-"


def capture_and_replay(command, rate, findings, keep):
    """Records a command with its stacks and replays them."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-", dir=keep or "/var/tmp") as folder:
        capture, stats = os.path.join(keep or folder, "stacks"), os.path.join(folder, "stats.json")
        subprocess.run([EBPROF, "record", "-q", "-F", str(rate), "--ring", RING, "--as-root", "--max-depth", "1024",
                        "-o", os.path.join(folder, "profile.pb.gz"), "--stats", stats, "--capture-stacks", capture,
                        "--", *command],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(stats) as file:
            counters = json.load(file)
        done = subprocess.run([REPLAY, "-n", str(findings), capture], text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"replay {capture}: status {done.returncode}\n{done.stdout}")
        return Result(counters, done.stdout, done.returncode)


def misses(name, result):
    """Which goals a program misses."""
    stats = result.stats
    found = []
    if 100 * (stats["complete"] + stats["ended"]) < GOALS["complete"] * stats["user_stacks"]:
        found.append("complete")
    if 100 * result.equal < GOALS["equal"] * result.both:
        found.append("equal")
    if 100 * result.both < GOALS["finished"] * result.ours and not (name in NO_WITNESS and result.agrees):
        found.append("finished")
    return found


def row_of(name, result, perf):
    stats = result.stats
    share = functools.partial(percent, whole=stats["user_stacks"])
    return [name, stats["samples"], share(stats["complete"]), share(stats["ended"]), share(stats["by_frame_pointer"]),
            share(stats["counters"].get("guessed_stacks", 0)), result.not_captured, percent(result.both, result.ours),
            percent(result.equal, result.both, 3), result.different,
            f"{result.only_ours} ({result.only_ours_agreeing})", perf, result.reasons,
            result.line("libdwfl's unfinished stacks")]


def measure(row, arguments):
    """(the table's row, what replay found, the goals missed) of one program."""
    if row.is_missing:
        return [row.name, f"not installed: {row.package or ' '.join(row.needs)}", *["-"] * (len(HEADER) - 2)], "", []
    keep = arguments.keep and os.path.join(arguments.keep, re.sub(r"\W+", "-", row.name))
    if keep:
        os.makedirs(keep, exist_ok=True)
    with prepared(row, arguments.seconds) as command:
        result = capture_and_replay(command, arguments.rate, arguments.n, keep)
    perf = "-"
    if not arguments.without_perf:
        # Again from the start: some programs change their input.
        with prepared(row, arguments.seconds) as command:
            samples, complete = run_perf(command, arguments.perf_samples)
        perf = f"{percent(complete, samples, 1)} of {samples}" if samples else "perf said nothing"
    return row_of(row.name, result, perf), result.findings, misses(row.name, result)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rate", type=int, default=999)
    parser.add_argument("--perf-samples", type=int, default=400)
    parser.add_argument("--without-perf", action="store_true")
    parser.add_argument("--keep", help="leave the captures in this folder, one for each program")
    parser.add_argument("-n", type=int, default=10, help="findings printed for each program")
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a goal is missed")
    parser.add_argument("--list", action="store_true", help="print the programs' names")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(row.name for row in TABLE))
        return 0
    rows, findings, missed = [], [], []
    for row in TABLE:
        if arguments.names and row.name not in arguments.names:
            continue
        cells, found, goals = measure(row, arguments)
        print("  ".join(map(str, cells)), file=sys.stderr, flush=True)
        rows.append(cells)
        findings += [f"--- {row.name}\n{found}"] if found else []
        missed += [f"{row.name} ({', '.join(goals)})"] if goals else []
    print_table(f"User stacks at {arguments.rate} Hz, replayed by libdwfl, %", HEADER, rows)
    print()
    print("\n".join(findings))
    print(f"below a goal: {'; '.join(missed) or 'none'}")
    return 1 if missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
