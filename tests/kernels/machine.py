# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that runs another kernel on this machine's own files.

The root folder of the guest is the host's, by virtiofs and read-only, with memory where tests write (/tmp, /run, /var/tmp):
nothing is installed or copied, so a boot takes seconds even where qemu has to interpret every instruction (TCG). The
first program, in an initramfs of 2 MB, is busybox's shell with the few modules that this takes.

The guest tells through two serial ports: the console, kept in a file for a person to read, and a second one, whose
text is what run() returns.
"""

import contextlib
import gzip
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time

from packages import Unavailable

VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd")
MODULES = ("virtio_pci", "virtiofs")
MEMORY_MIB = 2048
CPUS = 2

INIT = """#!/bin/busybox sh
export PATH=/bin
fail() { echo "ebprof-guest: $*"; poweroff -f; }
/bin/busybox mkdir -p /proc /sys /dev /host /new
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do
	[ -e "$module" ] && { insmod "$module" || fail "cannot load $module"; }
done
mount -t virtiofs -o ro host /host || fail "cannot mount the host's files"
mount -t tmpfs -o size=1g root /new
cd /host
for entry in * ; do
	case "$entry" in
	proc|sys|dev|tmp|run) mkdir "/new/$entry" ;;
	*)	if [ -L "$entry" ]; then
			cp -P "$entry" "/new/$entry"
		elif [ -d "$entry" ]; then
			mkdir "/new/$entry" && mount --bind "$entry" "/new/$entry"
		fi ;;
	esac
done
mount -t tmpfs tmp /new/var/tmp
mount -t tmpfs home /new/root
for folder in @FOLDERS@; do
	mkdir -p "/new$folder" 2>/dev/null
	mount --bind "/host$folder" "/new$folder" || fail "cannot show $folder"
done
cd /
chmod 1777 /new/tmp /new/var/tmp
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t devtmpfs dev /new/dev
mkdir -p /new/dev/shm /new/dev/pts
mount -t tmpfs shm /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t tracefs tracefs /new/sys/kernel/tracing
mount -t bpf bpf /new/sys/fs/bpf
mount -t cgroup2 cgroup /new/sys/fs/cgroup
ln -s /proc/self/fd /new/dev/fd
ifconfig lo up
echo "ebprof-guest: up after $(cut -d' ' -f1 /proc/uptime) s"
umount /proc /sys /dev
exec switch_root /new /bin/sh -c '@COMMAND@ >/dev/ttyS0 2>&1; busybox poweroff -f'
"""


def find_tool(names, package):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise Unavailable(f"{os.path.basename(names[0])} is missing: apt-get install {package}")


# --- initramfs ------------------------------------------------------------------------------------------------------


def read_module(path):
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    return gzip.decompress(data) if path.endswith(".gz") else data


def module_files(kernel):
    """{name: path}; a module's name has _ where its file may have -."""
    found = {}
    for folder, _, files in os.walk(kernel.modules):
        for file in files:
            match = re.match(r"(.+)\.ko(\.xz|\.gz)?$", file)
            if match:
                found[match.group(1).replace("-", "_")] = os.path.join(folder, file)
    return found


def modules_in_order(kernel):
    """The wanted modules and what they need, what is needed first. What has no file is part of the kernel."""
    files = module_files(kernel)
    order = {}

    def add(name):
        name = name.replace("-", "_")
        if name in order or name not in files:
            return
        data = read_module(files[name])
        for needed in re.search(rb"depends=([^\0]*)\0", data).group(1).decode().split(","):
            add(needed)
        order[name] = data

    for name in MODULES:
        add(name)
    return order


def cpio_entry(number, name, mode, data=b"", device=(0, 0)):
    """In the "newc" form that the kernel unpacks."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def write_initramfs(kernel, path, command, folders):
    busybox = find_tool(("busybox",), "busybox-static")
    with open(busybox, "rb") as file:
        program = file.read()
    init = INIT.replace("@COMMAND@", command).replace("@FOLDERS@", " ".join(folders))
    entries = [("bin", stat.S_IFDIR | 0o755), ("modules", stat.S_IFDIR | 0o755), ("dev", stat.S_IFDIR | 0o755),
               ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)),
               ("bin/busybox", stat.S_IFREG | 0o755, program), ("init", stat.S_IFREG | 0o755, init.encode())]
    for place, (name, data) in enumerate(modules_in_order(kernel).items()):
        entries.append((f"modules/{place:02}-{name}.ko", stat.S_IFREG | 0o644, data))
    entries.append(("TRAILER!!!", 0))
    parts = [cpio_entry(number, *entry) for number, entry in enumerate(entries, 1)]
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"".join(parts))


# --- the machine ----------------------------------------------------------------------------------------------------


def stop(process):
    if process.poll() is None:
        process.kill()
    process.wait()


@contextlib.contextmanager
def shared_root(folder):
    """A virtiofs server of the host's root folder; its socket."""
    server = next((path for path in VIRTIOFSD if os.path.exists(path)), None) or find_tool(
        ("virtiofsd",), "qemu-system-common (Debian 12) or virtiofsd")
    path = os.path.join(folder, "root.sock")
    with open(os.path.join(folder, "virtiofsd.log"), "w") as log:
        process = subprocess.Popen([server, f"--socket-path={path}", "-o", "source=/", "-o", "cache=always", "-o",
            "sandbox=chroot"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for _ in range(100):
            if os.path.exists(path):
                break
            if process.poll() is not None:
                with open(os.path.join(folder, "virtiofsd.log")) as log:
                    raise Unavailable(f"virtiofsd does not start: {log.read().strip()[-300:]}")
            time.sleep(0.05)
        yield path
    finally:
        stop(process)


def run(kernel, command, console, append="", seconds=300, folders=()):
    """
    Boots the kernel, runs a shell command (without single quotes) as root and powers off. Folders below /tmp, /run or
    /root that the guest should see are to be named. Returns what the command wrote to /dev/ttyS1, until it took too long. The
    console's text is in the file.
    """
    qemu = find_tool(("qemu-system-x86_64",), "qemu-system-x86")
    with tempfile.TemporaryDirectory(prefix="ebprof-kernel-") as folder, shared_root(folder) as socket:
        initramfs, answer = os.path.join(folder, "initramfs"), os.path.join(folder, "answer")
        write_initramfs(kernel, initramfs, command, folders)
        # KVM where it was asked for: on a machine that is virtual itself it may be there and not work.
        accelerator = os.environ.get("EBPROF_KERNELS_ACCEL", "tcg,thread=multi")
        process = subprocess.Popen([qemu, "-accel", accelerator, "-cpu", "max", "-smp", str(CPUS), "-m", f"{MEMORY_MIB}M",
            "-object", f"memory-backend-memfd,id=memory,size={MEMORY_MIB}M,share=on", "-machine", "q35,memory-backend=memory",
            "-chardev", f"socket,id=root,path={socket}", "-device", "vhost-user-fs-pci,chardev=root,tag=host",
            "-display", "none", "-monitor", "none", "-nodefaults", "-no-reboot", "-device", "virtio-rng-pci",
            "-serial", f"file:{console}", "-serial", f"file:{answer}", "-kernel", kernel.image, "-initrd", initramfs,
            "-append", f"console=ttyS0 panic=-1 quiet mitigations=off {append}".strip()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=seconds)
            if process.returncode:
                raise Unavailable(f"qemu: {said.strip()[-300:]}")
        except subprocess.TimeoutExpired:
            pass
        finally:
            stop(process)
        with open(answer, errors="replace") as file:
            return file.read()
