"""What a user waits for before the first line of work: new processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numba", "sklearn", "torch", "matplotlib", "onnx")
IMPORT = f"""
import json, sys
import pyconvex
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
FIRST_FIT = """
import json
import numpy as np
import pyconvex
X = np.random.default_rng(0).standard_normal((8, 3))
y = np.random.default_rng(1).standard_normal(8)
fit = pyconvex.fit(X, y, beta=0.15 / 8, bias="none", tol=1e-9, n_threads=1)
print(json.dumps([fit.certificate, fit.objective]))
"""
EMPTY = "print('[]')"


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        cwd=Path(sys.executable).parent,
    )
    return json.loads(done.stdout)


def test_python(clock):
    assert clock(run, EMPTY) == []  # what the others start from


def test_import(clock):
    assert clock(run, IMPORT) == []  # no heavy module


def test_first_fit(clock):
    certificate, objective = clock(run, FIRST_FIT)
    assert certificate == "global"
    assert objective == pytest.approx(0.73284603 / 8, rel=1e-7)
