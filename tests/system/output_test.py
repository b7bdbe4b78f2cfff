# SPDX-License-Identifier: Apache-2.0
"""The file that is written: whole or not there, the caller's, never through a link, the old one kept."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading

import pytest

from harness import EBPROF, check_pprof, path_of, refuse, run_ebprof

NOBODY = {"SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"}


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="ebprof-test-")
    yield path
    shutil.rmtree(path)


def short(path, **keywords):
    """A quick recording into path."""
    return run_ebprof("record", "-q", "-F", 999, "-o", path, "--", path_of("exits"), 100, 0, **keywords)


def test_default_names(folder):
    done = run_ebprof("record", "-q", "--", path_of("exits"), 50, 0, cwd=folder)
    assert done.status == 0, str(done)
    done = run_ebprof("record", "-q", "--format", "folded", "--", path_of("exits"), 50, 0, cwd=folder)
    assert done.status == 0, str(done)
    assert sorted(os.listdir(folder)) == ["ebprof.cpu.folded", "ebprof.cpu.pb.gz"]


def test_existing_file_becomes_old(folder):
    path = f"{folder}/profile.pb.gz"
    with open(path, "w") as file:
        file.write("the one before")
    assert short(path).status == 0
    check_pprof.load(path)
    with open(path + ".old") as file:
        assert file.read() == "the one before"
    assert short(path).status == 0
    check_pprof.load(path + ".old")
    assert sorted(os.listdir(folder)) == ["profile.pb.gz", "profile.pb.gz.old"]


def test_symlink_is_refused(folder):
    for target in (f"{folder}/precious", f"{folder}/nowhere"):
        if target.endswith("precious"):
            with open(target, "w") as file:
                file.write("precious")
        link = f"{folder}/profile.pb.gz"
        os.symlink(target, link)
        refuse("record", "-o", link, "--", "true", status=125, says="symlink|symbolic link")
        with open(f"{folder}/precious") as file:
            assert file.read() == "precious"
        os.unlink(link)
    assert os.listdir(folder) == ["precious"]


def test_fifo(folder):
    path = f"{folder}/pipe"
    os.mkfifo(path)
    received = []

    def reader():
        with open(path, "rb") as file:
            received.append(file.read())

    thread = threading.Thread(target=reader)
    thread.start()
    done = short(path)
    thread.join(20)
    assert done.status == 0, str(done)
    assert stat.S_ISFIFO(os.stat(path).st_mode)
    with open(f"{folder}/copy", "wb") as file:
        file.write(received[0])
    assert check_pprof.load(f"{folder}/copy").total(0) > 30


def test_dev_null():
    before = os.stat("/dev/null")
    assert short("/dev/null").status == 0
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode) and (before.st_ino, before.st_uid) == (after.st_ino, after.st_uid)


def test_owner_is_the_caller_of_sudo(folder):
    os.chmod(folder, 0o777)
    stats = f"{folder}/stats.json"
    done = run_ebprof("record", "-q", "-o", f"{folder}/profile.pb.gz", "--stats", stats, "--", path_of("exits"), 20, 0,
        environment=NOBODY)
    assert done.status == 0, str(done)
    for name in ("profile.pb.gz", "stats.json"):
        status = os.stat(f"{folder}/{name}")
        assert (status.st_uid, status.st_gid) == (65534, 65534), name
        assert stat.S_ISREG(status.st_mode)


def test_owner_without_sudo(folder):
    assert short(f"{folder}/profile.pb.gz").status == 0
    assert os.stat(f"{folder}/profile.pb.gz").st_uid == 0


@pytest.fixture
def small_disk(folder):
    """A file system with next to no room."""
    path = f"{folder}/disk"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_full_disk_keeps_the_old_file(small_disk):
    path = f"{small_disk}/profile.pb.gz"
    with open(path, "w") as file:
        file.write("the one before")
    with open(f"{small_disk}/filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    done = run_ebprof("record", "-q", "-F", 999, "-o", path, "--", path_of("exits"), 300, 0)
    assert done.status != 0, str(done)
    assert done.stderr.startswith("ebprof: ") and len(done.stderr.splitlines()) == 1, done.stderr
    with open(path) as file:
        assert file.read() == "the one before"
    assert sorted(os.listdir(small_disk)) == ["filler", "profile.pb.gz"]


def test_disk_that_fills_up(small_disk):
    """Room at the start and not at the end: many stacks make a large file."""
    path = f"{small_disk}/profile.pb.gz"
    done = run_ebprof("record", "-q", "-F", 9999, "-o", path, "--", path_of("paths"), 3, 16)
    assert done.status in (1, 2, 125), str(done)
    assert "No space" in done.stderr or "full" in done.stderr, done.stderr
    assert os.listdir(small_disk) == []


def test_no_such_folder():
    refuse("record", "-o", "/no/such/folder/file", "--", "true", status=125, says="/no/such/folder")


def test_folder_instead_of_a_file(folder):
    refuse("record", "-o", folder, "--", "true", status=125)


def test_read_only_folder(folder):
    path = f"{folder}/disk"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", path], check=True)
    try:
        refuse("record", "-o", f"{path}/profile.pb.gz", "--", "true", status=125, says=path)
    finally:
        subprocess.run(["umount", path], check=True)


def test_reader_that_goes_away():
    """-o - into a pipe whose reader has gone: a sentence and a status, not a signal."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([EBPROF, "record", "-o", "-", "-q", "--", path_of("exits"), "50", "0"],
        stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE, timeout=60)
    os.close(write_end)
    assert done.returncode in (2, 125), done
    assert re.search(rb"^ebprof: [^\n]*reader[^\n]*$", done.stderr, re.MULTILINE), done.stderr
