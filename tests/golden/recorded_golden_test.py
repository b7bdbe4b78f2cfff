# SPDX-License-Identifier: Apache-2.0
"""From samples as the kernel sends them to the text of a profile: exactly what it was.

write_recorded (built by make) has the samples; recorded.folded and recorded.txt are what it has to write. After an
intended change, look at the difference and let it write them again:

    build/tests/golden/write_recorded EMPTY_FOLDER tests/golden/recorded.folded tests/golden/recorded.txt
"""
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get('EBPROF_BUILD', HERE.parent.parent / 'build'))
WRITER = BUILD / 'tests' / 'golden' / 'write_recorded'


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """The folder with what the writer wrote."""
    assert WRITER.exists(), '%s is not built: make check' % WRITER
    folder = tmp_path_factory.mktemp('recorded')
    (folder / 'files').mkdir()
    run = subprocess.run([WRITER, folder / 'files', folder / 'recorded.folded', folder / 'recorded.txt'],
                         capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, '', '')
    return folder


@pytest.mark.parametrize('name', ['recorded.folded', 'recorded.txt'])
def test_text_is_what_it_was(written, name):
    expected = (HERE / name).read_text(encoding='utf-8').splitlines()
    assert (written / name).read_text(encoding='utf-8').splitlines() == expected


def test_every_sample_is_in_the_folded_text(written):
    listing = (written / 'recorded.txt').read_text(encoding='utf-8').splitlines()
    folded = (written / 'recorded.folded').read_text(encoding='utf-8').splitlines()
    samples = [int(line.split()[1]) for line in listing if line.startswith('sample ')]
    assert sum(samples) == sum(int(line.rsplit(' ', 1)[1]) for line in folded) == 181
