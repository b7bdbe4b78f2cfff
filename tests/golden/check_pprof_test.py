# SPDX-License-Identifier: Apache-2.0
"""The judge is judged: a good profile passes, and each rule notices the one thing that breaks it."""
import copy
import gzip
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from check_pprof import Malformed, check_data, load  # noqa: E402

STRINGS = ['', 'samples', 'count', 'cpu', 'nanoseconds', '/bin/a', 'abcd', 'main', 'a.c', 'pid', 'comm', 'sh', 'a::b',
           '[kernel.kallsyms]_text', 'lib.so+0x12', 'tid', 'f']
ID = {text: index for index, text in enumerate(STRINGS)}

# Messages as lists of (field number, value): a list is a message, bytes and str are bytes.
GOOD = {
    'sample_type': [[(1, ID['samples']), (2, ID['count'])], [(1, ID['cpu']), (2, ID['nanoseconds'])]],
    'sample': [
        [(1, b'\x01\x02'), (2, b'\x03\x1e'), (3, [(1, ID['pid']), (4, ID['pid'])]),
         (3, [(1, ID['comm']), (2, ID['sh'])])],
        [(1, b'\x02'), (2, b'\x01\x0a')],
    ],
    'mapping': [[(1, 1), (2, 0x1000), (3, 0x2000), (5, ID['/bin/a']), (6, ID['abcd']), (7, 1), (8, 1), (9, 1)]],
    'location': [
        [(1, 1), (2, 1), (3, 0x1010), (4, [(1, 1), (2, 3)]), (4, [(1, 2), (2, 4)])],
        [(1, 2), (2, 1), (3, 0x1020), (4, [(1, 2), (2, 5)])],
    ],
    'function': [
        [(1, 1), (2, ID['a::b']), (3, ID['main']), (4, ID['a.c'])],
        [(1, 2), (2, ID['main']), (3, ID['main']), (4, ID['a.c'])],
    ],
    'strings': STRINGS,
    'header': [(9, 1), (10, 2), (11, [(1, ID['cpu']), (2, ID['nanoseconds'])]), (12, 10)],
}


def varint(value):
    value &= (1 << 64) - 1
    data = b''
    while value >= 0x80:
        data += bytes([value & 0x7f | 0x80])
        value >>= 7
    return data + bytes([value])


def message(fields):
    data = b''
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
            continue
        body = message(value) if isinstance(value, list) else value.encode() if isinstance(value, str) else value
        data += varint(number << 3 | 2) + varint(len(body)) + body
    return data


def plain(model):
    fields = [(number, one) for number, name in
              ((1, 'sample_type'), (2, 'sample'), (3, 'mapping'), (4, 'location'), (5, 'function'), (6, 'strings'))
              for one in model[name]]
    return message(fields + model['header'])


def packed(model):
    return gzip.compress(plain(model), mtime=0)


def changed(path, value):
    """GOOD with one place replaced; a value of None removes it, and a place just past the end is added."""
    model = copy.deepcopy(GOOD)
    place = model
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return model


def test_good_profile():
    assert check_data(packed(GOOD)) == []


def string(text, value):
    return ('strings', ID[text]), value


SAMPLE, MAPPING, LOCATION, FUNCTION = ('sample', 1), ('mapping', 0), ('location', 1), ('function', 1)
BROKEN = {
    'first string': (('strings', 0), 'x', 'the first string is not empty'),
    'not UTF-8': (*string('a.c', b'\xff'), 'a string is not UTF-8'),
    'surrogate': (*string('a.c', b'\xed\xa0\x80'), 'a string is not UTF-8'),
    'NUL': (*string('a.c', b'a\0'), 'a string holds NUL'),
    'control character': (*string('main', 'ma\x1bin'), 'control character'),
    'long name': (*string('main', 'm' * 4097), 'more than 4096 bytes'),
    'no time': (('header', 0), None, 'the time is there 0 times'),
    'two times': (('header', 4), (9, 1), 'the time is there 2 times'),
    'negative duration': (('header', 1), (10, -1), 'the duration is negative'),
    'no period type': (('header', 2), None, 'the period type is'),
    'period type': (('header', 2), (11, [(1, ID['cpu']), (2, ID['count'])]), 'the period type is'),
    'no period': (('header', 3), None, 'the period is 0'),
    'other period': (('header', 3), (12, 11), 'times the period 11 is not'),
    'sample types swapped': (('sample_type',), list(reversed(GOOD['sample_type'])), 'the sample types are'),
    'no sample types': (('sample_type',), [], 'the sample types are'),
    'default sample type': (('header', 4), (14, ID['main']), 'the default sample type is unknown'),
    'relative document': (('header', 4), (15, ID['a.c']), 'the document address is not absolute'),
    'unknown field': (('header', 4), (77, 1), 'unknown field 77'),
    'duplicate singular': ((*MAPPING, 8), (5, ID['/bin/a']), 'Mapping.filename is there more than once'),
    'mapping id': ((*MAPPING, 0), (1, 2), 'mapping 1 has id 2'),
    'function id 0': (('function',), [[(1, 0)], *GOOD['function']], 'function 1 has id 0'),
    'location order': (('location',), list(reversed(GOOD['location'])), 'location 1 has id 2'),
    'gap in ids': (('location', 2), [(1, 4), (2, 1), (3, 0x1030), (4, [(1, 1)])], 'location 3 has id 4'),
    'equal mappings': (('mapping', 1), [(1, 2), *GOOD['mapping'][0][1:]], 'mappings 1 and 2 are equal'),
    'equal functions': (('function', 2), [(1, 3), *GOOD['function'][1][1:]], 'functions 2 and 3 are equal'),
    'equal locations': (('location', 2), [(1, 3), *GOOD['location'][1][1:]], 'locations 2 and 3 are equal'),
    'equal samples': (('sample', 2), GOOD['sample'][0], 'samples 0 and 2 have the same stack and labels'),
    'equal but label order': (('sample', 2), GOOD['sample'][0][:2] + GOOD['sample'][0][:1:-1],
                              'samples 0 and 2 have the same stack and labels'),
    'kernel first': ((*MAPPING, 3), (5, ID['[kernel.kallsyms]_text']), 'the first mapping is the kernel'),
    'upper half first': ((*MAPPING, 1), (2, 1 << 63), 'the first mapping is the kernel'),
    'backward mapping': ((*MAPPING, 2), (3, 0), 'mapping 1 ends before it starts'),
    'nameless mapping': ((*MAPPING, 3), None, 'mapping 1 has no file name'),
    'build id': (*string('abcd', 'ABCD'), "mapping 1: build-id 'ABCD'"),
    'flags': ((*MAPPING, 5), None, 'but no functions'),
    'placeholder': (*string('main', 'a+0x12'), 'mapping 1 claims names for all'),
    'no files': (*string('a.c', ''), 'mapping 1 claims file names, but has none'),
    'no lines': (('location',), [[(1, 1), (2, 1), (3, 0x1010), (4, [(1, 1)]), (4, [(1, 2)])],
                                 [(1, 2), (2, 1), (3, 0x1020), (4, [(1, 2)])]], 'claims line numbers, but has none'),
    'no mapping': ((*LOCATION, 1), None, 'location 2 is in mapping 0'),
    'unknown mapping': ((*LOCATION, 1), (2, 7), 'location 2 is in mapping 7'),
    'address before': ((*LOCATION, 2), (3, 0xfff), 'location 2: 0xfff is not in'),
    'address at limit': ((*LOCATION, 2), (3, 0x2000), 'location 2: 0x2000 is not in'),
    'no line': ((*LOCATION, 3), None, 'location 2 has no line'),
    'negative line': ((*LOCATION, 3), (4, [(1, 2), (2, -1)]), 'location 2 has a negative line number'),
    'unknown function': ((*LOCATION, 3), (4, [(1, 3)]), 'there is no function 3'),
    'function 0': ((*LOCATION, 3), (4, [(2, 3)]), 'there is no function 0'),
    'no name': ((*FUNCTION, 1), None, 'function 2 has no name'),
    'name rule ::': ((*FUNCTION, 2), (3, ID['a::b']), None),
    'name rule': (('function', 0, 2), (3, ID['a::b']), "readers would rewrite 'a::b'"),
    'name rule <': (*string('main', '<x'), "readers would rewrite '<x'"),
    'name rule >': (*string('main', 'x>'), "readers would rewrite 'x>'"),
    'name rule [': (*string('main', '[x'), "readers would rewrite '[x'"),
    'name rule ]': (*string('main', 'x]'), "readers would rewrite 'x]'"),
    'one colon': (*string('main', 'x:y'), None),
    'empty stack': ((*SAMPLE, 0), None, 'sample 1: empty stack'),
    'unknown location': ((*SAMPLE, 0), (1, b'\x03'), 'a sample names location 3'),
    'location 0': ((*SAMPLE, 0), (1, b'\x00'), 'a sample names location 0'),
    'one value': ((*SAMPLE, 1), (2, b'\x01'), 'sample 1: 1 values for 2 types'),
    'three values': ((*SAMPLE, 1), (2, b'\x01\x0a\x01'), 'sample 1: 3 values for 2 types'),
    'all zero': ((*SAMPLE, 1), (2, b'\0\0'), 'sample 1: all values are 0'),
    'negative': ((*SAMPLE, 1), (2, varint(-1) + varint(-10)), 'sample 1: negative value'),
    'inconsistent': ((*SAMPLE, 1), (2, b'\x01\x0b'), 'sample 1: 1 times the period 10 is not 11'),
    'unpacked is fine': (('sample', 1), [(1, 2), (2, 1), (2, 10)], None),
    'number without unit': ((*SAMPLE, 2), (3, [(1, ID['f']), (3, 5)]), 'label f: a number without a unit'),
    'text and number': ((*SAMPLE, 2), (3, [(1, ID['f']), (2, ID['sh']), (3, 5)]), 'both a text and a number'),
    'no key': ((*SAMPLE, 2), (3, [(2, ID['sh'])]), "label key ''"),
    'pid as text': ((*SAMPLE, 2), (3, [(1, ID['pid']), (2, ID['sh'])]), 'label pid is'),
    'wrong unit': ((*SAMPLE, 2), (3, [(1, ID['tid']), (3, 5), (4, ID['pid'])]), "label tid is 'pid'"),
    'comm as number': ((*SAMPLE, 2), (3, [(1, ID['comm']), (3, 5), (4, ID['pid'])]), 'label comm is not a text'),
    'key twice': (('sample', 0, 4), (3, [(1, ID['comm']), (2, ID['main'])]), 'a label key comes twice'),
    'two units': (('sample', 1), [(1, 2), (2, b'\x01\x0a'), (3, [(1, ID['pid']), (3, 1), (4, ID['tid'])])],
                  'label pid has the units'),
    'string out of range': ((*MAPPING, 3), (5, len(STRINGS)), 'is not in the table'),
    'wire type': ((*MAPPING, 3), (5, b'x'), 'Mapping.filename has wire type 2'),
}


@pytest.mark.parametrize('name', BROKEN)
def test_broken_profile(name):
    path, value, fault = BROKEN[name]
    faults = check_data(packed(changed(path, value)))
    if fault is None:
        assert faults == []
    else:
        assert any(fault in one for one in faults), faults


BODY = packed(GOOD)
FILES = {
    'not gzip': (plain(GOOD), 'not a gzip file'),
    'empty file': (b'', 'not a gzip file'),
    'empty body': (gzip.compress(b'', mtime=0), 'the file is empty'),
    'cut short': (BODY[:-9], 'cut short'),
    'wrong checksum': (BODY[:-8] + b'\0\0\0\0' + BODY[-4:], 'gzip: '),
    'trailing bytes': (BODY + b'x', '1 bytes follow'),
    'time in the header': (gzip.compress(plain(GOOD), mtime=5), 'the gzip header holds a time'),
    'cut field': (gzip.compress(plain(GOOD) + b'\x32\x05abc', mtime=0), 'field 6 is cut short'),
    'cut number': (gzip.compress(plain(GOOD) + b'\x48\xff', mtime=0), 'a number is cut short'),
    'eleven bytes': (gzip.compress(b'\x48' + b'\xff' * 10 + b'\x01', mtime=0), 'more than ten bytes'),
    'field 0': (gzip.compress(b'\x00\x00', mtime=0), 'a field has number 0'),
}


@pytest.mark.parametrize('name', FILES)
def test_broken_file(name):
    data, fault = FILES[name]
    assert any(fault in one for one in check_data(data)), check_data(data)


def test_load(tmp_path):
    path = tmp_path / 'a.pb.gz'
    path.write_bytes(packed(GOOD))
    profile = load(str(path))
    assert profile.sample_types == [('samples', 'count'), ('cpu', 'nanoseconds')]
    assert (profile.period, profile.period_type, profile.duration) == (10, ('cpu', 'nanoseconds'), 2)
    first, second = profile.samples
    assert first.functions() == ['a::b', 'main', 'main']
    assert [frame.inlined for frame in first.frames] == [True, False, False]
    assert [frame.line for frame in first.frames] == [3, 4, 5]
    assert [frame.address for frame in first.frames] == [0x1010, 0x1010, 0x1020]
    assert first.frames[0].mapping.file == '/bin/a'
    assert (first.labels, first.units) == ({'pid': 0, 'comm': 'sh'}, {'pid': 'pid'})
    assert (profile.total(), profile.total(1)) == (4, 40)
    assert (profile.share('a::b'), profile.share('main')) == (0.75, 0.25)
    assert profile.share('main', cumulative=True) == 1.0
    assert profile.share('nobody') == 0.0
    assert profile.select(comm='sh', pid=0) == [first]
    assert profile.select(pid=1) == []
    path.write_bytes(b'nothing')
    with pytest.raises(Malformed):
        load(str(path))


def test_command(tmp_path):
    good, bad = tmp_path / 'good', tmp_path / 'bad'
    good.write_bytes(packed(GOOD))
    bad.write_bytes(packed(changed((*MAPPING, 0), (1, 2))))

    def run(*paths):
        return subprocess.run([sys.executable, str(HERE / 'check_pprof.py'), *map(str, paths)], capture_output=True,
                              text=True)

    assert (run(good).returncode, run(good).stdout) == (0, 'ok\n')
    both = run(good, bad)
    assert both.returncode == 1
    missing = '%s: location %d is in mapping 1, which does not exist\n'
    assert both.stdout == '%s: ok\n%s: mapping 1 has id 2\n' % (good, bad) + missing % (bad, 1) + missing % (bad, 2)
    assert run().returncode == 2
