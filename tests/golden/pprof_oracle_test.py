# SPDX-License-Identifier: Apache-2.0
"""The real pprof reads what the encoder writes: without a warning, and it finds what ebprof finds.

The profiles come from write_sample_profile (built by make). PPROF names the pprof to ask, EBPROF_BUILD the build
folder.
"""
import collections
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from check_pprof import check, load  # noqa: E402

PPROF = os.environ.get('PPROF', '/usr/lib/go-1.19/pkg/tool/linux_amd64/pprof')
BUILD = pathlib.Path(os.environ.get('EBPROF_BUILD', HERE.parent.parent / 'build'))
WRITER = BUILD / 'tests' / 'golden' / 'write_sample_profile'
SEEDS = [str(seed) for seed in range(1, 4)]
GOOD = [('cpu',), ('empty',)] + [('random', seed) for seed in SEEDS]

needs_pprof = pytest.mark.skipif(not os.access(PPROF, os.X_OK), reason='no pprof at %s: install golang-go' % PPROF)

Written = collections.namedtuple('Written', 'pprof folded top')
TopLine = collections.namedtuple('TopLine', 'flat cum file line name')


def write(folder, scenario, *seed):
    """Runs the writer; its files and the lines of report_top()."""
    assert WRITER.exists(), '%s is not built: make check' % WRITER
    paths = [str(folder / (scenario + ending)) for ending in ('.pb.gz', '.folded')]
    run = subprocess.run([WRITER, scenario, *paths, *seed], check=True, capture_output=True)
    assert run.stderr == b''
    rows = [line.split('\t') for line in run.stdout.decode().splitlines()]
    top = [TopLine(int(flat), int(cum), file, int(line), name) for flat, cum, file, line, name in rows]
    return Written(paths[0], pathlib.Path(paths[1]).read_bytes().decode(), top)


def ask_pprof(*arguments):
    """pprof's report; anything on its stderr is a warning."""
    run = subprocess.run([PPROF, '-symbolize=none', *arguments], capture_output=True, text=True,
                         env={**os.environ, 'PPROF_TMPDIR': '/nonexistent'})
    assert (run.returncode, run.stderr) == (0, '')
    return run.stdout


@pytest.mark.parametrize('scenario', GOOD, ids='-'.join)
def test_checker_finds_nothing(tmp_path, scenario):
    assert check(write(tmp_path, *scenario).pprof) == []


@needs_pprof
@pytest.mark.parametrize('report', ['-top', '-raw', '-traces', '-tags', '-tree', '-peek=.', '-dot', '-callgrind'])
@pytest.mark.parametrize('scenario', GOOD[:3], ids='-'.join)
def test_pprof_reads_it_without_a_warning(tmp_path, scenario, report):
    if (scenario, report) == (('empty',), '-peek=.'):
        return  # pprof finds "no matches" where there is nothing to match: an error, and right
    ask_pprof(report, write(tmp_path, *scenario).pprof)


@needs_pprof
@pytest.mark.parametrize('scenario', [one for one in GOOD if one != ('empty',)], ids='-'.join)
def test_top_agrees_with_pprof(tmp_path, scenario):
    written = write(tmp_path, *scenario)
    text = ask_pprof('-top', '-sample_index=0', '-nodecount=0', '-nodefraction=0', written.pprof)
    theirs = {}
    for line in text.split('cum%\n')[1].splitlines():
        flat, _, _, cum, _, name = line.split(None, 5)
        theirs[re.sub(r' \((partial-)?inline\)$', '', name)] = (int(flat), int(cum))
    assert theirs == {line.name: (line.flat, line.cum) for line in written.top}
    assert written.top == sorted(written.top, key=lambda line: (-line.flat, -line.cum, line.name.encode()))


@pytest.mark.parametrize('seed', SEEDS)
def test_top_places_functions_at_their_heaviest_line(tmp_path, seed):
    written = write(tmp_path, 'random', seed)
    samples = load(written.pprof).samples
    flat, cum = collections.Counter(), collections.Counter()
    for sample in samples:
        places = [(frame.function, frame.file, frame.line) for frame in sample.frames]
        flat[places[0]] += sample.values[0]
        for place in set(places):
            cum[place] += sample.values[0]

    def by_file(weights, key):
        return sum(weight for place, weight in weights.items() if place[:2] == key)

    for line in written.top:
        files = {place[1] for place in cum if place[0] == line.name}
        # Within one name: the file with most samples at its leaf is the one that is shown.
        assert by_file(flat, (line.name, line.file)) == max(by_file(flat, (line.name, file)) for file in files)
        lines = [place for place in cum if place[:2] == (line.name, line.file)]
        assert line[2:] == min(((file, number, name) for name, file, number in lines),
                               key=lambda at: (-flat[at[2], at[0], at[1]], -cum[at[2], at[0], at[1]], at[1]))


@needs_pprof
def test_pprof_keeps_names_and_labels(tmp_path):
    path = write(tmp_path, 'cpu').pprof
    text = ask_pprof('-raw', path)
    for name in ('hash<int>(int) ', ' a::fib(int) ', 'libfoo.so.1+0x1234 ', '[truncated: no table] '):
        assert name in text
    assert 'cpu:[0 cpu] pid:[0 pid]' in text
    assert 'comm:[[empty]]' not in text, 'a sample of weight 0 was written'
    assert 'Duration: 1.5s' in text
    assert '2023-11-14 22:13:20.123456789' in text
    assert 'File: program\n' in ask_pprof('-top', path)
    assert ask_pprof('-comments', path) == 'written by a test\n'


def folded_frame(frame):
    is_kernel = frame.mapping.file.startswith('[kernel')
    return frame.function.replace(';', ':') + ('_[k]' if is_kernel else '')


@pytest.mark.parametrize('scenario', GOOD, ids='-'.join)
def test_folded_is_the_same_profile(tmp_path, scenario):
    written = write(tmp_path, *scenario)
    stacks = collections.Counter()
    for sample in load(written.pprof).samples:
        frames = [sample.labels['comm'].replace(';', ':')]
        frames += [folded_frame(frame) for frame in reversed(sample.frames)]
        stacks[';'.join(frames)] += sample.values[0]
    lines = ['%s %d\n' % one for one in sorted(stacks.items(), key=lambda one: one[0].encode())]
    assert written.folded == ''.join(lines)


def test_extreme_numbers_survive(tmp_path):
    profile = load(write(tmp_path, 'numbers').pprof)
    largest, smallest = profile.samples
    assert largest.values == [2**63 - 1, -2**63]
    assert largest.labels == {'smallest': -2**63}
    assert (largest.frames[0].address, largest.frames[0].line) == (2**64 - 2, 2**32 - 1)
    assert largest.frames[0].mapping.limit == 2**64 - 1
    assert smallest.values == [-1, 0]
    assert (smallest.frames[0].address, smallest.frames[0].line) == (0, 0)


def test_equal_profiles_are_equal_files(tmp_path):
    first = pathlib.Path(write(tmp_path, 'cpu').pprof).read_bytes()
    assert pathlib.Path(write(tmp_path, 'cpu').pprof).read_bytes() == first


def test_full_disk_is_an_error(tmp_path):
    run = subprocess.run([WRITER, 'random', '/dev/full', str(tmp_path / 'folded')], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ''
