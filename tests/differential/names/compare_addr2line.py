#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares names, files, lines and inline chains with binutils' addr2line on a matrix of builds.

Usage: compare_addr2line.py DUMP_NAMES [-n ADDRESSES] [-s SEED] [-k]

Each fixture program is built by gcc and clang, -O0 and -O2, DWARF 4 and 5, PIE and not, plus link-time optimisation,
dropped sections and compressed sections; each is asked twice, with its debug information inside and stripped
with a debug file beside it. Asked are the start of every function symbol and ADDRESSES seeded addresses inside
functions. The truth is `addr2line -f -i -a` on the unstripped program: raw names against system_name, and the chain
of file:line. The file of a line that is unknown (0) is not compared.

addr2line (binutils 2.40) is wrong in four ways that these programs show. Such an answer is excused only if it differs
in just that way *and* llvm-symbolizer gives our chain, name by name and line by line:

  rnglistx   clang's DWARF 5 gives ranges of inlined calls by index, which addr2line doesn't read: its chain lacks
             these frames. Excused: a chain shorter than ours, whose innermost place and outermost name are ours.
  symbol     a function without mangled name in a C++ unit is called by the ELF symbol at the address, also where it is
             inlined. Excused: those of its names that differ are that symbol's, all places are equal.
  outermost  a function to which DWARF gives no linkage name is called by its name without scopes ("grow"); ours is the
             mangled symbol that starts there. Excused: our last name is the symbol's, all places are equal, and
             other names differ at most as in the class before. llvm-symbolizer always takes the symbol's name for the
             outermost function: there, DWARF's name is accepted from us too if the symbol is a clone of it ("f.cold").
  artificial the line table that gcc's link-time optimisation writes is read with the wrong file number. Excused:
             addr2line's innermost file is "<artificial>", everything else is equal.

Anything else is printed as a difference, and the exit status is 1.
"""
import argparse
import collections
import concurrent.futures
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fixtures')
WITNESS = next((w for w in ('llvm-symbolizer', 'llvm-symbolizer-14') if shutil.which(w)), None)
SOURCES = ['chains.c', 'left/same.c', 'right/same.c', 'assembly.S', 'classes.cc']


def run(command, **kwargs):
    result = subprocess.run(command, capture_output=True, text=True, **kwargs)
    if result.returncode != 0:
        sys.exit(f'{" ".join(command)}: status {result.returncode}\n{result.stderr}')
    return result.stdout


def builds():
    """Yields name, C compiler, C++ compiler, compile flags, link flags."""
    compilers = [('gcc', 'gcc', 'g++'), ('clang', 'clang', 'clang++')]
    for (name, cc, cxx), level, dwarf, pie in itertools.product(compilers, ['-O0', '-O2'], [4, 5], [True, False]):
        position = (['-fPIE'], ['-pie']) if pie else (['-fno-pie'], ['-no-pie'])
        yield (f'{name}{level}-dwarf{dwarf}-{"pie" if pie else "fixed"}', cc, cxx,
               [level, f'-gdwarf-{dwarf}', *position[0]], position[1])
    for name, cc, cxx in compilers:
        yield f'{name}-gc', cc, cxx, ['-O2', '-g', '-ffunction-sections'], ['-Wl,--gc-sections']
        yield f'{name}-gz', cc, cxx, ['-O2', '-g', '-gz'], ['-gz']
    yield 'gcc-lto', 'gcc', 'g++', ['-O2', '-g', '-flto'], ['-O2', '-g', '-flto=1']


def build(folder, cc, cxx, compile_flags, link_flags):
    objects = []
    for source in SOURCES:
        compiler = cxx if source.endswith('.cc') else cc
        objects.append(os.path.join(folder, source.replace('/', '_') + '.o'))
        run([compiler, *compile_flags, '-c', os.path.join(FIXTURES, source), '-o', objects[-1]])
    program = os.path.join(folder, 'program')
    run([cxx, *link_flags, *objects, '-o', program])
    return program


def split(folder, program):
    """A stripped copy whose debug file lies in .debug/ beside it."""
    stripped = os.path.join(folder, 'stripped')
    debug = os.path.join(folder, '.debug', 'stripped.debug')
    os.mkdir(os.path.dirname(debug))
    run(['objcopy', '--only-keep-debug', program, debug])
    run(['objcopy', '--strip-all', f'--add-gnu-debuglink={debug}', program, stripped])
    return stripped


def addresses(program, nr, seed):
    """Addresses, and the names of the ELF symbols (aliases) that each is in."""
    functions = collections.defaultdict(set)
    for line in run(['readelf', '-sW', program]).splitlines():
        match = re.match(r'\s*\d+: ([0-9a-f]+)\s+(\S+) (?:FUNC|NOTYPE)\s+\S+\s+\S+\s+\d+ (\S+)', line)
        if match and (int(match[2], 0) > 0 or match[3] == 'assembly_unsized'):
            functions[int(match[1], 16), max(int(match[2], 0), 1)].add(match[3])
    ranges = sorted(functions)
    rng = random.Random(seed)
    symbols = {start: functions[start, size] for start, size in ranges}
    for start, size in rng.choices(ranges, [size for _, size in ranges], k=nr):
        symbols[start + rng.randrange(size)] = functions[start, size]
    return sorted(symbols), symbols


def ask_gnu_style(command, addrs):
    """Asks addr2line or something that prints as it does."""
    answers = {}
    current = None
    text = run(command, input=''.join(f'0x{a:x}\n' for a in addrs))
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith('0x'):
            current = answers.setdefault(int(line, 16), [])
            continue
        place = re.sub(r' \(discriminator \d+\)$', '', next(lines))
        file, _, number = place.rpartition(':')
        current.append((line.replace('??', '?'), os.path.normpath(file) if file != '??' else '?', int(number) if number.isdigit() else 0))
    return answers


def ask_ebprof(dump, program, addrs):
    answers = {}
    lines = iter(run([dump, program], input=''.join(f'{a:x}\n' for a in addrs)).splitlines())
    for line in lines:
        head, nr = line.split(' ', 1)
        if head == 'status':
            return answers, nr
        frames = answers.setdefault(int(head, 16), [])
        for _ in range(int(nr)):
            system_name, _, file, number, _ = next(lines).split('\t')
            frames.append((system_name, os.path.normpath(file) if file != '?' else '?', int(number)))
    sys.exit('dump_names ended without its status')


def excuse(ours, theirs, witness, symbols):
    """The class of addr2line's mistake, or None."""
    if len(witness) != len(ours) or [f[1:] for f in witness] != [f[1:] for f in ours]:
        return None
    if [f[0] for f in witness[:-1]] != [f[0] for f in ours[:-1]]:
        return None
    if ours[-1][0] not in symbols | {witness[-1][0]} and not any(s.startswith(ours[-1][0] + '.') for s in symbols):
        return None
    if len(theirs) < len(ours):
        return 'rnglistx' if theirs[0][1:] == ours[0][1:] and theirs[-1][0] in (ours[-1][0], ours[0][0]) else None
    if len(theirs) > len(ours):
        return None
    if theirs[0][1].endswith('/<artificial>') and theirs[0][2] == ours[0][2] and theirs[1:] == ours[1:]:
        return 'artificial'
    if [f[1:] for f in theirs] != [f[1:] for f in ours]:
        return None
    wrong = [i for i in range(len(ours)) if theirs[i][0] not in symbols | {ours[i][0]}]
    if not wrong:
        return 'symbol'
    return 'outermost' if wrong == [len(ours) - 1] and ours[-1][0] in symbols else None


def without_unknown(frames):
    return [(name, file if line else '?', line) for name, file, line in frames]


def compare(dump, work, nr, seed, case):
    name, cc, cxx, compile_flags, link_flags = case
    folder = os.path.join(work, name)
    os.mkdir(folder)
    program = build(folder, cc, cxx, compile_flags, link_flags)
    addrs, symbols = addresses(program, nr, seed)
    truth = ask_gnu_style(['addr2line', '-f', '-i', '-a', '-e', program], addrs)
    witness = ask_gnu_style([WITNESS, '--no-demangle', '--output-style=GNU', '-f', '-i', '-a', '-e', program], addrs)
    differences = []
    excused = collections.Counter()
    for kind, path in (('inside', program), ('beside', split(folder, program))):
        ours, status = ask_ebprof(dump, path, addrs)
        if status != ('1 1 0' if kind == 'inside' else '1 1 1'):
            differences.append(f'{name} {kind}: status is {status}')
        for addr in addrs:
            us, them, third = (without_unknown(answers[addr]) for answers in (ours, truth, witness))
            if us == them:
                continue
            reason = excuse(us, them, third, symbols[addr])
            if reason:
                excused[reason] += 1
            else:
                differences.append(f'{name} {kind} {addr:x} ({" ".join(sorted(symbols[addr]))}):\n'
                                   f'  addr2line {them}\n  llvm      {third}\n  ebprof    {us}')
    return name, 2 * len(addrs), differences, excused


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('dump')
    parser.add_argument('-n', type=int, default=200)
    parser.add_argument('-s', type=int, default=1)
    parser.add_argument('-k', action='store_true', help='keep the builds')
    options = parser.parse_args()
    if not WITNESS:
        sys.exit('llvm-symbolizer is missing: install llvm')
    excused = collections.Counter()
    work = tempfile.mkdtemp(prefix='ebprof-names-')
    total = different = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(compare, options.dump, work, options.n, options.s, case) for case in builds()]
            for job in jobs:
                name, nr, differences, excuses = job.result()
                excused += excuses
                total += nr
                different += len(differences)
                for text in differences:
                    print(text)
                print(f'{name}: {nr} addresses, {len(differences)} different, {sum(excuses.values())} excused')
    finally:
        if options.k:
            print(f'kept: {work}')
        else:
            shutil.rmtree(work)
    print('excused: ' + ', '.join(f'{reason} {nr}' for reason, nr in sorted(excused.items())))
    print(f'names against addr2line: {total} addresses in {len(jobs)} builds, {sum(excused.values())} excused, '
          f'{different} different')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
