# SPDX-License-Identifier: Apache-2.0
"""How many stacks reach their root: ebprof, perf -g and perf --call-graph dwarf on Debian's own programs.

    completeness.py [--without-perf] [--scale N] [NAME...]      names as in the table's first column

ebprof counts from the first tick after exec, incomplete stacks in the denominator. perf's stacks are judged from its
output by one rule: the last frame lies in a function whose unwind information says that it has no caller (_start,
clone), which is what "complete" means for ebprof too.
"""

import argparse
import functools
import os
import re
import subprocess
import tempfile

from figures import PERF, percent, print_table, programs, record


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


def judge_perf(script):
    """(samples, complete ones) of perf script's output with -F ip,dso."""
    samples = complete = 0
    for block in re.split(r"\n\s*\n", script):
        frames = re.findall(r"^\s*([0-9a-f]+) .*\((.*)\)$", block, re.MULTILINE)
        if not frames:
            continue
        samples += 1
        address, file = int(frames[-1][0], 16), frames[-1][1]
        complete += address < 1 << 47 and address & 0xfff in root_pages(file)
    return samples, complete


def run_perf(command, *call_graph):
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-", dir="/var/tmp") as folder:
        path = f"{folder}/perf.data"
        # Without -B, 6.1's perf aborts now and then when it looks up build-ids at the end.
        subprocess.run([PERF, "record", "-q", "-B", "-F", "999", "-e", "cpu-clock", "-m", "16M", *call_graph,
                        "-o", path, "--", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        script = subprocess.run([PERF, "script", "-i", path, "-F", "comm,ip,sym,dso", "--no-inline", "--max-stack",
                                 "1024"], text=True, errors="replace", stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL).stdout
        return judge_perf(script)


def reasons_of(stats):
    ends = {name[len("user_"):]: value for name, value in stats["counters"].items()
            if name.startswith("user_") and value and name not in ("user_complete", "user_absent", "user_frames")}
    return ", ".join(f"{name} {value}" for name, value in sorted(ends.items(), key=lambda item: -item[1])) or "-"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--without-perf", action="store_true")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    rows = []
    with programs(arguments.scale) as commands:
        for name, command in commands.items():
            if arguments.names and name not in arguments.names:
                continue
            stats = record(command)
            row = [name, stats["samples"], percent(stats["complete"], stats["user_stacks"]),
                   percent(stats["by_frame_pointer"], stats["user_stacks"]), stats["lost"]]
            for call_graph in (["-g"], ["--call-graph", "dwarf,65528"]):
                if arguments.without_perf:
                    row.append("-")
                    continue
                samples, complete = run_perf(command, *call_graph)
                row.append(f"{percent(complete, samples)} of {samples}")
            rows.append(row + [reasons_of(stats)])
    print_table("Complete user stacks, % (999 Hz)",
                ["program", "samples", "ebprof", "by frame pointer", "lost", "perf -g", "perf dwarf,65528",
                 "the rest of ebprof's"], rows)


if __name__ == "__main__":
    main()
