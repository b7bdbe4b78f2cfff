# SPDX-License-Identifier: Apache-2.0
"""How many stacks are right: each is replayed from its registers and its stack by libdwfl, and compared frame by frame.

    replay.py [--more] [--scale N] [--keep FOLDER] [-n FINDINGS] [NAME...]      names as in the table's first column

For Debian's own programs, at least 5,000 samples each unless the scale is lowered: the share of complete stacks, the
share of those that libdwfl finishes too, and the share of equal ones among the stacks that both finish; then every
finding, that is everything that was not equal. --more adds programs with exceptions, signal handlers, threads, child
processes and deep recursion. Captures that did not fit the ring are a column of their own, and so are stacks that
libdwfl does not finish (in brackets: those that are the same as ours as far as it came). Exit status 1 when the figures
miss their goal.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile

from figures import BUILD, EBPROF, WORKLOADS, percent, print_table, programs, write_c_file, write_text

REPLAY = os.path.join(BUILD, "tests", "replay", "replay")
# libdwfl can't finish these: code without call-frame information, and the stack that a signal handler on another stack
# interrupted. Their chains are known, and the system tests compare them; here both must agree as far as libdwfl comes.
NO_WITNESS = ("jit", "signals altstack")
EXCEPTIONS = os.path.join(BUILD, "tests", "replay", "exceptions")
# A capture takes 72 KiB of the ring, however small the stack was.
RING = "256m"

PERL_PROGRAM = """my (%count, @rows); my $end = (times)[0] + SECONDS;
sub fib { my $n = shift; return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
while ((times)[0] < $end) {
    @rows = map { { size => $_ * 7919 % 1009, name => "row $_" } } 1 .. 500;
    for my $row (sort { $a->{size} <=> $b->{size} || $a->{name} cmp $b->{name} } @rows) {
        my $text = "$row->{name} has $row->{size}"; $text =~ s/(\\d+)/<$1>/g; $count{length $text}++;
    }
    fib(12);
    my $joined = join ',', map { sprintf '%05d', $_ } keys %count; $count{$_}++ for split /,/, $joined;
}
"""


@contextlib.contextmanager
def more_programs(scale):
    """Programs whose stacks are hard in one way or another."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        source, text, perl = (os.path.join(folder, name) for name in ("large.c", "text", "program.pl"))
        write_c_file(source, int(300 * scale))
        write_text(text, int(16e6 * scale))
        with open(perl, "w") as file:
            file.write(PERL_PROGRAM.replace("SECONDS", str(6 * scale)))
        yield {
            "gcc -O2 -c": ["gcc", "-O2", "-pipe", "-c", source, "-o", os.path.join(folder, "large.o")],
            "perl": ["perl", perl],
            "gzip -9": ["gzip", "-9", "-c", text],
            "C++ exceptions": [EXCEPTIONS, str(6 * scale)],
            **{name: [os.path.join(WORKLOADS, name), str(3 * scale)]
               for name in ("threads", "dlopens", "kernel", "names", "shares-static", "shares-debug-frame", "jit")},
            "signals": [os.path.join(WORKLOADS, "signals"), str(3 * scale)],
            "signals altstack": [os.path.join(WORKLOADS, "signals"), str(3 * scale), "altstack"],
            "forks": [os.path.join(WORKLOADS, "forks"), str(int(400 * scale)), "5"],
            "recurse 900 deep": [os.path.join(WORKLOADS, "recurse"), str(3 * scale), "900"],
        }


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


def capture_and_replay(command, *options, rate=999, findings=10, keep=None):
    """Records a command with its stacks and replays them."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-", dir=keep or "/var/tmp") as folder:
        capture, stats = os.path.join(keep or folder, "stacks"), os.path.join(folder, "stats.json")
        subprocess.run([EBPROF, "record", "-q", "-F", str(rate), "--ring", RING, "--as-root", "--max-depth", "1024",
                        "-o", os.path.join(folder, "profile.pb.gz"), "--stats", stats, "--capture-stacks", capture,
                        *map(str, options), "--", *map(str, command)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(stats) as file:
            counters = json.load(file)
        done = subprocess.run([REPLAY, "-n", str(findings), capture], text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"replay {capture}: status {done.returncode}\n{done.stdout}")
        return Result(counters, done.stdout, done.returncode)


def row_of(name, result):
    return [name, result.samples, result.not_captured, percent(result.ours, result.samples),
            percent(result.both, result.ours), percent(result.equal, result.both, 3), result.different,
            f"{result.only_ours} ({result.only_ours_agreeing})",
            percent(result.by_frame_pointer, result.samples), result.line("our incomplete stacks"),
            result.line("libdwfl's unfinished stacks")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--scale", type=float, default=1.5)
    parser.add_argument("--rate", type=int, default=999)
    parser.add_argument("--keep", help="leave the captures in this folder, one for each program")
    parser.add_argument("-n", type=int, default=10, help="findings printed for each program")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    rows, findings, missed = [], [], []
    with programs(arguments.scale) as commands, more_programs(arguments.scale) if arguments.more \
            else contextlib.nullcontext({}) as others:
        for name, command in {**commands, **others}.items():
            if arguments.names and name not in arguments.names:
                continue
            keep = arguments.keep and os.path.join(arguments.keep, re.sub(r"\W+", "-", name))
            if keep:
                os.makedirs(keep, exist_ok=True)
            result = capture_and_replay(command, rate=arguments.rate, findings=arguments.n, keep=keep)
            rows.append(row_of(name, result))
            findings.append(f"--- {name}\n{result.findings}")
            if result.status and not (name in NO_WITNESS and result.agrees):
                missed.append(name)
    print_table(f"Stacks replayed by libdwfl ({arguments.rate} Hz), %",
                ["program", "samples", "not captured", "ours complete", "libdwfl finished of ours", "equal of both",
                 "different", "only ours (agreeing)", "by frame pointer", "the rest of ours",
                 "the rest of libdwfl's"], rows)
    print()
    print("\n".join(findings))
    print(f"below the goal: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
