#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the seeds of the fuzzers out of what every machine has: make_seeds.py FOLDER [PROGRAM_THAT_WRITES_RECORDS]

rows      small ELF files: real program headers' shapes around pieces of real .eh_frame, each found in another way
frames    pieces of real .eh_frame, their functions moved to where the fuzzer's file has code; hand-made entries with
          the instructions, encodings and augmentations that those files lack
maps      /proc/PID/maps of what runs, in pieces; lines of hostile shapes
sideband  records of the kernel (where it lets us), hand-made ones of each type
walk      worlds as fuzz_walk.c reads them, a kind of rule each; bytes of programs, for the rest of the world
"""

import glob
import os
import struct
import subprocess
import sys
import zlib

FILES = ["/bin/true", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1", sys.executable]
CODE, CODE_SIZE, HDR, FRAMES, DEBUG = 0x1000, 0x4000, 0x5000, 0x5100, 0x9000
SHT_PROGBITS, SHT_STRTAB, SHT_NOTE, SHF_ALLOC, SHF_COMPRESSED = 1, 3, 7, 2, 0x800


def write(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


# --- real call-frame information ------------------------------------------------------------------------------------


def section_of(path, wanted):
    """The bytes of a section of a 64-bit file, b"" where there is none."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:5] != b"\x7fELF\x02":
        return b""
    offset, = struct.unpack_from("<Q", data, 40)
    number, names = struct.unpack_from("<HH", data, 60)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + 64 * i) for i in range(number)]
    names_offset = headers[names][4] if names < number else 0
    for header in headers:
        start = names_offset + header[0]
        if data[start:data.index(b"\0", start)] == wanted:
            return data[header[4]:header[4] + header[5]]
    return b""


def entries_of(section):
    """(offset, bytes, offset of its CIE or None) of each entry."""
    at = 0
    while at + 8 <= len(section):
        length, name = struct.unpack_from("<II", section, at)
        if not length or at + 4 + length > len(section):
            return
        yield at, section[at:at + 4 + length], at + 4 - name if name else None
        at += 4 + length


def pieces_of(section, per_piece=5, pieces=12):
    """Runs of entries from all over the section, each a CIE with functions, moved into the fuzzer's code."""
    entries = list(entries_of(section))
    cies = {offset: data for offset, data, cie in entries if cie is None}
    functions = [(data, cies[cie]) for _, data, cie in entries if cie in cies]
    step = max(1, len(functions) // pieces)
    for first in range(0, len(functions), step):
        # What makes a function worth having: its own instructions.
        chosen = sorted(functions[first:first + step], key=lambda item: -len(set(item[0])))[:per_piece]
        placed, out, at_code = {}, b"", CODE + 0x100
        for data, cie in chosen:
            if cie not in placed:
                placed[cie] = len(out)
                out += cie
            size, = struct.unpack_from("<I", data, 12)
            size = max(1, min(size, 0x800))
            field = FRAMES + len(out) + 8
            out += data[:4] + struct.pack("<IiI", len(out) + 4 - placed[cie], at_code - field, size) + data[16:]
            at_code = CODE + (at_code + size - CODE) % (CODE_SIZE - 0x800)
        yield out


def real_pieces():
    for path in FILES:
        if os.path.exists(path):
            yield from pieces_of(section_of(path, b".eh_frame"))


# --- hand-made call-frame information -------------------------------------------------------------------------------


def entry(body, length=None):
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<I", len(body) if length is None else length) + body


def cie(augmentation=b"zR", data=b"\x03", version=1, start=b"\x0c\x07\x08\x90\x01", name=0):
    body = struct.pack("<I", name) + bytes([version]) + augmentation + b"\0"
    body += b"\x08\0" if version == 4 else b""
    body += b"\x01\x78\x10"
    if augmentation.startswith(b"z"):
        body += bytes([len(data)]) + data
    return entry(body + start)


def fde(offset, program, pointer=None, augmentation=b"\0", format="<II", start=CODE + 0x200, size=0x80, at=0):
    name = offset + 4 - at if pointer is None else pointer
    return entry(struct.pack("<I", name & 0xffffffff) + struct.pack(format, start, size) + augmentation + program)


PROGRAMS = [
    b"\x41\x0e\x10\x86\x02\x43\x0d\x06\x02\x20\x0c\x07\x08",             # push rbp; mov; leave
    b"\x0a\x0e\x20\x44\x0b\x03\x10\x00\x0a\x04\x10\x00\x00\x00\x0b",     # remember and restore, advances of all sizes
    b"\x1d\x04\0\0\0\0\0\0\0\x0e\x18\x01\x20\x12\0\0\x0e\x20",           # advance_loc8, set_loc
    b"\x05\x06\x02\x11\x06\x02\x2f\x06\x02\x14\x06\x02\x15\x06\x02",     # offsets of all kinds
    b"\x09\x10\x06\x07\x10\x08\x06\xc6\x06\x06\x13\x02\x12\x07\x02",     # register, undefined, restore, def_cfa_sf
    b"\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22",             # the stubs' expression
    b"\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00\x16\x10\x02\x76\x08",     # a saved CFA; rules by expression
    b"\x10\x10\x04\x08\x08\x22\x06\x16\x06\x03\x23\x10\x96",             # constants, plus_uconst, nop
    b"\x16\x06\x0b\x0a\x01\x00\x0b\x01\x00\x1c\x22\x13\x92\x07\x08",     # const2u and s, minus, drop, bregx
    b"\x16\x07\x05\x0c\x01\0\0\0\x16\x07\x05\x0d\x01\0\0\0",             # const4
    b"\x16\x07\x09\x0e\x01\0\0\0\0\0\0\0\x16\x07\x02\x10\x05"      # const8, constu, consts, lit; what has no effect
    b"\x16\x07\x02\x11\x05\x16\x07\x02\x09\x05\x2d\x2e\x08\x0d\x07",
    b"\x0f\x05\x77\x08\x06\x23\x08\x16\x10\x05\x77\x00\x06\x06\x22\x0e\x90\x80\x80\x80\x08",
    b"\x0a" * 70, b"\x0b", b"\x40" * 80, b"\x0e" + b"\x80" * 40, b"\x3f",
]


def hand_made_sections():
    """(flags of fuzz_frames, bytes)"""
    for program in PROGRAMS:
        head = cie()
        yield 0, head + fde(0, program, at=0, pointer=len(head) + 4)
        head = cie(name=0xffffffff, augmentation=b"", version=4)
        yield 1, head + fde(0, program, pointer=0, augmentation=b"", format="<QQ")
    for encoding, format, start in [(0, "<QQ", CODE), (2, "<HH", CODE), (4, "<QQ", CODE), (0x0a, "<hh", CODE),
            (0x0c, "<qq", CODE), (0x1b, "<iI", CODE - FRAMES - 0x20), (0x2b, "<iI", 0x100), (0x3b, "<iI", -0x7e00),
            (0x50, "<QQ", CODE), (0x9b, "<iI", 0), (0x01, "<BB", 1), (0x09, "<BB", 1), (0xff, "<BB", 1)]:
        head = cie(data=bytes([encoding]))
        yield 4, head + fde(0, b"\x41\x0e\x10", pointer=len(head) + 4, format=format, start=start, size=0x40)
    for augmentation, data in [(b"zPLR", b"\x9b\1\2\3\4\x1b\x03"), (b"zRS", b"\x03"), (b"zRBG", b"\x03"),
            (b"zR?", b"\x03\7"), (b"eh", b""), (b"X", b""), (b"z" + b"R" * 40, b"\x03" * 40), (b"zP", b"\xff")]:
        head = cie(augmentation=augmentation, data=data)
        yield 8, head + fde(0, b"\x41\x0e\x10", pointer=len(head) + 4)
    wide = struct.pack("<IQ", 0xffffffff, 24) + b"\0\0\0\0\1zR\0\1\x78\x10\1\x03\x0c\7\x08\x90\1" + b"\0" * 2
    yield 0, wide + fde(0, b"\x41\x0e\x10", pointer=len(wide) + 4)
    body = struct.pack("<Q", 2**64 - 1) + b"\4\0\x08\0\1\x78\x10\x0c\7\x08\x90\1"
    wide = struct.pack("<IQ", 0xffffffff, len(body)) + body
    body = struct.pack("<QQQ", 0, CODE + 64, 32) + b"\x41\x0e\x10"
    yield 1, wide + struct.pack("<IQ", 0xffffffff, len(body)) + body
    yield 0, struct.pack("<I", 0xfffffff0) + b"\0" * 60
    head = cie()
    nested = head
    for i in range(12):
        nested += fde(0, b"\x41\x0e\x10\x44\x0e\x18", pointer=len(nested) + 4, start=CODE + 8 * i, size=0x200 - 16 * i)
    yield 8, nested


# --- whole files ----------------------------------------------------------------------------------------------------


class Image:
    """An ELF file: code, then data; parts are added at its end."""

    def __init__(self, bits=64, kind=3, entry_addr=0):
        self.bits, self.kind, self.entry_addr = bits, kind, entry_addr
        self.segments, self.sections = [], []
        self.data = bytearray(0x400)
        self.code = self.append(b"\x90" * 64 + b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05" + b"\xc3" * 503)
        self.segment(1, 5, self.code, 576)

    def append(self, data):
        self.data += b"\0" * (-len(self.data) % 16)
        place = len(self.data)
        self.data += data
        return place

    def segment(self, kind, flags, place, size, align=4096):
        self.segments.append((kind, flags, place, size, align))

    def section(self, name, place, size, kind=SHT_PROGBITS, flags=SHF_ALLOC):
        self.sections.append((name, place, size, kind, flags))

    def header(self, offset_of_sections, number, names):
        ident = b"\x7fELF" + bytes([2 if self.bits == 64 else 1, 1, 1]) + b"\0" * 9
        wide = "QQQ" if self.bits == 64 else "III"
        sizes = (64, 56, 64) if self.bits == 64 else (52, 32, 40)
        return ident + struct.pack("<HHI" + wide + "IHHHHHH", self.kind, 62 if self.bits == 64 else 3, 1,
            self.entry_addr, sizes[0], offset_of_sections, 0, sizes[0], sizes[1], len(self.segments), sizes[2], number,
            names)

    def finish(self, with_sections=True):
        offset = number = names_index = 0
        if with_sections:
            names = b"\0"
            rows = [(0,) * 6]
            for name, place, size, kind, flags in self.sections + [(".shstrtab", 0, 0, SHT_STRTAB, 0)]:
                rows.append((len(names), kind, flags, place if flags & SHF_ALLOC else 0, place, size))
                names += name.encode() + b"\0"
            place = self.append(names)
            rows[-1] = rows[-1][:4] + (place, len(names))
            form = "<IIQQQQIIQQ" if self.bits == 64 else "<IIIIIIIIII"
            offset = self.append(b"".join(struct.pack(form, *row, 0, 0, 1, 0) for row in rows))
            number, names_index = len(rows), len(rows) - 1
        headers = b""
        for kind, flags, place, size, align in self.segments:
            headers += (struct.pack("<IIQQQQQQ", kind, flags, place, place, place, size, size, align)
                if self.bits == 64 else struct.pack("<IIIIIIII", kind, place, place, place, size, size, flags, align))
        head = self.header(offset, number, names_index) + headers
        self.data[:len(head)] = head
        return bytes(self.data)


def frames_at(code, place, piece):
    """A CIE and two functions for a file made here, absolute addresses; then a real piece for its instructions."""
    head = cie()
    out = head
    for i in range(2):
        out += fde(0, PROGRAMS[i], pointer=len(out) + 4, start=code + 0x80 * i + 16, size=0x60)
    return out + piece + b"\0\0\0\0"


def debug_frames(code, program):
    head = cie(name=0xffffffff, augmentation=b"", version=3)
    return head + fde(0, program, pointer=0, augmentation=b"", format="<QQ", start=code + 16, size=0x60)


# --- Go -------------------------------------------------------------------------------------------------------------

# Names, code and deltas {value: bytes} of 64 bytes of code each: frames of both kinds, and functions that change stacks.
GO_FUNCTIONS = [
    ("main.framed", "554889e5", [(0, 1), (8, 0x3d), (0, 2)]),
    ("main.old", "4883ec1848896c2410488d6c2410", [(0, 4), (24, 0x38), (0, 4)]),
    ("runtime.goexit", "90e87a00000090", [(0, 7)]),
    ("runtime.systemstack", "64488b0425f8ffffff488b5830483b83c00000004889dcffd7488b6038c3",
        [(0, 64)]),
    ("runtime.goexit1", "c3", [(0, 64)]),
    ("runtime.asmcgocall", "488b663848897c2430488b7f084829d748897c2428ffd04889f4c34883ec404889542428ffd04889f4c3", [(0, 64)]),
    ("runtime.morestack", "48896e68488b6338e800000000c3", [(0, 64)]),
    ("runtime.mcall", "554889e5498b66384155", [(0, 1), (8, 63)]),
    ("runtime.nanotime1", "4883ec1848896c2410488d6c2410488b6238488b6c24104883c418c3", [(0, 4), (24, 23), (0, 37)]),
]


def leb(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def go_deltas(stretches):
    out, before = b"", -1
    for value, size in stretches:
        change = value - before
        out += leb(2 * change if change >= 0 else -2 * change - 1) + leb(size)
        before = value
    return out + b"\0"


def go_table(version, code):
    """The function table in the layout of Go 1.2, 1.16, 1.18 or 1.20 (version 0 to 3)."""
    names, values, described, entries = b"", b"\0", b"", []
    base = 0 if version >= 2 else code
    start_of = [base + 64 * i for i in range(len(GO_FUNCTIONS) + 1)]
    names_at, values_at, list_at = (0x100, 0x200, 16) if version == 0 else (0x80, 0x180, 0x280)
    offset = 0x100 if version else 0x300
    for i, (name, _, stretches) in enumerate(GO_FUNCTIONS):
        flat = version == 0
        entries.append((start_of[i], offset + len(described)))
        described += struct.pack("<Q" if version < 2 else "<I", start_of[i])
        described += struct.pack("<IIII", len(names) + flat * names_at, 0, 0, len(values) + flat * values_at)
        described += b"\0" * [12, 16, 16, 20][version] + struct.pack("<BBBB", 0, 2 * ("runtime" in name), 0, 0)
        names += name.encode() + b"\0"
        values += go_deltas(stretches)
    form = "<QQ" if version < 2 else "<II"
    listed = b"".join(struct.pack(form, *entry) for entry in entries) + struct.pack(form[:2], start_of[-1])
    table = bytearray(0x600)
    head = struct.pack("<IHBBQ", [0xfffffffb, 0xfffffffa, 0xfffffff0, 0xfffffff1][version], 0, 1, 8, len(GO_FUNCTIONS))
    if version:
        head += struct.pack("<Q", 0) + (struct.pack("<Q", code) if version > 1 else b"")
        head += struct.pack("<QQQQQ", names_at, 0, 0, values_at, 0x280)
    for place, part in ((0, head), (names_at, names), (values_at, values), (list_at, listed),
            (offset + (0x280 if version else 0), described)):
        table[place:place + len(part)] = part
    return bytes(table)


def go_files():
    for version in range(4):
        for is_named in (False, True):
            image = Image(kind=2, entry_addr=0x410)
            for i, (_, code, _) in enumerate(GO_FUNCTIONS):
                image.data[image.code + 64 * i:image.code + 64 * i + len(code) // 2] = bytes.fromhex(code)
            place = image.append(go_table(version, image.code))
            image.segment(1, 4, place, 0x600)
            if is_named:
                image.section(".gopclntab", place, 0x600)
            yield image.finish(with_sections=is_named)


def whole_files():
    yield from go_files()
    pieces = list(real_pieces())[:24]
    for index, piece in enumerate(pieces):
        image = Image(kind=2 + index % 2, entry_addr=0x400 + 32 * (index % 3))
        place = image.append(frames_at(image.code, 0, piece[:700]))
        size = len(image.data) - place
        note = image.append(struct.pack("<III", 4, 20, 3) + b"GNU\0" + bytes(range(20)))
        header = image.append(b"\1\x1b\x03\x3b" + struct.pack("<iI", 0, 0))
        struct.pack_into("<i", image.data, header + 4, place - header - 4)
        interpreter = image.append(b"/lib64/ld-linux-x86-64.so.2\0")
        dynamic = image.append(struct.pack("<QQQQ", 0x6ffffffb, 0x08000000, 0, 0))
        image.segment(1, 4, place, len(image.data) - place)
        image.segment(0x6474e550, 4, header, 12)
        image.segment(4, 4, note, 36, 4 if index % 2 else 8)
        if index % 3 == 0:
            image.segment(3, 4, interpreter, 28)
        if index % 3 == 1:
            image.segment(2, 6, dynamic, 32)
        if index % 4 != 3:
            image.section(".eh_frame", place, size)
        image.section(".text", image.code, 576)
        image.section(".got", dynamic, 16)
        image.section(".note", note, 36, SHT_NOTE)
        yield image.finish(with_sections=index % 4 != 2)
    for index, program in enumerate(PROGRAMS):
        image = Image(entry_addr=0x410)
        data, flags, name = debug_frames(image.code, program), 0, ".debug_frame"
        if index % 3 == 1:
            data, flags = struct.pack("<IIQQ", 1, 0, len(data), 8) + zlib.compress(data), SHF_COMPRESSED
        if index % 3 == 2:
            data, name = b"ZLIB" + struct.pack(">Q", len(data)) + zlib.compress(data), ".zdebug_frame"
        image.section(name, image.append(data), len(data), flags=flags)
        yield image.finish()
    yield Image(bits=32).finish()
    yield Image().finish(with_sections=False)


# --- maps -----------------------------------------------------------------------------------------------------------


def maps_texts():
    for path in sorted(glob.glob("/proc/[0-9]*/maps"))[:40] + ["/proc/self/maps"]:
        try:
            with open(path, "rb") as file:
                lines = file.read().splitlines(keepends=True)
        except OSError:
            continue
        code = [line for line in lines if b"x" in line.split()[1]]
        yield b"".join(code[:4])
        yield b"".join(lines[-3:])
    good = b"7f0000000000-7f0000002000 r-xp 00001000 fe:00 1837   /usr/bin/cat\n"
    for change in [(b"/usr/bin/cat", b"/a b\\012c (deleted)"), (b"r-xp", b"--xs"), (b"fe:00", b"ffffffff:ffffffff"),
            (b"1837", b"18446744073709551616"), (b"r-xp", b"rwxq"), (b"7f0000002000", b"0"), (b"\n", b""),
            (b"/usr/bin/cat", b""), (b"/usr", b"\0"), (b"7f0000000000", b"10000000000000000"), (b"-", b" ")]:
        yield good + good.replace(*change)
    yield b"".join(b"%x-%x r-xp 0 0:0 0\n" % (start, end) for start, end in [(4096, 36864), (8192, 12288), (0, 40960),
        (16384, 20480), (20480, 24576), (4096, 8192), (12288, 28672)])


# --- records --------------------------------------------------------------------------------------------------------


def record(kind, misc, body, time=1000):
    body += struct.pack("<IIQII", 70, 71, time, 1, 0)
    return struct.pack("<IHH", kind, misc, 8 + len(body)) + body


def records():
    by_inode, by_build_id = struct.pack("<IIQQ", 8, 1, 99, 0), bytes([20, 0, 0, 0]) + bytes(range(20))
    mmap = struct.pack("<IIQQQ", 50, 51, 0x7000, 0x2000, 0x3000)
    kinds = [record(10, 0, mmap + by_inode + struct.pack("<II", 5, 2) + b"/lib/x.so (deleted)\0\0\0\0\0"),
        record(10, 1 << 14, mmap + by_build_id + struct.pack("<II", 4, 2) + b"/x\0\0\0\0\0\0", 900),
        record(3, 1 << 13, struct.pack("<II", 50, 51) + b"name\0\0\0\0", 800),
        record(2, 0, struct.pack("<QQ", 12, 17), 700), record(5, 0, struct.pack("<QQQ", 1, 2, 3), 850),
        record(6, 0, struct.pack("<QQQ", 1, 2, 3), 850)]
    for one in kinds:
        yield b"\0" + one
    yield b"\x05" + b"".join(kinds * 3)
    yield b"\1" + kinds[2] + b"\0" * 8
    yield b"\1" + record(3, 0, struct.pack("<II", 50, 51) + b"x" * 4000 + b"\0" * 8) * 2


# --- worlds to walk in ----------------------------------------------------------------------------------------------

# Words as take_word() reads them; stack and code by their index, of 8 and of 5 bytes.
NUMBER, ON_STACK, RAW, IN_CODE = 0, 2, 5, 6
(CFA_NONE, CFA_ROOT, CFA_SIGNAL, CFA_UNSUPPORTED, CFA_REGISTER, CFA_MEMORY, CFA_INDEXED, CFA_PLT, CFA_STACK_TOP,
    CFA_GOROUTINE) = range(10)
RBX, RBP, RSP = 3, 6, 7
SAME, AT_CFA, AT_REGISTER, REGISTER, UNDEFINED = range(5)
INFERRED, OTHER_STACK, CALLER_EXACT = 1, 2, 4
IS_32BIT, PROBED, REFUSES_PAGE = 1 << 28, 1 << 29, 8 << 24


def word(kind, value=0):
    return struct.pack("<HQ", kind, value) if kind == RAW else struct.pack("<H", kind | value << 3)


def rule(cfa, reg=RSP, ra=AT_CFA, ra_reg=RSP, rbp=SAME, rbp_reg=RBP, place=2, near=(0, 0, 0, 0, 0), ra_offset=None,
        odd=b""):
    fields = [(cfa, 4), (0, 1), (reg, 4), (0, 1), (ra, 3), (ra_reg, 4), (rbp, 3), (rbp_reg, 4), (0, 3), (place, 4),
        (ra_offset is None, 1), (bool(odd), 1)]
    bits = at = 0
    for value, size in fields:
        bits |= int(value) << at
        at += size
    out = struct.pack("<Q", bits)[:5]
    if ra_offset is not None:
        out += struct.pack("<h", ra_offset)
    if cfa >= CFA_STACK_TOP:
        out += struct.pack("<5b", *near)
    return out + odd


def odd(flags=0, rbx=0, cfa=16, add=0):
    return struct.pack("<Bhih", flags, rbx, cfa, add)


def world(rules, stack, pc=word(IN_CODE, 20), odd=0, regs=(), base=word(ON_STACK, 8), probed=b"", real=word(NUMBER),
        code=b"\1" * 8, granule=struct.pack("<H", 4 << 10), tables=b""):
    """All code has the first of the rules, all of the stack these words over and over; rbp is a bit above rsp."""
    start = {**{i: word(ON_STACK, 16 + i) for i in range(16)}, RSP: word(ON_STACK, 2), RBP: word(ON_STACK, 6)}
    start.update(regs)
    out = struct.pack("<HI", 96, odd | 0xff)
    out += b"".join(rules[i % len(rules)] for i in range(28))
    out += granule * 32 + struct.pack("<H", 5 << 10) * 128 + tables + code
    out += (probed if odd & PROBED else b"") + real
    return out + b"".join(start[i] for i in range(16)) + base + pc + b"".join(stack)


def worlds():
    call, up = word(IN_CODE, 20), word(ON_STACK, 200)
    usual = [call, up]
    # Every way to a CFA with every way to the return address; rbp at places that are there, and that are not.
    for cfa in range(10):
        for ra in range(5):
            for reg, rbp in [(RSP, SAME), (RBP, AT_CFA), (RBX, AT_REGISTER), (0, REGISTER), (12, UNDEFINED)]:
                yield world([rule(cfa, reg=reg, ra=ra, ra_reg=reg, rbp=rbp, rbp_reg=reg)], usual)
                yield world([rule(cfa, reg=reg, ra=ra, rbp=rbp, odd=odd(INFERRED | CALLER_EXACT, rbx=-24))], [call])
    # A goroutine's stack: {state, thread, goroutine, rsp, pc} follow each other from where the thread's base points.
    states = [word(ON_STACK, 8 + 8 * i) for i in range(1, 5)]
    for ra in (AT_CFA, SAME):
        for rbp in (SAME, AT_REGISTER):
            for near in [(0, 0, 0, 1, 0), (0, 0, 0, 0, 1), (127, -128, 5, 6, 7), (0, 0, 0, -128, 0), (1, 1, 1, 1, -1)]:
                for stack in ([*states, call], [up], [up, call], [word(NUMBER)], [word(RAW, 2 ** 64 - 1), up],
                        [word(RAW, 0x7ff000000804), call]):
                    yield world([rule(CFA_GOROUTINE, ra=ra, rbp=rbp, near=near)], stack)
                    yield world([rule(CFA_STACK_TOP, ra=ra, rbp=rbp, near=near)], stack)
    yield world([rule(CFA_GOROUTINE)], usual, base=word(NUMBER))
    yield world([rule(CFA_GOROUTINE)], [word(NUMBER), word(ON_STACK, 9), word(ON_STACK, 10)])
    yield world([rule(CFA_GOROUTINE, ra=SAME, rbp=AT_REGISTER, near=(0, 0, 0, 0, 16))],
        [word(ON_STACK), call, up, word(ON_STACK, 14), word(ON_STACK, 10)])
    # {state, distance} at rsp; the stack's top is in the state, and the return address that far below it.
    for distance in (word(NUMBER, 16), word(NUMBER, 13), word(RAW, 2 ** 63)):
        for top in (-1, 0, 1):
            yield world([rule(CFA_STACK_TOP, near=(0, 1, top, 0, 0))], [word(ON_STACK, 4), distance, call, up, call],
                regs=[(RSP, word(ON_STACK))])
    # A stack that leads to itself is walked to the greatest depth; one of 8 KiB to its end.
    yield world([rule(CFA_REGISTER, odd=odd(OTHER_STACK, cfa=0))], [call])
    yield world([rule(CFA_REGISTER, place=1)], [call])
    # Without rules: leaves, chains of frame pointers that end in 0, in an odd word, in what is not there; 32 bits.
    for flags in (0, IS_32BIT, REFUSES_PAGE, REFUSES_PAGE | IS_32BIT):
        for stack in ([up, call], [word(NUMBER), call], [word(NUMBER)], [call, word(NUMBER)], [word(NUMBER, 1)]):
            for rbp in (word(ON_STACK, 6), word(NUMBER), word(ON_STACK, 511), word(ON_STACK, 512), word(NUMBER, 3)):
                yield world([rule(CFA_NONE)], stack, odd=flags, regs=[(RBP, rbp)], code=b"\0" * 72)
                yield world([rule(CFA_NONE)], stack, odd=flags, regs=[(RBP, rbp)])
    # Calls through every operand, of every length; what precedes a place in the code that is in no mapping.
    for modrm in (0x10, 0x14, 0x15, 0x50, 0x54, 0x90, 0x94, 0xd0, 0x08):
        for length in range(1, 8):
            yield world([rule(CFA_NONE)], [call], code=bytes([2 | (8 - length) % 8 << 2, modrm, 0x25]) * 8)
    yield world([rule(CFA_NONE)], [word(NUMBER, 77)])
    # Frames on rbp that lie below; pc in a probe's page; a caller in no mapping; values that have no place.
    yield world([rule(CFA_REGISTER, reg=RBP)], usual, regs=[(RSP, word(ON_STACK, 500))])
    yield world([rule(CFA_REGISTER)], usual, pc=word(NUMBER, 99), odd=PROBED, probed=word(NUMBER, 99), real=call)
    yield world([rule(CFA_REGISTER)], [word(NUMBER, 99), up])
    for offset in (-8, -12, -16):
        yield world([rule(CFA_REGISTER, ra_offset=offset, rbp=REGISTER, rbp_reg=12)], usual)
        yield world([rule(CFA_REGISTER, ra_offset=offset, ra=AT_REGISTER, ra_reg=12)], usual)
    # Rows in a granule; the fixed rules; rows, index entries and rules that are nowhere.
    two = [rule(CFA_REGISTER), rule(CFA_REGISTER, reg=RBX), rule(CFA_INDEXED, reg=RBX)]
    nowhere = struct.pack("<QII", 0, 2 ** 32 - 1, 2 ** 32 - 1)
    for bits in (5 << 10 | 5 << 7 | 3, 1 << 10, 2 << 10, 3 << 10):
        yield world(two, usual, granule=struct.pack("<H", bits))
    for first, number, kind in [(2 ** 32 - 1, 5, 4), (64, 0xffff, 4), (64, 0, 0xffff)]:
        yield world(two, usual, granule=struct.pack("<HIHH", 0x8000, first, number, kind))
    yield world(two, usual, odd=0xf00, tables=nowhere * 4)


def main():
    folder = sys.argv[1]
    for index, piece in enumerate(real_pieces()):
        write(f"{folder}/frames", f"real-{index}", bytes([2 * (index % 5 == 4) | 8 * (index % 2), index % 8]) + piece)
    for index, (flags, section) in enumerate(hand_made_sections()):
        write(f"{folder}/frames", f"made-{index}", bytes([flags, 32]) + section)
    for name, inputs in [("rows", whole_files()), ("maps", maps_texts()), ("sideband", records())]:
        for index, data in enumerate(inputs):
            write(f"{folder}/{name}", f"seed-{index}", data)
    for index, data in enumerate(worlds()):
        write(f"{folder}/walk", f"made-{index}", data)
    for path in FILES[:3]:
        with open(path, "rb") as file:
            data = file.read()
        for index in range(0, 32):
            at = index * (len(data) - 2048) // 32
            write(f"{folder}/walk", f"{os.path.basename(path)}-{index}", data[at:at + 512 + 48 * index])
    if len(sys.argv) > 2:
        subprocess.run([sys.argv[2], f"{folder}/sideband", "/bin/true"], check=True, stdout=subprocess.DEVNULL)


main()
