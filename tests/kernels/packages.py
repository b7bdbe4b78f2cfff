# SPDX-License-Identifier: Apache-2.0
"""Kernels as Debian packages: found, downloaded and unpacked in the build folder, never installed.

apt does it, with a configuration of its own: its lists and its cache are in the build folder and the machine's are left as they
are. The mirror is the one that the machine uses; only the suite is another. apt checks signatures and sums; the sums
are kept beside the packages (SHA256SUMS). What has been unpacked once is used again until "make clean".

A meta-package names the kernel of its suite. Newer Debian splits a kernel into several packages, so those of its
dependencies that belong to the kernel are followed.
"""

import glob
import hashlib
import os
import re
import subprocess

APT_SECONDS = 300
KERNEL_PACKAGE = re.compile(r"^linux-(image|binary|modules|base)-\S*\d\S*$")


class Unavailable(Exception):
    """A package that can't be had here; the text says why."""


def run(*arguments, **keywords):
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=APT_SECONDS, **keywords)
    except FileNotFoundError as error:
        raise Unavailable(f"{arguments[0]} is missing") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{arguments[0]} took more than {APT_SECONDS} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or [done.stderr.strip()]
        raise Unavailable(f"{os.path.basename(arguments[0])}: {lines[-1]}")
    return done.stdout


def mirrors():
    """The machine's own mirrors: {"debian": address, "debian-security": address}."""
    text = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
    found = {}
    for address in text.split():
        found.setdefault(address.rstrip("/").rsplit("/", 1)[1], address)
    if "debian" not in found:
        raise Unavailable("this machine's apt knows no Debian mirror (apt-get update)")
    found.setdefault("debian-security", re.sub(r"debian/*$", "debian-security", found["debian"]))
    return found


class Suite:
    """apt, as if the machine were on another suite."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        sources = os.path.join(folder, "sources.list")
        for sub in ("lists/partial", "cache/archives/partial", "preferences"):
            os.makedirs(os.path.join(folder, sub), exist_ok=True)
        archive = "debian-security" if name.endswith("-security") else "debian"
        with open(sources, "w") as file:
            file.write(f"deb {mirrors()[archive]} {name} main\n")
        self.options = [word for option in (
            f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=-", f"Dir::State::lists={folder}/lists",
            f"Dir::Cache={folder}/cache", "Dir::Etc::preferencesparts=-", "APT::Sandbox::User=root",
            "Acquire::Languages=none", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        ) for word in ("-o", option)]
        run("apt-get", *self.options, "-q", "update")

    def show(self, package):
        """The newest version's fields."""
        text = run("apt-cache", *self.options, "--no-all-versions", "show", package)
        return dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))

    def kernel_packages(self, package):
        """The packages that the kernel of a meta-package consists of."""
        wanted, done = [package], {}
        while wanted:
            name = wanted.pop()
            if name in done:
                continue
            done[name] = self.show(name)
            depends = re.findall(r"([^\s,|]+)(?: \([^)]*\))?(?:,|\||$)", done[name].get("Depends", ""))
            wanted += [other for other in depends if KERNEL_PACKAGE.match(other)]
        return {name: fields for name, fields in done.items() if name != package}

    def download(self, packages, folder):
        run("apt-get", *self.options, "-q", "download", *packages, cwd=folder)


def sum_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Kernel:
    """An unpacked kernel: its image, its release, its modules."""

    def __init__(self, folder):
        self.folder = folder
        releases = glob.glob(f"{folder}/root/lib/modules/*/kernel") + glob.glob(f"{folder}/root/usr/lib/modules/*/kernel")
        if not releases:
            raise Unavailable(f"no modules in the packages of {folder}")
        self.modules = os.path.dirname(releases[0])
        self.release = os.path.basename(self.modules)
        images = glob.glob(f"{folder}/root/boot/vmlinuz-*") + glob.glob(f"{self.modules}/vmlinuz")
        if not images:
            raise Unavailable(f"no kernel image in the packages of {folder}")
        self.image = images[0]
        with open(os.path.join(folder, "SHA256SUMS")) as file:
            self.sums = file.read()


def get_kernel(suite, package, cache):
    """The suite's kernel of a meta-package."""
    folder = os.path.join(cache, f"{suite}-{package}")
    done = os.path.join(folder, "SHA256SUMS")
    if not os.path.exists(done):
        packages = os.path.join(folder, "packages")
        os.makedirs(packages, exist_ok=True)
        apt = Suite(suite, os.path.join(cache, f"apt-{suite}"))
        wanted = apt.kernel_packages(package)
        apt.download(list(wanted), packages)
        files = sorted(glob.glob(os.path.join(packages, "*.deb")))
        for path in files:
            run("dpkg-deb", "-x", path, os.path.join(folder, "root"))
        sums = "".join(f"{sum_of(path)}  {os.path.basename(path)}\n" for path in files)
        for path in files:
            os.unlink(path)
        with open(done, "w") as file:
            file.write(sums)
    return Kernel(folder)
