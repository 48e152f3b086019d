"""Compiled kernels on disk: none outlives a change of what was compiled into it."""

import subprocess
import sys

import pytest

from pyconvex import backends

CALLED = (
    "from pyconvex.backends.jit_compile import kernel\n\n@kernel\ndef called():\n    return {}\n"
)
CALLER = (
    "from called import called\nfrom pyconvex.backends.jit_compile import kernel\n\n"
    "@kernel\ndef caller():\n    return called()\n"
)
RUN = """
from pyconvex.backends import jit_compile
jit_compile.FINGERPRINT = {!r}
import caller
print(caller.caller(), sum(caller.caller.stats.cache_hits.values()))
"""


def run(folder, fingerprint):
    command = [sys.executable, "-c", RUN.format(fingerprint)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_changed_kernel_changes_its_callers(tmp_path):
    pytest.importorskip("numba")
    (tmp_path / "called.py").write_text(CALLED.format(1))
    (tmp_path / "caller.py").write_text(CALLER)
    assert run(tmp_path, "before") == ["1", "0"]
    assert run(tmp_path, "before") == ["1", "1"]  # from the disk
    (tmp_path / "called.py").write_text(CALLED.format(2))
    assert run(tmp_path, "after") == ["2", "0"]


def test_the_fingerprint_is_in_every_index():
    pytest.importorskip("numba")
    if "jit" not in backends.available():
        pytest.skip("no jit backend")
    from pyconvex.backends import jit_compile, jit_pricing

    assert jit_pricing.walk._cache._cache_file._source_stamp[1] == jit_compile.FINGERPRINT
    assert len(jit_compile.FINGERPRINT) == 64
