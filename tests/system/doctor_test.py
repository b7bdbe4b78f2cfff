# SPDX-License-Identifier: Apache-2.0
"""ebprof doctor on this machine: as root, as nobody, in namespaces, with less than it should have; it agrees with record."""

import json
import os
import re
import resource
import shutil
import subprocess
import tempfile

import pytest

from harness import EBPROF, SECONDS_LIMIT, run_ebprof, sample_rate_limit, sysctl

# What every machine needs for a recording; what else there is differs.
REQUIRED = ("programs", "types", "jit", "ring", "loop", "helpers", "tasks", "process_tracepoints", "mapping_records",
    "clock")
CAPABILITIES = ("cap_bpf", "cap_perfmon", "cap_sys_ptrace", "cap_dac_read_search", "cap_checkpoint_restore", "cap_syslog")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")


@pytest.fixture(scope="module")
def program():
    """A copy that everybody may execute; the build's folder may be root's alone."""
    folder = tempfile.mkdtemp(prefix="ebprof-test-")
    os.chmod(folder, 0o755)
    path = shutil.copy(EBPROF, folder)
    yield path
    shutil.rmtree(folder)


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_LIMIT)


def examine(*wrapper, program=EBPROF, options=()):
    """The object of --json, with its probes by name; the exit status has to agree with it."""
    done = run(*wrapper, program, "doctor", "--json", *options)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    found["probes"] = {probe["name"]: probe for probe in found["probes"]}
    missing = [name for name, probe in found["probes"].items() if probe["status"] == "missing"]
    assert found["works"] == (not missing)
    assert done.returncode == (1 if missing else 0)
    return found


def statuses(found, names):
    return {found["probes"][name]["status"] for name in names}


def can_unshare(*options):
    return run("unshare", *options, "true").returncode == 0


# --- this machine ---------------------------------------------------------------------------------------------------


def test_this_machine():
    """The system tests record here, so recording works, and the trial has seen it."""
    found = examine()
    assert found["works"]
    assert statuses(found, REQUIRED + CAPABILITIES) == {"ok"}
    trial = found["probes"]["trial"]
    assert trial["status"] == "ok", trial
    assert int(re.match(r"\d+", trial["text"]).group()) > 5
    assert found["kernel"] == os.uname().release


def test_text_has_what_json_has():
    """A line for each probe; below what is not ok, its cost; every remedy once at least."""
    found = examine(options=["--no-trial"])
    done = run_ebprof("doctor", "--no-trial")
    text = done.stdout.decode()
    assert done.status == 0, str(done)
    lines = re.findall(r"^  (ok|note|missing|unknown) +(\S.*)$", text, re.MULTILINE)
    assert [status for status, _ in lines] == [probe["status"] for probe in found["probes"].values()]
    for (_, line), probe in zip(lines, found["probes"].values()):
        assert line.startswith(probe["title"])
        # Room in a memory cgroup changes between two runs.
        assert line.endswith(probe["text"]) or probe["name"] == "memory_cgroup"
        assert probe["cost"] in text
        assert probe["fix"] in text
        assert bool(probe["cost"]) == (probe["status"] in ("note", "missing"))
    assert "Recording works" in text


def test_nothing_is_left_behind():
    """No program, map or link outlives it, and no parameter is changed."""
    def state():
        values = {}
        for name in ("perf_event_paranoid", "kptr_restrict", "perf_event_max_stack", "perf_cpu_time_max_percent"):
            with open(f"/proc/sys/kernel/{name}") as file:
                values[name] = file.read()
        return values

    before = state()
    examine()
    assert state() == before
    if shutil.which("bpftool", path="/usr/sbin:" + os.environ["PATH"]):
        listed = run("/usr/sbin/bpftool", "prog", "show").stdout
        assert "ebprof_probe" not in listed
        assert "ebprof_probe" not in run("/usr/sbin/bpftool", "map", "show").stdout


def test_cycles_as_record_finds_them():
    found = examine(options=["--no-trial"])["probes"]["cycles"]
    done = run(EBPROF, "record", "-e", "cycles", "-o", "/dev/null", "--", "true")
    assert (found["status"] == "ok") == (done.returncode == 0), done.stderr


def test_features_as_bpftool_finds_them():
    tool = shutil.which("bpftool", path="/usr/sbin:" + os.environ["PATH"])
    listed = run(tool, "-j", "feature", "probe", "kernel").stdout if tool else ""
    if not listed.startswith("{"):
        pytest.skip("bpftool can't probe here")
    features = json.loads(listed)
    helpers = features["helpers"]["perf_event_available_helpers"]
    probes = examine(options=["--no-trial"])["probes"]
    assert (probes["ring"]["status"] == "ok") == features["map_types"]["have_ringbuf_map_type"]
    assert (probes["loop"]["status"] == "ok") == ("bpf_loop" in helpers)
    assert (probes["helpers"]["status"] == "ok") == ({"bpf_get_stack", "bpf_task_pt_regs", "bpf_probe_read_kernel",
        "bpf_probe_read_user", "bpf_get_current_task_btf", "bpf_ringbuf_reserve", "bpf_ringbuf_query"} <= set(helpers))


def test_options():
    assert run_ebprof("doctor", "--no-such-option").status == 2
    assert run_ebprof("doctor", "something").status == 2
    assert run_ebprof("doctor", "--help").stdout.startswith(b"Usage: ebprof doctor")
    assert b"doctor" in run_ebprof("help", "--man").stdout
    with open("/dev/full", "w") as full:
        done = subprocess.run([EBPROF, "doctor", "--no-trial"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "standard output" in done.stderr


# --- with less ------------------------------------------------------------------------------------------------------


def test_as_nobody(program):
    """What can't be looked at is unknown, not missing; what is world-readable is known; the remedy is the whole line."""
    found = examine(*NOBODY, program=program)
    probes = found["probes"]
    assert statuses(found, ["cap_bpf", "cap_perfmon"]) == {"missing"}
    assert statuses(found, CAPABILITIES[2:]) == {"note"}
    assert statuses(found, set(REQUIRED) - {"types"}) == {"unknown"}
    assert statuses(found, ["types", "perf_event_paranoid", "cpus", "files"]) == {"ok"}
    assert probes["kernel_symbols"]["status"] == "note"
    assert probes["cap_bpf"]["fix"] == f"sudo setcap {','.join(CAPABILITIES)}=ep {program}"
    text = run(*NOBODY, program, "doctor").stdout
    assert text.count("sudo setcap") == 1, "once for all capabilities"
    assert "2 things are missing" in text
    assert "sudo ebprof doctor sees more" in text


def test_the_remedy_works(program):
    """The command that doctor prints makes it say ok, and record work, for nobody."""
    if not shutil.which("setcap"):
        pytest.skip("setcap is not installed")
    fix = examine(*NOBODY, program=program)["probes"]["cap_bpf"]["fix"]
    words = fix.split()
    assert words.pop(0) == "sudo"
    try:
        subprocess.run(words, check=True)
        found = examine(*NOBODY, program=program)
        assert statuses(found, CAPABILITIES + REQUIRED) == {"ok"}, found
        assert found["probes"]["trial"]["status"] == "ok", found["probes"]["trial"]
        assert found["probes"]["kernel_symbols"]["status"] == "ok"
    finally:
        subprocess.run(["setcap", "-r", program], check=False)


def test_without_a_capability():
    """Not in the bounding set: no setcap could give it. And record says no as well."""
    found = examine("setpriv", "--bounding-set=-syslog,-sys_ptrace")
    assert found["works"]
    assert statuses(found, ["cap_syslog", "cap_sys_ptrace"]) == {"note"}
    assert statuses(found, REQUIRED) == {"ok"}
    assert "bounding set" in found["probes"]["cap_syslog"]["text"]
    assert "setcap" not in found["probes"]["cap_syslog"]["fix"]
    drop = ("setpriv", "--bounding-set=-perfmon,-sys_admin")
    assert not examine(*drop)["works"]
    assert run(*drop, EBPROF, "record", "-d", "0.1", "-o", "/dev/null", "-p", str(os.getpid())).returncode == 2


def test_with_few_descriptors():
    limit = 600
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip(f"no more than {hard} descriptors here")
    found = examine("prlimit", f"--nofile={limit}:{limit}")
    assert found["works"]
    assert found["probes"]["files"]["status"] == "note"
    assert found["probes"]["files"]["text"].startswith(f"up to {limit}, of ")
    fix = found["probes"]["files"]["fix"]
    assert examine("prlimit", "--nofile=5000:5000")["probes"]["files"]["status"] == "ok"
    assert re.search(r"prlimit --nofile=(\d+)", fix)


@pytest.mark.parametrize("name, value, probe", [("kernel.perf_event_max_stack", 20, "max_stack"),
    ("kernel.kptr_restrict", 2, "kernel_symbols")])
def test_with_another_parameter(name, value, probe):
    """It is told with the command that puts it back, and the command does."""
    assert examine(options=["--no-trial"])["probes"][probe]["status"] == "ok"
    try:
        with sysctl(name, value):
            found = examine(options=["--no-trial"])["probes"][probe]
            assert found["status"] == "note"
            words = found["fix"].split()
            assert words[:2] == ["sudo", "sysctl"] and words[2].startswith(name + "=")
            subprocess.run(words[1:], check=True, stdout=subprocess.DEVNULL)
            assert examine(options=["--no-trial"])["probes"][probe]["status"] == "ok"
    except OSError as error:
        pytest.skip(f"{name} can't be set now: {error}")


def test_with_a_low_sampling_rate():
    with sample_rate_limit(50):
        found = examine()
        assert found["probes"]["sample_rate"]["status"] == "note"
        assert found["probes"]["trial"]["status"] == "ok", "the trial keeps to the limit"
        assert run(EBPROF, "record", "-o", "/dev/null", "--", "true").returncode == 2


# --- namespaces -----------------------------------------------------------------------------------------------------


def test_root_of_a_user_namespace():
    """A full set of capabilities that doesn't count: doctor says so, and record fails."""
    if not can_unshare("--user", "--map-root-user"):
        pytest.skip("no user namespaces here")
    inside = ("unshare", "--user", "--map-root-user")
    found = examine(*inside)
    assert not found["works"]
    assert statuses(found, ["user_namespace", "cap_bpf", "cap_perfmon"]) == {"missing"}
    assert statuses(found, ["cap_syslog"]) == {"note"}
    assert statuses(found, ["clock", "programs", "trial"]) == {"unknown"}
    done = run(*inside, EBPROF, "record", "-o", "/dev/null", "--", "true")
    assert done.returncode == 125
    assert "ebprof doctor" in done.stderr


def test_in_a_pid_namespace():
    """Recording works in there, and pids of outside have no names."""
    if not can_unshare("--pid", "--mount", "--fork", "--mount-proc"):
        pytest.skip("no pid namespaces here")
    found = examine("unshare", "--pid", "--mount", "--fork", "--mount-proc")
    assert found["works"]
    assert found["probes"]["container"]["status"] == "note"
    assert found["probes"]["trial"]["status"] == "ok"


def test_in_a_network_namespace():
    """The compiler's parameter can't be seen there; that it works can."""
    if not can_unshare("--net"):
        pytest.skip("no network namespaces here")
    assert examine("unshare", "--net", options=["--no-trial"])["probes"]["jit"]["status"] == "ok"


def test_with_hidden_processes():
    """/proc with hidepid: known, and no matter to who may trace; to others it is."""
    script = "mount -t proc -o hidepid=invisible proc /proc && exec \"$@\""
    inside = ("unshare", "--pid", "--mount", "--fork", "sh", "-c", script, "sh")
    if run(*inside, "true").returncode:
        pytest.skip("/proc can't be mounted here")
    assert examine(*inside, options=["--no-trial"])["probes"]["proc"]["status"] == "ok"
    found = examine(*inside, "setpriv", "--bounding-set=-sys_ptrace", options=["--no-trial"])
    assert found["probes"]["proc"]["status"] == "note"
    assert "hidepid" in found["probes"]["proc"]["text"]


def test_without_proc_and_sys():
    """A chroot that has neither: no crash, and everything has a line."""
    script = "mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec \"$@\""
    inside = ("unshare", "--mount", "sh", "-c", script, "sh")
    if run(*inside, "true").returncode:
        pytest.skip("nothing can be mounted here")
    found = examine(*inside)
    assert not found["works"]
    assert statuses(found, ["types", "cpus", "proc"]) <= {"missing", "unknown"}
    assert all(probe["text"] for probe in found["probes"].values())


def test_memory_cgroup():
    """A limit on the group that ebprof runs in is found, in whichever version this machine has."""
    version_1 = "/sys/fs/cgroup/memory"
    if not os.path.exists(f"{version_1}/memory.limit_in_bytes"):
        pytest.skip("no memory cgroups of version 1 here; the other version is a unit test's")
    group = f"{version_1}/ebprof-test-{os.getpid()}"
    os.mkdir(group)
    try:
        with open(f"{group}/memory.limit_in_bytes", "w") as file:
            file.write(str(300 << 20))
        found = examine("sh", "-c", f"echo $$ > {group}/cgroup.procs && exec \"$@\"", "sh", options=["--no-trial"])
        assert found["probes"]["memory_cgroup"]["status"] == "note"
        assert found["probes"]["memory_cgroup"]["text"].startswith("300 MiB")
        assert "--max-unwind-memory" in found["probes"]["memory_cgroup"]["fix"]
    finally:
        os.rmdir(group)
