# SPDX-License-Identifier: Apache-2.0
"""What unwind tables weigh and what compiling them takes: bytes and milliseconds per MiB of text.

    tables.py [--runs N] [FILE...]      more files than the fixed ones

All files are one batch in one process, one after the other. First: the files' pages may still be on disk and the
memory is new; best: of the runs. How soon a recording has its first complete stack is startup.py's to say.
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys

from figures import BUILD, print_table

COMPILE_TABLES = os.path.join(BUILD, "tests", "bench", "compile_tables")
MIB = 1 << 20
# {name: (pattern of its path, package)}. chromium has the largest executable of the distribution.
FILES = {
    "libc": ("/usr/lib/x86_64-linux-gnu/libc.so.6", "libc6"),
    "libcrypto": ("/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "libssl3"),
    "python3": ("/usr/bin/python3.*[0-9]", "python3"),
    "cc1": ("/usr/lib/gcc/x86_64-linux-gnu/*/cc1", "gcc"),
    "node": ("/usr/bin/node", "nodejs"),
    "libLLVM": ("/usr/lib/x86_64-linux-gnu/libLLVM-*.so.1", "libllvm14"),
    "chromium": ("/usr/lib/chromium/chromium", "chromium"),
    "512 MiB made up": (os.path.join(BUILD, "tests", "workloads", "kind_huge-500m"), "made by `make bench`"),
}


def find_files(more):
    """{path: name} of those that are here, and the names of the packages of the others."""
    found, missing = {}, {}
    for name, (pattern, package) in FILES.items():
        paths = sorted(path for path in glob.glob(pattern) if not os.path.islink(path) or name in ("libcrypto", "node"))
        if paths:
            found[os.path.realpath(paths[-1])] = name
        else:
            missing[name] = package
    return {**found, **{path: os.path.basename(path) for path in more}}, missing


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    names, missing = find_files(arguments.files)
    done = subprocess.run([COMPILE_TABLES, str(arguments.runs), *names], text=True, stdout=subprocess.PIPE)
    rows, text_mib, table_bytes = [], 0, 0
    for line in done.stdout.splitlines():
        path, *numbers = line.split("\t")
        if path not in names:
            continue
        text, fdes, _, nr_rows, unsupported, rules, size, first_ns, best_ns = map(int, numbers)
        text_mib += text / MIB
        table_bytes += size
        rows.append([names[path], f"{os.path.getsize(path) / MIB:.1f}", f"{text / MIB:.2f}", fdes, nr_rows, rules,
                     unsupported, f"{size / MIB:.2f}", f"{size / 1024 / (text / MIB):.0f}", f"{first_ns / 1e6:.1f}",
                     f"{best_ns / 1e6:.1f}", f"{best_ns / 1e6 / (text / MIB):.2f}"])
    batch = next(map(int, line.split("\t")[1:]) for line in done.stdout.splitlines() if line.startswith("batch"))
    first_wall, best_wall, first_cpu, best_cpu = (ns / 1e6 for ns in batch)
    rows.append(["all in one batch", "", f"{text_mib:.2f}", "", "", "", "", f"{table_bytes / MIB:.2f}",
                 f"{table_bytes / 1024 / text_mib:.0f}", f"{first_cpu:.1f}", f"{best_cpu:.1f}",
                 f"{best_cpu / text_mib:.2f}"])
    rows += [[name, f"not installed: {package}", *[""] * 10] for name, package in missing.items()]
    print_table(f"Unwind tables, CPU time of one thread, first and best of {arguments.runs} runs",
                ["file", "MiB", "MiB of text", "FDEs", "rows", "rules", "rows unsupported", "table MiB", "KiB per MiB",
                 "first ms", "best ms", "ms per MiB"], rows)
    peak = next(int(line.split("\t")[1]) for line in done.stdout.splitlines() if line.startswith("peak_kib"))
    print(f"batch, wall clock: first {first_wall:.0f} ms, best {best_wall:.0f} ms; peak memory {peak / 1024:.0f} MiB")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
