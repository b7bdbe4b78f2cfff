# SPDX-License-Identifier: Apache-2.0
"""The programs that the benchmarks profile: the table at the end has a row for each, and a new one is a row more.

Most are the distribution's own, as they are installed: stripped, without frame pointers, with libraries and assembly as
they come. Input is made, the same each time, and sized for about Work.seconds of CPU time. The rest are programs of
tests/workloads whose code is odd in one way.
"""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile

from figures import BUILD, EBPROF, WORKLOADS

EXCEPTIONS = os.path.join(BUILD, "tests", "replay", "exceptions")

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


NODE_PROGRAM = """const end = process.cpuUsage().user + {seconds} * 1e6;
class Shape { constructor(size) { this.size = size; } area() { return this.size ** 2 + fib(this.size % 14); } }
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
while (process.cpuUsage().user < end) {
  const shapes = Array.from({length: 2000}, (_, i) => new Shape(i)).sort((a, b) => b.area() - a.area());
  const text = JSON.stringify(shapes);
  const count = {};
  for (const [word] of text.matchAll(/[a-z]+/g)) count[word] = (count[word] || 0) + 1;
  JSON.parse(text).map(s => s.size.toString(36)).join(',');
}
"""

JAVA_PROGRAM = """import java.util.*;
class Program {
    static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    public static void main(String[] arguments) {
        long end = System.nanoTime() + {seconds} * 1000000000L, sum = 0;
        while (System.nanoTime() < end) {
            Map<String, Integer> words = new TreeMap<>();
            for (int i = 0; i < 20000; i++) words.merge("word" + i * 7919 % 1009, i, Integer::sum);
            sum += words.values().stream().mapToInt(v -> v ^ fib(v % 12 & 15)).sum();
        }
        System.out.println(sum);
    }
}
"""

GO_PROGRAM = """package main

import ("crypto/sha256"; "encoding/json"; "fmt"; "os"; "sort"; "time")

type Shape struct { Size int; Name string }

func fib(n int) int { if n < 2 { return n }; return fib(n-1) + fib(n-2) }

func work(out chan<- int, end time.Time) {
	sum := 0
	for time.Now().Before(end) {
		shapes := make([]Shape, 500)
		for i := range shapes { shapes[i] = Shape{i * 7919 % 1009, fmt.Sprint("shape ", i)} }
		sort.Slice(shapes, func(a, b int) bool { return shapes[a].Size < shapes[b].Size })
		text, _ := json.Marshal(shapes)
		sum += int(sha256.Sum256(text)[0]) + fib(15)
	}
	out <- sum
}

func main() {
	out := make(chan int)
	for i := 0; i < 2; i++ { go work(out, time.Now().Add({seconds}*time.Second/2)) }
	fmt.Fprintln(os.Stderr, <-out+<-out)
}
"""

RUST_PROGRAM = """use std::collections::{BTreeMap, HashMap};
trait Shape { fn area(&self) -> f64; }
struct Square(f64);
struct Circle(f64);
impl Shape for Square { fn area(&self) -> f64 { self.0 * self.0 } }
impl Shape for Circle { fn area(&self) -> f64 { self.0 * self.0 * 3.14159 } }
fn main() {
    let end = std::time::Instant::now() + std::time::Duration::from_secs({seconds});
    let mut sum = 0.0;
    while std::time::Instant::now() < end {
        let shapes: Vec<Box<dyn Shape>> =
            (0..2000).map(|i| if i % 2 == 0 { Box::new(Square(i as f64)) as Box<dyn Shape> } else { Box::new(Circle(i as f64)) }).collect();
        let mut words: HashMap<String, usize> = HashMap::new();
        for shape in &shapes { *words.entry(format!("{:.1}", shape.area() % 97.0)).or_default() += 1; }
        let sorted: BTreeMap<_, _> = words.into_iter().collect();
        sum += sorted.iter().map(|(k, v)| k.parse::<f64>().unwrap_or(0.0) * *v as f64).sum::<f64>();
    }
    println!("{sum}");
}
"""

AWK_PROGRAM = """{ for (i = 1; i <= NF; i++) { count[$i]++; gsub(/e+/, "E", $i); size += length($i) } }
END { for (word in count) if (match(word, /th?[aeiou]/)) sum += count[word]; print sum, size, substr($0, 1, 9) }"""


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


def write_cxx_file(path, functions):
    """Templates and containers, the same each time."""
    with open(path, "w") as file:
        file.write("#include <algorithm>\n#include <functional>\n#include <map>\n#include <memory>\n"
                   "#include <regex>\n#include <string>\n#include <vector>\n")
        for index in range(functions):
            file.write(f"struct s{index} {{ std::map<std::string, std::vector<int>> m; int a[{index % 9 + 1}]; }};\n"
                       f"template <int N> int t{index}(s{index} &s, const std::function<int(int)> &f) {{\n"
                       f"\tauto p = std::make_shared<s{index}>(s);\n\tp->m[std::to_string(N)].push_back(f(N));\n"
                       f"\tfor (auto &[k, v] : p->m) std::sort(v.begin(), v.end(), [&](int a, int b) "
                       f"{{ return f(a) < f(b); }});\n\treturn (int)p->m.size() + N; }}\n"
                       f"int u{index}(s{index} &s) {{ return t{index}<1>(s, [](int i) {{ return i * {index}; }}) + "
                       f"t{index}<2>(s, [](int i) {{ return i ^ {index}; }}); }}\n")


def write_git_history(path, commits):
    """A repository with a history, by way of git fast-import."""
    numbers = random.Random(3)
    lines = []
    for index in range(commits):
        text = "\n".join(f"line {numbers.randrange(1000)} of {index}" for _ in range(60))
        lines.append(f"commit refs/heads/main\ncommitter A <a@example.org> {1600000000 + index} +0000\n"
                     f"data 8\ncommit x\nM 100644 inline file{index % 97}.c\ndata {len(text)}\n{text}\n")
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input="".join(lines), text=True, check=True)


def cc1(language="cc1"):
    """gcc's compiler proper; "" when it isn't installed."""
    if not shutil.which("gcc"):
        return ""
    found = subprocess.run(["gcc", f"-print-prog-name={language}"], text=True, stdout=subprocess.PIPE).stdout.strip()
    return found if "/" in found else ""


class Work:
    """Where input for one program is made, and for how much CPU time."""

    def __init__(self, folder, seconds):
        self.folder, self.seconds = folder, seconds

    def path(self, name):
        return os.path.join(self.folder, name)

    def script(self, name, text):
        path = self.path(name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def program(self, name, text):
        """A source in which {seconds} stands for the time."""
        return self.script(name, text.replace("{seconds}", str(max(1, round(self.seconds)))))

    def text(self, mib_per_second):
        path = self.path("text")
        write_text(path, int(mib_per_second * self.seconds * (1 << 20)))
        return path

    def c_file(self, functions_per_second):
        path = self.path("large.c")
        write_c_file(path, max(1, int(functions_per_second * self.seconds)))
        return path

    def cxx_file(self, functions_per_second):
        path = self.path("large.cc")
        write_cxx_file(path, max(1, int(functions_per_second * self.seconds)))
        return path

    def shell(self, command, times_per_second):
        """Many short processes."""
        return ["/bin/bash", "-c", f"for ((i = 0; i < {max(1, round(times_per_second * self.seconds))}; i++)); do {command}; done"]

    def video(self, name, *encoder, frames_per_second):
        """A video with the machine's own encoder."""
        path = self.path(name)
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-frames:v",
                        str(int(frames_per_second * self.seconds)), *encoder, path], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return path

    def built(self, *compiler, name):
        """What a compiler makes of a source that program() wrote."""
        subprocess.run(list(compiler), check=True, cwd=self.folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL,
                       env=dict(os.environ, GOCACHE=self.path("go-cache"), GOFLAGS="-mod=mod", GO111MODULE="auto"))
        return self.path(name)

    def git(self, commits_per_second):
        path = self.path("repository")
        write_git_history(path, int(commits_per_second * self.seconds))
        return path


def own(name, *arguments, before=()):
    """A row's command for a program of tests/workloads."""
    return lambda work: [*before, os.path.join(WORKLOADS, name), str(work.seconds), *arguments]


class Row:
    """A program: what has to be there (paths or names), the package that has it, and its command."""

    def __init__(self, name, needs, package, command):
        self.name, self.needs, self.package, self.command = name, needs.split(), package, command

    @property
    def is_missing(self):
        return not self.needs or not all(map(shutil.which, self.needs))


# name, programs that it needs, package, command
TABLE = [
    Row("sqlite3 recursive", "sqlite3", "sqlite3", lambda w: [
        "sqlite3", ":memory:", RECURSIVE_QUERY.format(size=int(512 * w.seconds ** 0.5))]),
    Row("sqlite3 aggregate", "sqlite3", "sqlite3", lambda w: [
        "sqlite3", ":memory:", AGGREGATE_QUERY.format(size=int(450000 * w.seconds))]),
    Row("cc1 -O2", cc1(), "gcc", lambda w: [cc1(), "-O2", "-quiet", w.c_file(52), "-o", "/dev/null"]),
    Row("cc1plus -O2", cc1("cc1plus"), "g++", lambda w: [
        "g++", "-O2", "-S", w.cxx_file(6), "-o", "/dev/null"]),
    Row("gcc, short processes", "gcc", "gcc", lambda w: w.shell(
        f"gcc -O1 -c {w.script('small.c', 'int f(int a) { return a * 3; }')} -o {w.path('small.o')}", 20)),
    Row("python3", "/usr/bin/python3", "python3", lambda w: [
        "/usr/bin/python3", w.script("program.py", PYTHON_PROGRAM.format(seconds=w.seconds))]),
    Row("perl", "perl", "perl", lambda w: ["perl", w.script("p.pl", PERL_PROGRAM.replace("SECONDS", str(w.seconds)))]),
    Row("bash", "/bin/bash", "bash", lambda w: [
        "/bin/bash", w.script("program.sh", BASH_PROGRAM.format(seconds=max(1, round(w.seconds))))]),
    Row("xz -T2", "xz", "xz-utils", lambda w: ["xz", "-T2", "--block-size=1MiB", "-9", "-k", "-c", w.text(0.83)]),
    Row("gzip -9", "gzip", "gzip", lambda w: ["gzip", "-9", "-c", w.text(12)]),
    Row("zstd -15", "zstd", "zstd", lambda w: ["zstd", "-q", "-15", "-c", w.text(2)]),
    Row("bzip2", "bzip2", "bzip2", lambda w: ["bzip2", "-c", w.text(8)]),
    Row("openssl speed", "openssl", "openssl", lambda w: [
        "openssl", "speed", "-seconds", str(max(1, round(w.seconds / 8))), "-bytes", "16384", "sha256", "sha512",
        "aes-256-cbc", "ghash", "rsa2048", "ecdsap256"]),
    Row("openssl speed, one shot each", "openssl", "openssl", lambda w: [
        "openssl", "speed", "-seconds", str(max(1, round(w.seconds / 4))), "-bytes", "64", "-evp", "chacha20-poly1305"]),
    Row("ffmpeg: x264 encode", "ffmpeg", "ffmpeg", lambda w: [
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-frames:v",
        str(int(40 * w.seconds)), "-c:v", "libx264", "-preset", "medium", "-f", "null", "-"]),
    Row("ffmpeg: h264 decode, scale", "ffmpeg", "ffmpeg", lambda w: [
        "ffmpeg", "-v", "error", "-i", w.video("in.mkv", "-c:v", "libx264", "-preset", "ultrafast",
                                               frames_per_second=220),
        "-vf", "scale=640:-1", "-f", "null", "-"]),
    Row("dav1d decode", "dav1d ffmpeg", "dav1d ffmpeg", lambda w: [
        "dav1d", "-q", "-i", w.video("in.ivf", "-c:v", "libsvtav1", "-preset", "12", frames_per_second=150),
        "--muxer", "null", "-o", "/dev/null"]),
    Row("node", "node", "nodejs", lambda w: ["node", w.program("program.js", NODE_PROGRAM)]),
    Row("java", "java javac", "openjdk-17-jdk-headless", lambda w: [
        "java", "-cp", w.folder, w.built("javac", w.program("Program.java", JAVA_PROGRAM), name="") and "Program"]),
    Row("javac", "javac", "openjdk-17-jdk-headless", lambda w: w.shell(
        f"javac -d {w.folder} {w.program('Program.java', JAVA_PROGRAM)}", 1)),
    Row("Go program", "go", "golang-go", lambda w: [
        w.built("go", "build", "-o", "program", w.program("program.go", GO_PROGRAM), name="program")]),
    Row("go build", "go", "golang-go", lambda w: [
        "env", f"GOCACHE={w.path('empty')}", "go", "build", "runtime"]),
    Row("rustc -O", "rustc", "rustc", lambda w: [
        "rustc", "-O", "-C", "codegen-units=2", "-o", w.path("program"), w.program("program.rs", RUST_PROGRAM)]),
    Row("Rust program", "rustc", "rustc", lambda w: [
        w.built("rustc", "-O", w.program("program.rs", RUST_PROGRAM), name="program")]),
    Row("clang -O2", "clang", "clang", lambda w: ["clang", "-O2", "-c", w.c_file(80), "-o", w.path("large.o")]),
    Row("gdb -batch", "gdb", "gdb", lambda w: w.shell(
        f"gdb -nx -batch -ex 'info types s' -ex 'info functions a' -ex 'info scope main' {EBPROF}", 1)),
    Row("git gc", "git", "git", lambda w: ["git", "-C", w.git(1500), "gc", "-q", "--aggressive", "--prune=now"]),
    Row("git log", "git", "git", lambda w: ["git", "-C", w.git(10000), "log", "-M", "--stat", "-S", "line 7"]),
    Row("awk", "awk", "mawk", lambda w: ["awk", AWK_PROGRAM, w.text(0.8)]),
    Row("sort", "sort", "coreutils", lambda w: [
        "sort", "--parallel=2", "-k3,3", "-k2", "-S", "64M", w.script("lines", "\n".join(
            " ".join(random.Random(i).choices("abcdefgh", k=6)) for i in range(int(300000 * w.seconds))))]),
    # Into a file: grep stops at the first match when its output is /dev/null.
    Row("grep -E", "grep", "grep", lambda w: [
        "/bin/sh", "-c", f"exec grep -E '(t[a-z]+n) .*[aeiou]{{3}}.* \\1' {w.text(3)} >{w.path('found')}"]),
    Row("jq", "jq", "jq", lambda w: [
        "jq", "-n", f"[range({int(60000 * w.seconds)}) | {{a: ., b: (. * 7919 % 1009 | tostring)}}] | group_by(.b) | "
        "map({key: .[0].b, value: (map(.a) | add)}) | from_entries | length"]),
    Row("ld.so: many libraries, short", "ffmpeg", "ffmpeg", lambda w: w.shell("ffmpeg -version >/dev/null", 8)),
    Row("lazy binding: short processes", "git", "git", lambda w: w.shell("git --version; /bin/ls /", 150)),
    Row("C++ exceptions", EXCEPTIONS, "", lambda w: [EXCEPTIONS, str(w.seconds)]),
    Row("forks", "sh", "", lambda w: [os.path.join(WORKLOADS, "forks"), str(int(60 * w.seconds)), "5"]),
    Row("recurse 900 deep", "sh", "", own("recurse", "900")),
    Row("musl, static", os.path.join(WORKLOADS, "shape_signals-musl"), "musl-tools",
        own("shape_signals-musl", "anywhere")),
    Row("signals, anywhere", os.path.join(WORKLOADS, "shape_signals"), "", own("shape_signals", "anywhere")),
    Row("signals altstack", "sh", "", own("signals", "altstack")),
    *[Row(name, os.path.join(WORKLOADS, name), "", own(name))
      for name in ("signals", "threads", "dlopens", "kernel", "names", "jit", "shares-static", "shares-static-pie",
                   "shares-debug-frame", "shares-no-sections", "shares-frame-pointer")],
]

# What libdwfl can't finish: code without call-frame information (it takes no frame pointers where there is none), and
# the stack that a signal handler on another stack interrupted. For these, gdb or the workload's own source is the truth
# (system tests); here, both have to agree as far as libdwfl comes.
NO_WITNESS = ("jit", "signals altstack", "node", "java", "javac", "Go program", "go build", "shares-frame-pointer")


@contextlib.contextmanager
def prepared(row, seconds):
    """A row's command, with its input made."""
    with tempfile.TemporaryDirectory(prefix="ebprof-bench-", dir="/var/tmp") as folder:
        yield [str(word) for word in row.command(Work(folder, seconds))]


def row_named(name):
    return next(row for row in TABLE if row.name == name)
