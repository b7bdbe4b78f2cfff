#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs fuzzers and says how far they got: run.py FOLDER (--seconds N | --runs N) [--keep] [--uncovered] TARGET...

FOLDER is where make put them. Each starts from the seeds, reduced to those that add something; with --keep, inputs that
found new code stay for the next time. Printed are the inputs tried and, of each file that the target is for, the share
of its lines that were reached. An input that fails stays in FOLDER/failed; the exit status is 1 then.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What each is for, and how long an input may be.
TARGETS = {
    "rows": (["symbolize/object.c", "symbolize/cfi_sections.c", "symbolize/unwind.c", "symbolize/unwind_patches.c",
        "symbolize/unwind_rows.c"], 4096),
    "frames": (["symbolize/cfi_entries.c", "symbolize/cfi_program.c", "symbolize/cfi_pointer.c",
        "symbolize/frame_state.c", "symbolize/unwind_rule.c", "symbolize/unwind_rows.c", "symbolize/byte_reader.h"],
        2048),
    "maps": (["userspace/collect/maps.c", "userspace/collect/mappings.c"], 2048),
    "sideband": (["userspace/collect/sideband_decode.c", "userspace/collect/sideband_queue.c"], 8192),
    "walk": (["bpf/walk.h", "bpf/walk_state.h", "bpf/walk_rule.h", "bpf/walk_guess.h"], 2048),
}
TOOLS = os.environ.get("LLVM_VERSION", "-14")


class Result:
    def __init__(self, target):
        self.target = target
        self.runs = self.seconds = 0
        self.failure = ""
        self.lines = {}  # file: {line: times}

    def covered(self, file):
        return sum(1 for times in self.lines[file].values() if times), len(self.lines[file])

    @property
    def share(self):
        parts = [self.covered(file) for file in self.lines]
        return sum(part[0] for part in parts) / max(1, sum(part[1] for part in parts))

    def __str__(self):
        files = ", ".join(f"{os.path.basename(file)} {100 * hit / max(1, of):.1f} %"
            for file in self.lines for hit, of in [self.covered(file)])
        rate = self.runs / max(1, self.seconds)
        text = f"fuzz_{self.target}: {self.runs:,} runs in {self.seconds} s ({rate:,.0f}/s)"
        return f"{text}, lines reached {100 * self.share:.1f} %: {files}"

    def uncovered(self):
        for file, lines in self.lines.items():
            missed = [line for line, times in sorted(lines.items()) if not times]
            if missed:
                with open(os.path.join(ROOT, file)) as source:
                    text = source.read().splitlines()
                for line in missed:
                    yield f"  {file}:{line}: {text[line - 1].strip()}"


def lines_reached(binary, profile, files):
    """{file: {line: times}}, by what clang counted."""
    merged = profile + ".merged"
    subprocess.run([f"llvm-profdata{TOOLS}", "merge", "-sparse", profile, "-o", merged], check=True)
    text = subprocess.run([f"llvm-cov{TOOLS}", "export", "-format=lcov", f"-instr-profile={merged}", binary],
        check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    lines, file = {name: {} for name in files}, None
    for row in text.splitlines():
        if row.startswith("SF:"):
            file = os.path.relpath(os.path.realpath(os.path.join(ROOT, row[3:])), ROOT)
        elif row.startswith("DA:") and file in lines:
            number, times = row[3:].split(",")[:2]
            lines[file][int(number)] = max(int(times), lines[file].get(int(number), 0))
    return lines


def call(binary, *arguments, cwd, profile=None):
    environment = dict(os.environ, LLVM_PROFILE_FILE=profile or os.devnull,
        ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=0", UBSAN_OPTIONS="print_stacktrace=1")
    return subprocess.run([binary, *arguments], cwd=cwd, env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(folder, target, seconds=0, runs=0, keep=False):
    folder = os.path.abspath(folder)
    files, longest = TARGETS[target]
    binary = os.path.join(folder, f"fuzz_{target}")
    kept = os.path.join(folder, "kept", target)
    failed = os.path.join(folder, "failed")
    os.makedirs(kept, exist_ok=True)
    os.makedirs(failed, exist_ok=True)
    result = Result(target)
    limits = [f"-max_len={longest}", "-timeout=10", "-rss_limit_mb=1500", "-malloc_limit_mb=600",
        f"-artifact_prefix={failed}/{target}-"]
    with tempfile.TemporaryDirectory(prefix="ebprof-fuzz-") as scratch:
        corpus, profile = os.path.join(scratch, "corpus"), os.path.join(scratch, "profile")
        os.makedirs(corpus)
        # Each run in a folder of its own: one of them makes files in it.
        for name in ("merge", "run", "reduce"):
            os.makedirs(os.path.join(scratch, name))
        done = call(binary, "-merge=1", *limits, corpus, kept, os.path.join(folder, "seeds", target),
            cwd=os.path.join(scratch, "merge"))
        if not done.returncode:
            end = [f"-runs={runs}"] if runs else [f"-max_total_time={seconds}"]
            done = call(binary, *end, "-print_final_stats=1", *limits, corpus, cwd=os.path.join(scratch, "run"),
                profile=profile)
            result.lines = lines_reached(binary, profile, files) if os.path.exists(profile) else {}
        for name, pattern in [("runs", r"^stat::number_of_executed_units:\s*(\d+)"),
                ("seconds", r"^Done \d+ runs in (\d+) second")]:
            found = re.search(pattern, done.stdout, re.MULTILINE)
            setattr(result, name, int(found.group(1)) if found else 0)
        if done.returncode:
            result.failure = f"{binary}: exit status {done.returncode}\n" + "\n".join(done.stdout.splitlines()[-60:])
        elif keep:
            fresh = os.path.join(scratch, "kept")
            os.makedirs(fresh)
            if not call(binary, "-merge=1", *limits, fresh, corpus, cwd=os.path.join(scratch, "reduce")).returncode:
                shutil.rmtree(kept)
                shutil.copytree(fresh, kept)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--uncovered", action="store_true")
    parser.add_argument("targets", nargs="+", choices=TARGETS)
    options = parser.parse_args()
    status = 0
    for target in options.targets:
        result = run(options.folder, target, options.seconds, options.runs, options.keep)
        print(result, flush=True)
        if options.uncovered:
            print("\n".join(result.uncovered()))
        if result.failure:
            print(result.failure)
            status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
