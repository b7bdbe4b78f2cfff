#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is this file a profile that every reader takes? An independent judge of what ebprof writes.

    check_pprof.py FILE...          prints "ok" or each violation; exit status 1 when there is one

    from check_pprof import load, check
    profile = load('cpu.pb.gz')
    profile.share('fib', cumulative=True)   # of the first sample type
    for sample in profile.samples:
        print(sample.values, sample.labels, [frame.function for frame in sample.frames])

It shares no code with ebprof and needs nothing but Python: the wire format is decoded here, from the definition of
profile.proto. load() refuses only what cannot be decoded or resolved (Malformed); check() lists every rule that is
broken. The rules are stricter than pprof's own, because other readers are: ids in order, a line on every location, a
mapping on every location, merged samples, names that no reader would rewrite.
"""
import re
import struct
import sys
import zlib


class Malformed(Exception):
    """The file cannot be read as a profile at all."""


# --- the wire format -------------------------------------------------------------------------------------------------

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Of each message: field number -> (name, kind). Kinds: int (signed 64), uint, bool, a message's name; [...] = repeated.
MESSAGES = {
    'Profile': {1: ('sample_type', ['ValueType']), 2: ('sample', ['Sample']), 3: ('mapping', ['Mapping']),
                4: ('location', ['Location']), 5: ('function', ['Function']), 6: ('string_table', ['bytes']),
                7: ('drop_frames', 'int'), 8: ('keep_frames', 'int'), 9: ('time_nanos', 'int'),
                10: ('duration_nanos', 'int'), 11: ('period_type', 'ValueType'), 12: ('period', 'int'),
                13: ('comment', ['int']), 14: ('default_sample_type', 'int'), 15: ('doc_url', 'int')},
    'ValueType': {1: ('type', 'int'), 2: ('unit', 'int')},
    'Sample': {1: ('location_id', ['uint']), 2: ('value', ['int']), 3: ('label', ['Label'])},
    'Label': {1: ('key', 'int'), 2: ('str', 'int'), 3: ('num', 'int'), 4: ('num_unit', 'int')},
    'Mapping': {1: ('id', 'uint'), 2: ('memory_start', 'uint'), 3: ('memory_limit', 'uint'),
                4: ('file_offset', 'uint'), 5: ('filename', 'int'), 6: ('build_id', 'int'),
                7: ('has_functions', 'bool'), 8: ('has_filenames', 'bool'), 9: ('has_line_numbers', 'bool'),
                10: ('has_inline_frames', 'bool')},
    'Location': {1: ('id', 'uint'), 2: ('mapping_id', 'uint'), 3: ('address', 'uint'), 4: ('line', ['Line']),
                 5: ('is_folded', 'bool')},
    'Line': {1: ('function_id', 'uint'), 2: ('line', 'int'), 3: ('column', 'int')},
    'Function': {1: ('id', 'uint'), 2: ('name', 'int'), 3: ('system_name', 'int'), 4: ('filename', 'int'),
                 5: ('start_line', 'int')},
}


class Message:
    """One decoded message: its fields as attributes, how often each singular one came in .counts."""


def read_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data):
            raise Malformed('a number is cut short')
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise Malformed('a number has more than ten bytes')
    if value >= 1 << 64:
        raise Malformed('a number has more than 64 bits')
    return value, at


def split_fields(data):
    """Yields (field number, wire type, value) where value is an int or bytes."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise Malformed('a field has number 0')
        if wire == VARINT:
            value, at = read_varint(data, at)
        elif wire == BYTES:
            size, at = read_varint(data, at)
            if size > len(data) - at:
                raise Malformed('field %d is cut short' % number)
            value = data[at:at + size]
            at += size
        elif wire in (FIXED64, FIXED32):
            size, form = (8, '<Q') if wire == FIXED64 else (4, '<I')
            if size > len(data) - at:
                raise Malformed('field %d is cut short' % number)
            value = struct.unpack_from(form, data, at)[0]
            at += size
        else:
            raise Malformed('field %d has the unknown wire type %d' % (number, wire))
        yield number, wire, value


def convert(value, kind, faults):
    if kind == 'bytes':
        return value
    if kind == 'int':
        return value - (1 << 64) if value >= 1 << 63 else value
    if kind == 'uint':
        return value
    if kind == 'bool':
        if value > 1:
            faults.append('a flag holds %d' % value)
        return bool(value)
    return decode(value, kind, faults)


def unpack(value):
    at = 0
    while at < len(value):
        number, at = read_varint(value, at)
        yield number


def decode(data, kind, faults):
    """Decodes a message; what is odd but readable goes to faults."""
    message = Message()
    message.counts = {}
    fields = MESSAGES[kind]
    for name, field_kind in fields.values():
        repeated = isinstance(field_kind, list)
        setattr(message, name, [] if repeated else None if field_kind in MESSAGES else 0)
    for number, wire, value in split_fields(data):
        if number not in fields:
            faults.append('%s has the unknown field %d' % (kind, number))
            continue
        name, field_kind = fields[number]
        message.counts[name] = message.counts.get(name, 0) + 1
        inner = field_kind[0] if isinstance(field_kind, list) else field_kind
        is_number = inner in ('int', 'uint', 'bool')
        if wire not in (VARINT, BYTES) or (not is_number and wire != BYTES) or \
                (is_number and wire == BYTES and not isinstance(field_kind, list)):
            raise Malformed('%s.%s has wire type %d' % (kind, name, wire))
        if isinstance(field_kind, list):
            if is_number and wire == BYTES:
                getattr(message, name).extend(convert(one, inner, faults) for one in unpack(value))
            else:
                getattr(message, name).append(convert(value, inner, faults))
        else:
            if message.counts[name] > 1:
                faults.append('%s.%s is there more than once' % (kind, name))
            setattr(message, name, convert(value, inner, faults))
    return message


# --- the profile as its readers see it -------------------------------------------------------------------------------

class Frame:
    """One function of a stack. Inlined ones are frames of their own, with the address of the code they are in."""

    def __init__(self, function, system_name, file, line, start_line, mapping, address, inlined):
        self.function = function
        self.system_name = system_name
        self.file = file
        self.line = line
        self.start_line = start_line
        self.mapping = mapping      # a Mapping
        self.address = address
        self.inlined = inlined      # True for all but the last function of a location

    def __repr__(self):
        return '%s (%s:%d)' % (self.function, self.file, self.line)


class Mapping:
    def __init__(self, raw, text):
        self.id, self.start, self.limit, self.offset = raw.id, raw.memory_start, raw.memory_limit, raw.file_offset
        self.file, self.build_id = text(raw.filename), text(raw.build_id)
        self.has_functions, self.has_filenames = raw.has_functions, raw.has_filenames
        self.has_line_numbers, self.has_inline_frames = raw.has_line_numbers, raw.has_inline_frames

    def __repr__(self):
        return '%s [%#x,%#x)' % (self.file, self.start, self.limit)


class Sample:
    def __init__(self, frames, values, labels, units):
        self.frames = frames    # leaf first
        self.values = values
        self.labels = labels    # key -> str or int
        self.units = units      # key -> unit of a numeric label

    def functions(self):
        return [frame.function for frame in self.frames]


class Profile:
    """A decoded profile, ids and strings resolved. sample_types and period_type are (type, unit) pairs."""

    def __init__(self, raw, faults):
        self.raw = raw
        self.faults = faults
        self.strings = [text_of(data, faults) for data in raw.string_table]
        self.sample_types = [self._pair(one) for one in raw.sample_type]
        self.period_type = self._pair(raw.period_type) if raw.period_type else ('', '')
        self.period, self.time, self.duration = raw.period, raw.time_nanos, raw.duration_nanos
        self.comments = [self.text(one) for one in raw.comment]
        self.default_sample_type = self.text(raw.default_sample_type)
        self.doc_url = self.text(raw.doc_url)
        self.mappings = [Mapping(one, self.text) for one in raw.mapping]
        mappings = {one.id: one for one in self.mappings}
        functions = {one.id: one for one in raw.function}
        self._frames = {one.id: self._resolve(one, mappings, functions) for one in raw.location}
        self.samples = [self._sample(one) for one in raw.sample]

    def text(self, index):
        if not 0 <= index < len(self.strings):
            raise Malformed('string %d is not in the table of %d' % (index, len(self.strings)))
        return self.strings[index]

    def _pair(self, raw):
        return self.text(raw.type), self.text(raw.unit)

    def _resolve(self, location, mappings, functions):
        frames = []
        for line in location.line:
            function = functions.get(line.function_id)
            if function is None:
                raise Malformed('location %d: there is no function %d' % (location.id, line.function_id))
            frames.append(Frame(self.text(function.name), self.text(function.system_name),
                                self.text(function.filename), line.line, function.start_line,
                                mappings.get(location.mapping_id), location.address,
                                len(frames) + 1 < len(location.line)))
        return frames

    def _sample(self, raw):
        frames = []
        for location in raw.location_id:
            if location not in self._frames:
                raise Malformed('a sample names location %d, which does not exist' % location)
            frames.extend(self._frames[location])
        labels = {self.text(one.key): self.text(one.str) if one.str else one.num for one in raw.label}
        units = {self.text(one.key): self.text(one.num_unit) for one in raw.label if not one.str}
        return Sample(frames, list(raw.value), labels, units)

    def total(self, value_index=0):
        return sum(sample.values[value_index] for sample in self.samples)

    def weight(self, function_name, cumulative=False, value_index=0):
        """What samples with this leaf (cumulative: with this function anywhere, each counted once) add up to."""
        weight = 0
        for sample in self.samples:
            names = sample.functions() if cumulative else sample.functions()[:1]
            if function_name in names:
                weight += sample.values[value_index]
        return weight

    def share(self, function_name, cumulative=False, value_index=0):
        """The same as a fraction of the total; 0 when the profile is empty."""
        total = self.total(value_index)
        return self.weight(function_name, cumulative, value_index) / total if total else 0.0

    def select(self, **labels):
        """The samples with these label values: profile.select(pid=1234, comm='cc1')."""
        return [one for one in self.samples if all(one.labels.get(key) == want for key, want in labels.items())]


def text_of(data, faults):
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        faults.append('a string is not UTF-8: %r' % data[:80])
        text = data.decode('utf-8', 'replace')
    if '\0' in text:
        faults.append('a string holds NUL: %r' % text[:80])
    return text


def unzip(data, faults):
    """The body of a gzip file; odd headers and trailing bytes are faults, a broken one is Malformed."""
    if data[:2] != b'\x1f\x8b':
        raise Malformed('not a gzip file')
    if len(data) >= 10 and data[4:8] != b'\0\0\0\0':
        faults.append('the gzip header holds a time: equal profiles would differ')
    if len(data) >= 10 and data[3]:
        faults.append('the gzip header holds more than the fixed fields')
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        body = inflater.decompress(data) + inflater.flush()
    except zlib.error as error:
        raise Malformed('gzip: %s' % error) from error
    if not inflater.eof:
        raise Malformed('the gzip file is cut short')
    if inflater.unused_data:
        faults.append('%d bytes follow the gzip member' % len(inflater.unused_data))
    return body


def parse(data):
    faults = []
    body = unzip(data, faults)
    if not body:
        raise Malformed('the file is empty')
    return Profile(decode(body, 'Profile', faults), faults)


def load(path):
    """Reads a profile; Malformed when it cannot be resolved. Rules are not checked: see check()."""
    with open(path, 'rb') as file:
        return parse(file.read())


# --- the rules -------------------------------------------------------------------------------------------------------

COUNT = ('samples', 'count')
# Sample types -> the period type they need, where the second value is the first times the period.
PERIODIC = {
    (COUNT, ('cpu', 'nanoseconds')): ('cpu', 'nanoseconds'),
    (COUNT, ('cycles', 'count')): ('cycles', 'count'),
}
NUMERIC_LABELS = {'pid': 'pid', 'tid': 'tid', 'cpu': 'cpu'}
TEXT_LABELS = {'comm', 'thread', 'cgroup', 'container', 'unit'}
TEXT_MAX = 4096
UPPER_HALF = 1 << 63
PLACEHOLDER = re.compile(r'\+0x[0-9a-f]+$')


def check_header(profile):
    raw = profile.raw
    if not raw.string_table or raw.string_table[0] != b'':
        yield 'the first string is not empty'
    if raw.counts.get('time_nanos', 0) != 1 or profile.time <= 0:
        yield 'the time is there %d times, as %d' % (raw.counts.get('time_nanos', 0), profile.time)
    if profile.duration < 0:
        yield 'the duration is negative'
    types = tuple(profile.sample_types)
    if types not in PERIODIC:
        yield 'the sample types are %s' % (types,)
    elif profile.period_type != PERIODIC[types]:
        yield 'the period type is %s' % (profile.period_type,)
    if profile.period <= 0:
        yield 'the period is %d' % profile.period
    if profile.default_sample_type and profile.default_sample_type not in [name for name, _ in types]:
        yield 'the default sample type is unknown: %r' % profile.default_sample_type
    if profile.doc_url and not re.match(r'https?://', profile.doc_url):
        yield 'the document address is not absolute: %r' % profile.doc_url
    if raw.drop_frames or raw.keep_frames:
        yield 'frames are dropped by name'


def check_ids(profile):
    for kind in ('mapping', 'function', 'location'):
        items = getattr(profile.raw, kind)
        for index, item in enumerate(items):
            if item.id != index + 1:
                yield '%s %d has id %d' % (kind, index + 1, item.id)
                break


def duplicates(items, key):
    seen = {}
    for item in items:
        first = seen.setdefault(key(item), item)
        if first is not item:
            yield first, item


def check_merged(profile):
    raw = profile.raw
    fields = {kind: [name for name, _ in MESSAGES[kind].values() if name not in ('id', 'line')]
              for kind in ('Mapping', 'Function', 'Location')}

    def key_of(kind):
        return lambda item: tuple(getattr(item, name) for name in fields[kind]) + \
            tuple((line.function_id, line.line, line.column) for line in getattr(item, 'line', []))

    for kind, items in (('Mapping', raw.mapping), ('Function', raw.function), ('Location', raw.location)):
        for first, second in duplicates(items, key_of(kind)):
            yield '%ss %d and %d are equal' % (kind.lower(), first.id, second.id)
    for first, second in duplicates(enumerate(raw.sample), lambda pair: (
            tuple(pair[1].location_id),
            tuple(sorted((one.key, one.str, one.num, one.num_unit) for one in pair[1].label)))):
        yield 'samples %d and %d have the same stack and labels' % (first[0], second[0])


def is_kernel(mapping):
    return mapping.file.startswith('[kernel') or mapping.start >= UPPER_HALF and mapping.file != '[vsyscall]'


def check_mappings(profile):
    if profile.mappings and is_kernel(profile.mappings[0]):
        yield 'the first mapping is the kernel: %r' % profile.mappings[0]
    found = {}
    for frames in profile._frames.values():
        for frame in frames:
            if frame.mapping:
                found.setdefault(frame.mapping.id, []).append(frame)
    for mapping in profile.mappings:
        frames = found.get(mapping.id, [])
        if mapping.start > mapping.limit:
            yield 'mapping %d ends before it starts' % mapping.id
        if not mapping.file:
            yield 'mapping %d has no file name' % mapping.id
        if mapping.build_id and not re.fullmatch(r'[0-9a-f]+', mapping.build_id):
            yield 'mapping %d: build-id %r' % (mapping.id, mapping.build_id)
        if not mapping.has_functions and \
                (mapping.has_filenames or mapping.has_line_numbers or mapping.has_inline_frames):
            yield 'mapping %d has files, lines or inlined functions, but no functions' % mapping.id
        placeholders = [one.function for one in frames if PLACEHOLDER.search(one.function)]
        if mapping.has_functions and placeholders:
            yield 'mapping %d claims names for all, but has %r' % (mapping.id, placeholders[0])
        if mapping.has_filenames and frames and not any(one.file for one in frames):
            yield 'mapping %d claims file names, but has none' % mapping.id
        if mapping.has_line_numbers and frames and not any(one.line for one in frames):
            yield 'mapping %d claims line numbers, but has none' % mapping.id


def check_locations(profile):
    mappings = {mapping.id: mapping for mapping in profile.mappings}
    for location in profile.raw.location:
        mapping = mappings.get(location.mapping_id)
        if mapping is None:
            yield 'location %d is in mapping %d, which does not exist' % (location.id, location.mapping_id)
        elif not (mapping.start <= location.address < mapping.limit or
                  mapping.start == mapping.limit == location.address == 0):
            yield 'location %d: %#x is not in %r' % (location.id, location.address, mapping)
        if not location.line:
            yield 'location %d has no line' % location.id
        if any(line.line < 0 for line in location.line):
            yield 'location %d has a negative line number' % location.id


def check_functions(profile):
    for function in profile.raw.function:
        name, system_name = profile.text(function.name), profile.text(function.system_name)
        if not name:
            yield 'function %d has no name' % function.id
        if name == system_name and (set(name) & set('<>[]') or '::' in name):
            yield 'function %d: readers would rewrite %r' % (function.id, name)
        for text in (name, system_name, profile.text(function.filename)):
            if len(text.encode()) > TEXT_MAX:
                yield 'function %d: %r... has more than %d bytes' % (function.id, text[:40], TEXT_MAX)
            if re.search('[\x00-\x1f\x7f-\x9f]', text):
                yield 'function %d: control character in %r' % (function.id, text)


def check_label(profile, label):
    key, text, unit = (profile.text(one) for one in (label.key, label.str, label.num_unit))
    if not key or key.startswith('pprof::'):
        yield 'label key %r' % key
    if text and (label.num or unit):
        yield 'label %s is both a text and a number' % key
    if not text and not unit:
        yield 'label %s: a number without a unit' % key
    if key in NUMERIC_LABELS and (text or unit != NUMERIC_LABELS[key]):
        yield 'label %s is %r, not a number in %s' % (key, text or unit, NUMERIC_LABELS[key])
    if key in TEXT_LABELS and not text:
        yield 'label %s is not a text' % key


def check_samples(profile):
    types = tuple(profile.sample_types)
    for index, sample in enumerate(profile.raw.sample):
        where = 'sample %d: ' % index
        if not sample.location_id:
            yield where + 'empty stack'
        if len(sample.value) != len(types):
            yield where + '%d values for %d types' % (len(sample.value), len(types))
            continue
        if not any(sample.value):
            yield where + 'all values are 0'
        if any(value < 0 for value in sample.value):
            yield where + 'negative value'
        if types in PERIODIC and sample.value[1] != sample.value[0] * profile.period:
            yield where + '%d times the period %d is not %d' % (sample.value[0], profile.period, sample.value[1])
        for label in sample.label:
            for fault in check_label(profile, label):
                yield where + fault
        if len({label.key for label in sample.label}) != len(sample.label):
            yield where + 'a label key comes twice'
    units = {}
    for sample in profile.samples:
        for key, unit in sample.units.items():
            if units.setdefault(key, unit) != unit:
                yield 'label %s has the units %s and %s' % (key, units[key], unit)


RULES = (check_header, check_ids, check_merged, check_mappings, check_locations, check_functions, check_samples)


def check_data(data):
    """Every violation in a file's bytes, as sentences; an empty list is a good profile."""
    try:
        profile = parse(data)
        return profile.faults + [fault for rule in RULES for fault in rule(profile)]
    except Malformed as error:
        return [str(error)]


def check(path):
    with open(path, 'rb') as file:
        return check_data(file.read())


def main(paths):
    if not paths:
        print('usage: check_pprof.py FILE...', file=sys.stderr)
        return 2
    failed = False
    for path in paths:
        prefix = path + ': ' if len(paths) > 1 else ''
        faults = check(path)
        failed = failed or bool(faults)
        for fault in faults or ['ok']:
            print(prefix + fault)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
