# SPDX-License-Identifier: Apache-2.0
"""Language runtimes: interpreters are native programs; the code that runtimes make is walked by frame pointer."""

import re
import shutil
import subprocess

import pytest

from harness import SECONDS_LIMIT, assert_complete, record
from shapes import chain_of, most_common

PERL = "sub f { my $n = shift; return $n < 2 ? $n : f($n - 1) + f($n - 2) } f(29)"
PYTHON = "f = lambda n: n if n < 2 else f(n - 1) + f(n - 2)\nf(29)"
RUBY = "def f(n) n < 2 ? n : f(n - 1) + f(n - 2) end; f(31)"
PHP = "function f($n) { return $n < 2 ? $n : f($n - 1) + f($n - 2); } f(33);"
LUA = "local x = 1; for i = 1, 6e7 do x = (x * 31 + i) % 1000003 end"
JAVASCRIPT = """
function leaf(n) { let x = n; for (let i = 0; i < 2000; i++) x = (x * 31 + i) | 0; return x; }
function middle(n) { let sum = 0; for (let i = 0; i < 50; i++) sum += leaf(n + i); return sum; }
function outer(until) { let sum = 0; while (Date.now() < until) sum += middle(sum | 0); return sum; }
outer(Date.now() + 1500);
"""
JAVA = """
public class Hot {
    static long leaf(long n) { for (int i = 0; i < 2000; i++) n = n * 31 + i; return n; }
    static long middle(long n) { long sum = 0; for (int i = 0; i < 50; i++) sum += leaf(n + i); return sum; }
    public static void main(String[] arguments) {
        long sum = 0, until = System.nanoTime() + 1500000000L;
        while (System.nanoTime() < until) sum += middle(sum);
        System.out.println(sum);
    }
}
"""


def need(program, package):
    path = shutil.which(program)
    if not path:
        pytest.skip(f"not installed: needs the package {package}")
    return path


def whole_share(recording):
    """Complete, or a chain of frame pointers that ended in 0; of those past their first moment."""
    stats, counters = recording.stats, recording.counters
    early = counters["user_no_process_table"] + counters["user_no_file_table"] + counters["user_table_changed"]
    return (stats["complete"] + counters["user_ended"]) / (stats["user_stacks"] - early)


@pytest.mark.parametrize("program, package, arguments", [
    ("/usr/bin/perl", "perl", ["-e", PERL]),
    ("/usr/bin/python3", "python3", ["-c", PYTHON]),
    ("ruby", "ruby", ["-e", RUBY]),
    ("php", "php-cli", ["-r", PHP]),
], ids=["perl", "python", "ruby", "php"])
def test_interpreter(program, package, arguments):
    recording = record(command=[need(program, package), *arguments])
    assert recording.samples > 50
    assert_complete(recording, share=0.999)


def test_luajit_interpreting():
    """Assembly with one description for all of it, which is wrong in its subroutines, of which "%" is one."""
    recording = record(command=[need("luajit", "luajit"), "-joff", "-e", LUA])
    assert recording.samples > 100
    assert_complete(recording, share=0.999)
    rooted = recording.count(lambda sample: chain_of(sample).endswith(";_start"))
    assert rooted >= 0.99 * recording.samples, most_common(recording)
    assert recording.counters["guessed_stacks"] > 0.2 * recording.samples


def test_javascript():
    """JavaScript frames have frame pointers; the C++ below them is walked by its tables, to the root."""
    recording = record(command=[need("node", "nodejs"), "-e", JAVASCRIPT])
    assert whole_share(recording) >= 0.95, most_common(recording)
    hot = [sample for sample in recording.profile.samples if chain_of(sample).startswith("[anonymous code]")]
    total = sum(sample.values[0] for sample in hot)
    assert total > 0.5 * recording.samples, most_common(recording)
    rooted = sum(sample.values[0] for sample in hot if chain_of(sample).endswith(";_start")
        and "node::Start(int, char**)" in chain_of(sample).split(";"))
    assert rooted >= 0.95 * total, most_common(recording)
    assert recording.counters["fp_stacks"] >= 0.95 * total, "marked as found by frame pointer"


@pytest.mark.parametrize("options", [["-Xint"], ["-XX:+PreserveFramePointer"]], ids=["interpreted", "compiled"])
def test_java(tmp_path, options):
    """The interpreter's return addresses are behind no call, and those of compiled code are."""
    recording = record_java(tmp_path, options)
    assert whole_share(recording) >= 0.98, most_common(recording)
    hot = [sample for sample in recording.profile.samples if chain_of(sample).startswith("[anonymous code]")]
    total = sum(sample.values[0] for sample in hot)
    assert total > 0.5 * recording.samples, most_common(recording)
    rooted = sum(sample.values[0] for sample in hot
        if re.search(r";JavaCalls::call_helper\(.*;jni_invoke_static\(.*;JavaMain;.*;__clone3$", chain_of(sample)))
    assert rooted >= 0.9 * total, most_common(recording)
    assert recording.counters["fp_stacks"] >= 0.9 * total, "marked as found by frame pointer"


def test_java_without_frame_pointers(tmp_path):
    """A compiled loop has neither rows nor a frame pointer: there is a reason, and the option that helps is named."""
    recording = record_java(tmp_path, [])
    whole, reasons = recording.stats["complete"] + recording.counters["user_ended"], recording.counters
    assert whole + reasons["user_no_unwind_info"] >= 0.95 * recording.stats["user_stacks"]
    assert "-XX:+PreserveFramePointer" in recording.stderr


def record_java(folder, options):
    java, javac = need("java", "default-jre-headless"), need("javac", "default-jdk-headless")
    (folder / "Hot.java").write_text(JAVA)
    subprocess.run([javac, "-d", folder, folder / "Hot.java"], check=True, timeout=SECONDS_LIMIT)
    return record(command=[java, *options, "-cp", folder, "Hot"])
