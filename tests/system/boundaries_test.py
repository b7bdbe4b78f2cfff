# SPDX-License-Identifier: Apache-2.0
"""The build enforces the boundaries between folders: an include across one does not compile, and only the folders
that may use a library call it."""

import functools
import glob
import os
import re
import subprocess

import pytest

from harness import BUILD, ROOT

pytestmark = pytest.mark.no_root


@functools.lru_cache
def make(target):
    return subprocess.run(["make", "--no-print-directory", "-s", f"O={os.path.relpath(BUILD, ROOT)}", target], cwd=ROOT,
        text=True, check=True, stdout=subprocess.PIPE).stdout.split()


def compile_include(folder, header):
    """Whether a file of the folder may include the header."""
    command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", *make(f"print-includes-{folder}"), "-fsyntax-only", "-x", "c", "-"]
    done = subprocess.run(command, input=f'#include "{header}"\n', text=True, cwd=ROOT, stderr=subprocess.PIPE)
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder, header", [
    ("base", "memory.h"), ("symbolize", "object.h"), ("symbolize", "rows.h"), ("collect", "session.h"),
    ("collect", "sample.h"), ("collect", "facts.h"), ("profile", "pprof.h"), ("report", "top.h"),
    ("commands", "session.h"), ("reader", "object.h"),
])
def test_allowed(folder, header):
    compiled, message = compile_include(folder, header)
    assert compiled, message


@pytest.mark.parametrize("folder, header", [
    ("base", "profile.h"), ("base", "session.h"), ("base", "object.h"),
    ("symbolize", "session.h"), ("symbolize", "sample.h"), ("symbolize", "profile.h"), ("symbolize", "reader.h"),
    ("collect", "object.h"), ("collect", "elf_file.h"), ("collect", "top.h"),
    ("profile", "session.h"), ("profile", "sample.h"), ("profile", "object.h"),
    ("report", "session.h"), ("report", "sample.h"), ("report", "object.h"),
    ("commands", "sample.h"), ("commands", "object.h"), ("commands", "walk.h"),
    ("reader", "session.h"), ("reader", "profile.h"),
])
def test_refused(folder, header):
    compiled, message = compile_include(folder, header)
    assert not compiled, f"{folder} can include {header}"
    assert re.search(rf"{re.escape(header)}: No such file", message), message


# Who may call what: calls are undefined symbols of the folder's objects.
LIBRARIES = {
    "libbpf": (r"(bpf_|libbpf_|ring_buffer__|btf__)\w+", {"collect"}),
    "libelf and libdw": (r"(elf_|gelf_|dwarf_|dwfl_|elf32_|elf64_)\w+", {"symbolize"}),
    "the demangler": (r"cplus_demangle\w*|rust_demangle\w*", {"symbolize"}),
    "zlib": (r"deflate\w*|inflate\w*|gz[a-z]+", {"profile", "symbolize"}),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_its_folder_calls_the_library(library):
    pattern, allowed = LIBRARIES[library]
    callers = set()
    for folder in make("print-folders"):
        path = os.path.join(BUILD, folder if folder == "symbolize" else f"userspace/{folder}")
        for object_file in glob.glob(f"{path}/*.o"):
            listing = subprocess.run(["nm", "-u", object_file], text=True, check=True, stdout=subprocess.PIPE).stdout
            if re.search(rf"^\s*U (?:{pattern})$", listing, re.MULTILINE):
                callers.add(folder)
    assert callers, f"nothing calls {library}: was it built?"
    assert callers <= allowed, f"{library} is called by {callers}, allowed {allowed}"


# What parses foreign bytes, and who of the reader's files may call it.
PARSERS = r"(object_(create|destroy|info)|names_find|function_starts_find|unwind_table_\w+)"


def reader_calls(pattern):
    """The files of userspace/reader whose objects call a function."""
    callers = set()
    for object_file in glob.glob(f"{BUILD}/userspace/*/*.o"):
        listing = subprocess.run(["nm", "-u", object_file], text=True, check=True, stdout=subprocess.PIPE).stdout
        if re.search(rf"^\s*U (?:{pattern})$", listing, re.MULTILINE):
            callers.add(os.path.relpath(object_file, f"{BUILD}/userspace"))
    return callers


def test_only_the_reader_process_parses():
    """The library is called by one file; that one by the process, and by the switch that debugging may throw."""
    assert reader_calls(PARSERS) == {"reader/inline.o"}
    assert reader_calls(r"inline_\w+") == {"reader/process.o", "reader/reader.o"}
    # The kernel's own symbols, which are no foreign file.
    assert reader_calls(r"kallsyms_\w+") == {"reader/reader.o"}


def test_public_headers_hide_their_libraries():
    """No header that other folders include names a type of ELF, DWARF or BPF libraries."""
    for header in glob.glob(f"{ROOT}/symbolize/object.h") + glob.glob(f"{ROOT}/userspace/*/*.h"):
        with open(header) as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
        assert not re.search(r"\b(Elf\w*|GElf\w*|Dwarf\w*|Dwfl\w*)\b", text), header
