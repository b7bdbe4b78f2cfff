# SPDX-License-Identifier: Apache-2.0
"""Do rows made from Go's function table say what Go's DWARF says?

    compare_debug_frame.py ROWS_DUMP FILE...

Go writes .debug_frame for debuggers, in programs that are not stripped. For every row that readelf prints, the rule at
that address has the same distance from rsp to the CFA; rbp is unchanged without a frame and else, if it is saved, below
the return address. Only where DWARF knows no better is another rule allowed, and then this one: functions that begin a
stack are roots, and those that change stacks go by rbp, by what they saved, or say that they can't be followed.
"""

import bisect
import re
import subprocess
import sys

ROOT = r"root"
FRAME = r"rbp\+\d+  rbp c-\d+  ra c-8  rbx lost"
DIFFERENT = {
    "runtime.goexit": ROOT, "runtime.mstart": ROOT, "runtime.rt0_go": ROOT, "_rt0_amd64": ROOT, "_rt0_amd64_linux": ROOT,
    "runtime.mcall": ROOT, "gogo": ROOT, "runtime.gogo": ROOT, "runtime.clone": ROOT,
    "runtime.sigreturn": "signal", "runtime.sigreturn__sigaction": "signal",
    "runtime.morestack": "goroutine",
    "runtime.systemstack": f"goroutine|{FRAME}",
    "runtime.asmcgocall": rf"goroutine|stack top|{FRAME}|rdx\+8  .*|\*\(rsp\+\d+\)\+8  .*",
    "runtime.cgocallback": FRAME, "runtime.nanotime1": FRAME, "time.now": FRAME, "runtime.walltime": FRAME,
    "runtime.vgetrandom1": FRAME, "runtime.callCgoMmap": FRAME, "runtime.callCgoMunmap": FRAME,
    "runtime.callCgoSigaction": FRAME, "runtime.sigfwd": f"{FRAME}|unsupported",
    "runtime.switchToCrashStack0": f"{FRAME}|unsupported",
    "syscall.rawVforkSyscall": r"rsp\+0  rbp same  ra r12\+0  rbx lost",
}


def run(*arguments):
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def read_rows(rows_dump, path):
    """Sorted addresses and the rules from there on."""
    rows = {}
    for line in run(rows_dump, path).splitlines():
        match = re.match(r"^([0-9a-f]{16})[ +](.*)$", line)
        if match:
            rows[int(match.group(1), 16)] = match.group(2)
    starts = sorted(rows)
    return starts, [rows[start] for start in starts]


def read_functions(path):
    """Sorted addresses and names; variants by calling convention have the function's name."""
    functions = {}
    for line in run("nm", path).splitlines():
        match = re.match(r"^([0-9a-f]+) [tT] (\S+)$", line)
        if match and not match.group(2).startswith("runtime.text"):
            functions[int(match.group(1), 16)] = match.group(2).removesuffix(".abi0")
    starts = sorted(functions)
    return starts, [functions[start] for start in starts]


def read_frames(path):
    """(address, distance from rsp to the CFA) as readelf prints them, of .debug_frame alone."""
    text = run("readelf", "-W", "--debug-dump=frames-interp", path)
    text = text[text.index("Contents of the .debug_frame section"):]
    for match in re.finditer(r"^([0-9a-f]{16}) rsp\+(\d+)\s", text, re.MULTILINE):
        # Linkers leave an entry for nothing at the section's end.
        if int(match.group(1), 16):
            yield int(match.group(1), 16), int(match.group(2))


def look_up(table, address):
    place = bisect.bisect_right(table[0], address) - 1
    return table[1][place] if place >= 0 else ""


def is_same(rule, distance):
    match = re.match(r"^rsp\+(\d+)  rbp (same|c-(\d+))  ra c-8  rbx lost$", rule)
    if not match or int(match.group(1)) != distance:
        return False
    return match.group(2) == "same" or 16 <= int(match.group(3)) <= distance


def compare(rows_dump, path):
    """Numbers of rows that are equal, different as they should be, and different."""
    rows, functions = read_rows(rows_dump, path), read_functions(path)
    equal = expected = 0
    wrong = []
    # A row that the next one replaces at the same address says nothing.
    for address, distance in dict(read_frames(path)).items():
        rule, name = look_up(rows, address), look_up(functions, address)
        if is_same(rule, distance):
            equal += 1
        elif re.fullmatch(DIFFERENT.get(name, "never"), rule):
            expected += 1
        else:
            wrong.append((hex(address), name, distance, rule))
    for line in wrong[:10]:
        print(path, *line)
    return equal, expected, len(wrong)


def main():
    equal, expected, wrong = map(sum, zip(*(compare(sys.argv[1], path) for path in sys.argv[2:])))
    print(f"{len(sys.argv) - 2} files, {equal + expected + wrong} rows compared, {equal} equal, {expected} known better, "
        f"{wrong} different")
    sys.exit(wrong or not equal or not expected)


main()
