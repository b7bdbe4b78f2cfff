# SPDX-License-Identifier: Apache-2.0
"""Hand-written assembly: libc's in all variants, libcrypto's, and leaves without any unwind information."""

import re
import shutil
import subprocess

import pytest

from harness import BUILD, assert_complete, is_early, record, record_command, user_names_of
from shapes import ANY, DRIVEN, assert_chains

# Each makes libc choose other variants of its string functions.
HWCAPS = {
    "default": "",
    "no AVX-512": "-AVX512VL,-AVX512BW",
    "AVX2 without ERMS": "-AVX512VL,-AVX512BW,-ERMS,-FSRM,-Prefer_No_VZEROUPPER",
    "RTM": "-AVX512VL,-AVX512BW,RTM",
    "SSE4.2": "-AVX512VL,-AVX512BW,-AVX2,-AVX2_Usable",
    "SSE2": "-AVX512VL,-AVX512BW,-AVX2,-AVX2_Usable,-AVX,-SSE4_2,-SSE4_1,-SSSE3,-Fast_Unaligned_Copy",
    "SSSE3": "-AVX512VL,-AVX512BW,-AVX2,-AVX2_Usable,-AVX,-SSE4_2,-Fast_Unaligned_Load,Fast_Copy_Backward",
}
OPENSSL = """openssl speed -seconds 1 -bytes 1024 sha256 sha512 md5 sha1
openssl speed -seconds 1 rsa2048 ecdsap256 ecdhx25519
for cipher in aes-128-gcm chacha20-poly1305 aes-256-cbc aes-128-ctr; do
    openssl speed -seconds 1 -bytes 8192 -evp $cipher
done"""


@pytest.mark.parametrize("hwcaps", HWCAPS)
def test_libc_string_functions(hwcaps):
    """Whichever variant runs, call_NAME called it; libc's debug information adds functions that it has inlined."""
    _, recording = record_command("shape_assembly", 1, "strings", rate=2999,
                                  environment={"GLIBC_TUNABLES": f"glibc.cpu.hwcaps={HWCAPS[hwcaps]}"})
    assert_chains(recording, r"call_\w+", rf"(?:{ANY};){{0,3}}call_\w+;run_strings;{DRIVEN}", anywhere=True, least=1000)
    leaves = {user_names_of(sample)[0] for sample in recording.profile.samples if "run_strings" in user_names_of(sample)}
    assert len(leaves) >= 15, leaves
    assert_complete(recording, libraries=1)


@pytest.mark.parametrize("mode, between", [("direct", ""), ("pointer", "bare_call_(?:rax|memory);"), ("bp", "bare_bp;")])
def test_leaf_without_unwind_information(mode, between):
    """The word at the stack pointer is its return address, as a call instruction before that confirms; and it is told."""
    _, recording = record_command("shape_assembly", 0.8, mode)
    assert_chains(recording, "bare_leaf", rf"bare_leaf;{between}run_{mode};{DRIVEN}")
    assert recording.counters["guessed_stacks"] >= 0.95 * recording.count_of("bare_leaf")
    assert_complete(recording, libraries=1)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is missing: apt-get install openssl")
def test_libcrypto(tmp_path):
    """
    OpenSSL's own assembly as distributions ship it, stripped: nothing is incomplete but what came before a table, and
    whatever libdwfl finishes from the same registers and stack, it finds to be the same.
    """
    capture = tmp_path / "stacks"
    recording = record("--capture-stacks", capture, "--ring", "256m", command=["/bin/sh", "-c", OPENSSL], rate=199)
    early = recording.count(is_early)
    ends = {name: value for name, value in recording.counters.items() if name.startswith("user_") and value}
    others = recording.stats["user_stacks"] - early
    assert others > 1000
    assert recording.stats["complete"] >= 0.999 * others, ends
    done = subprocess.run([f"{BUILD}/tests/replay/replay", "-n", "10", str(capture)], text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90)
    counts = dict(re.findall(r"([a-z][a-z ]*?) (\d+)[,;]", re.search(r"^total: .*$", done.stdout, re.M).group(0)))
    assert int(counts["equal"]) > 0.8 * others, done.stdout
    assert int(counts["different"]) <= 0.0005 * int(counts["equal"]), done.stdout
