# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's eBPF profiler as a rival: how it is run, and what its programs in the kernel cost.

Nothing of it is part of this repository. EBPROF_BENCH_OTEL names its binary; without one, its columns say "not
measured". It insists on a collector to report to and starts its programs only when one answers, so a port of this
machine says the few bytes with which HTTP/2 begins and lets everything else unanswered.

It samples a whole CPU and can't be pointed at a process. So it is given one CPU that the workload keeps busy at the
highest priority: nearly all of its ticks are the workload's, and the kernel's count of the entry program's runs is the
number of samples. (Its unwinder is a chain of tail calls, whose time the kernel adds to the entry program.)
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

from figures import BPFTOOL, await_runs, bpf_ids, perf_event_times

OTEL = os.environ.get("EBPROF_BENCH_OTEL")
NOT_MEASURED = "not measured: EBPROF_BENCH_OTEL names no binary"
METRICS_MAP, FRAMES_METRIC = "metrics", 5  # its own count of the native frames that it tried to unwind
HTTP2_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
HTTP2_SETTINGS_ACK = bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])


def answer(connection):
    """The server's half of HTTP/2's greeting, then silence."""
    with contextlib.suppress(OSError), connection:
        connection.sendall(HTTP2_SETTINGS + HTTP2_SETTINGS_ACK)
        while connection.recv(1 << 16):
            pass


@contextlib.contextmanager
def collector():
    """A port of this machine where a collector seems to be."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@contextlib.contextmanager
def running(rate, cpu, seconds_limit=90):
    """The agent, sampling one CPU; yields its pid once its program runs."""
    with collector() as port, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(["nice", "-n", "-20", OTEL, "-collection-agent", f"127.0.0.1:{port}", "-disable-tls",
                                    "-samples-per-second", str(rate), "-pin-cpu-ids", str(cpu)],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            if not await_runs(process, seconds_limit):
                log.seek(0)
                raise RuntimeError(f"{OTEL} did not begin:\n{log.read().decode(errors='replace')}")
            yield process.pid
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            if process.poll() is None:
                process.kill()
                process.wait()


def read_frames(pid):
    """Frames that the agent has walked so far, by its own count."""
    for number in bpf_ids(pid)["map"]:
        shown = subprocess.run([BPFTOOL, "-j", "map", "show", "id", str(number)], stdout=subprocess.PIPE).stdout
        if json.loads(shown or b"{}").get("name") != METRICS_MAP:
            continue
        found = subprocess.run([BPFTOOL, "-j", "map", "lookup", "id", str(number), "key",
                                "hex", *FRAMES_METRIC.to_bytes(4, "little").hex(" ").split()], stdout=subprocess.PIPE).stdout
        # Its bytes come as text: hexadecimal, lowest first.
        return sum(int.from_bytes(bytes(int(byte, 16) for byte in cpu["value"]), "little")
                   for cpu in json.loads(found).get("values", []))
    return float("nan")


def measure(pid, seconds):
    """(run time in ns, runs, frames) within the next seconds."""
    before = (*perf_event_times(pid), read_frames(pid))
    time.sleep(seconds)
    after = (*perf_event_times(pid), read_frames(pid))
    return [late - early for early, late in zip(before, after)]
