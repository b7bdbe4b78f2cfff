# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: the programs that are profiled, ebprof and perf as a person runs them, and tables.

Every table compares within one run on one machine: ratios travel, times do not.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
from harness import BUILD, EBPROF, WORKLOADS, bpf_ids, sample_rate_limit, started, sysctl  # noqa: E402,F401

PERF = "perf"
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/sbin:" + os.environ.get("PATH", ""))
GET_STACK = os.path.join(BUILD, "tests", "bench", "get_stack")


def print_table(title, header, rows):
    """Columns as wide as they need to be; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [header] + rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                        for column, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def percent(part, whole, digits=2):
    return f"{100 * part / whole:.{digits}f}" if whole else "-"


def record(command, *options, rate=999):
    """ebprof on a command; returns its counters."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        subprocess.run([EBPROF, "record", "-q", "-F", str(rate), "-o", f"{folder}/profile.pb.gz", "--as-root",
                        "--stats", f"{folder}/stats.json", *map(str, options), "--", *map(str, command)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        with open(f"{folder}/stats.json") as file:
            return json.load(file)


def user_seconds(pid):
    """CPU time of a process and its dead children so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def steal_seconds():
    """CPU time that the host took from this machine."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def perf_event_times(pid):
    """(run time in ns, runs) of the perf_event programs that a process holds; kernel.bpf_stats_enabled has to be 1."""
    run_time_ns = runs = 0
    for program in bpf_ids(pid)["prog"]:
        listing = subprocess.run([BPFTOOL, "-j", "prog", "show", "id", str(program)], stdout=subprocess.PIPE).stdout
        shown = json.loads(listing or b"{}")
        if shown.get("type") == "perf_event":
            run_time_ns += shown.get("run_time_ns", 0)
            runs += shown.get("run_cnt", 0)
    return run_time_ns, runs


def await_runs(process, seconds_limit=60):
    """Until the perf_event programs of a process that was just started run; false if they never do."""
    deadline = time.monotonic() + seconds_limit
    while perf_event_times(process.pid)[1] < 3:
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


# --- programs that are profiled -------------------------------------------------------------------------------------

RECURSIVE_QUERY = """WITH RECURSIVE
 point(x, y) AS (SELECT a.value * 0.02 - 2.2, b.value * 0.04 - 1.1 FROM generate_series(0, {size}) a,
                 generate_series(0, {size}) b),
 step(n, x, y, cx, cy) AS (SELECT 0, 0.0, 0.0, x, y FROM point UNION ALL
                           SELECT n + 1, x * x - y * y + cx, 2.0 * x * y + cy, cx, cy FROM step
                           WHERE n < 28 AND x * x + y * y < 4.0)
SELECT count(*), max(n), sum(x) FROM step;"""

AGGREGATE_QUERY = """CREATE TABLE sale(customer INTEGER, product TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size})
 INSERT INTO sale SELECT i * 7919 % 10007, 'product ' || (i * 31 % 997), i % 1000 / 3.0 FROM n;
SELECT count(*) FROM (SELECT customer, count(DISTINCT product), sum(price), avg(price), group_concat(product)
 FROM sale GROUP BY customer ORDER BY 3 DESC);
SELECT product, total(price) FROM sale WHERE product LIKE '%9%' GROUP BY product HAVING count(*) > 3 ORDER BY 2;
SELECT count(*) FROM sale a JOIN sale b ON a.rowid = b.rowid + 1 WHERE a.price > b.price;"""

PYTHON_PROGRAM = """import collections, json, re, time
end = time.process_time() + {seconds}
class Shape:
    def __init__(self, size): self.size = size
    def area(self): return self.size ** 2 + fib(self.size % 12)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
while time.process_time() < end:
    shapes = [Shape(i) for i in range(300)]
    shapes.sort(key=lambda shape: -shape.area())
    text = json.dumps([{{'size': s.size, 'area': s.area()}} for s in shapes])
    words = collections.Counter(re.findall(r'[a-z]+', text * 3))
    json.loads(text)
"""

BASH_PROGRAM = """fib() {{ local n=$1; if (( n < 2 )); then result=$n; return; fi
 fib $((n - 1)); local a=$result; fib $((n - 2)); result=$((a + result)); }}
declare -A words
SECONDS=0
while (( SECONDS < {seconds} )); do
 fib 11
 for i in {{1..300}}; do key="word${{i#1}}"; words[$key]=$(( ${{words[$key]:-0}} + ${{#key}} )); done
 text="${{!words[*]}}"; text="${{text//word/w}}"; [[ $text =~ w[0-9]+ ]]
done"""


def write_c_file(path, functions):
    """A large C file with loops, switches and arithmetic, the same each time."""
    numbers = random.Random(1)
    with open(path, "w") as file:
        for index in range(functions):
            a, b, c = (numbers.randrange(3, 1000) for _ in range(3))
            file.write(f"struct s{index} {{ int a, b[{a % 13 + 2}]; double c; }};\n"
                       f"double f{index}(struct s{index} *s, int n, double *v)\n{{\n\tdouble sum = {a}.5;\n"
                       f"\tfor (int i = 0; i < n; i++) {{\n\t\tv[i] = v[i] * {b}.25 + s->b[i % {a % 13 + 2}];\n"
                       f"\t\tswitch ((i * {c}) % 7) {{\n\t\tcase 0: sum += v[i] / (i + {a}); break;\n"
                       f"\t\tcase 1: sum -= s->c * v[n - i - 1]; break;\n\t\tcase 3: s->a ^= i << {c % 9}; break;\n"
                       f"\t\tdefault: for (int j = i; j < n; j += {b % 5 + 1}) sum += v[j] * j;\n\t\t}}\n\t}}\n"
                       f"\treturn sum + s->a{f' + f{index - 1}((void *)s, n - 1, v)' if index else ''};\n}}\n")


def write_text(path, size):
    """Words of a small vocabulary: compressible, but not at once."""
    numbers = random.Random(2)
    words = ["".join(numbers.choice("etaoinshrdlu") for _ in range(numbers.randrange(2, 10))) for _ in range(5000)]
    with open(path, "w") as file:
        while file.tell() < size:
            file.write(" ".join(numbers.choices(words, k=2000)) + "\n")


def cc1():
    return subprocess.run(["gcc", "-print-prog-name=cc1"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout.strip()


@contextlib.contextmanager
def programs(scale=1.0):
    """{name: command} of Debian's own programs with work for about 8 s of CPU time each at scale 1."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-") as folder:
        files = {name: os.path.join(folder, name) for name in ("large.c", "text", "program.py", "program.sh")}
        write_c_file(files["large.c"], int(420 * scale))
        write_text(files["text"], int(7e6 * scale))
        with open(files["program.py"], "w") as file:
            file.write(PYTHON_PROGRAM.format(seconds=8 * scale))
        with open(files["program.sh"], "w") as file:
            file.write(BASH_PROGRAM.format(seconds=int(8 * scale) + 1))
        yield {
            "sqlite3 recursive": ["sqlite3", ":memory:", RECURSIVE_QUERY.format(size=int(1450 * scale ** 0.5))],
            "sqlite3 aggregate": ["sqlite3", ":memory:", AGGREGATE_QUERY.format(size=int(3600000 * scale))],
            "cc1 -O2": [cc1(), "-O2", "-quiet", files["large.c"], "-o", "/dev/null"],
            "python3": ["/usr/bin/python3", files["program.py"]],
            "xz -T2": ["xz", "-T2", "--block-size=1MiB", "-9", "-k", "-c", files["text"]],
            "bash": ["/bin/bash", files["program.sh"]],
        }


def await_file(path, seconds=10):
    deadline = time.monotonic() + seconds
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
