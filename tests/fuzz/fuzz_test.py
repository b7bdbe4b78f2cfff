# SPDX-License-Identifier: Apache-2.0
"""Each fuzzer for a short while: no input may crash, hang or leak, and it must have reached the code that it is for."""

import os
import shutil

import pytest

import run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(os.environ.get("EBPROF_BUILD", os.path.join(ROOT, "build")), "fuzz")
SECONDS = int(os.environ.get("FUZZ_CHECK_SECONDS", "20"))
RUNS_PER_SECOND = 250  # on a machine that does other things as well
SHARE = 0.8


@pytest.mark.parametrize("target", run.TARGETS)
def test_fuzz(target, request):
    if not shutil.which("llvm-profdata" + run.TOOLS):
        pytest.skip("llvm-profdata is missing: apt-get install llvm-14")
    result = run.run(FOLDER, target, seconds=SECONDS)
    # The conftest.py above, by what it holds: its name is that of others too.
    totals = [plugin.totals for plugin in request.config.pluginmanager.get_plugins() if hasattr(plugin, "totals")]
    totals[0].append(str(result))
    assert not result.failure, result.failure
    assert result.runs > SECONDS * RUNS_PER_SECOND, str(result)
    for file in result.lines:
        hit, of = result.covered(file)
        assert hit >= SHARE * of > 0, f"{file}: {result}\n" + "\n".join(result.uncovered())
