import subprocess
import sys
from pathlib import Path

import pytest

import pyconvex
from pyconvex import cli
from pyconvex.fit import fit


def run(*arguments):
    """Run ``python -m pyconvex`` outside the source folder."""
    return subprocess.run(
        [sys.executable, "-m", "pyconvex", *arguments],
        cwd=Path(__file__).parent, capture_output=True, text=True,
    )  # fmt: skip


def test_version():
    assert run("--version").stdout.strip() == f"pyconvex {pyconvex.__version__}"


def test_info(capsys):
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    pyconvex.show_config()
    assert printed == capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["train"], "invalid choice: 'train'"),
        (["demo", "--data", "iris"], "invalid choice: 'iris'"),
        (["demo", "--backend", "cuda"], "invalid choice: 'cuda'"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_backend_says_how_to_get_it(monkeypatch, capsys):
    def missing(name):
        raise ImportError("pip install numba")

    monkeypatch.setattr(cli, "get_backend", missing)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["demo"])
    assert "pip install numba" in capsys.readouterr().err


def cells(line):
    """Cells of a table row, which are two or more spaces apart."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@pytest.mark.parametrize("data", ["breast_cancer", "diabetes"])
def test_demo(data, backend, capsys):
    assert cli.main(["demo", "--data", data, "--backend", backend]) == 0
    _, header, ours, peer, *_ = capsys.readouterr().out.splitlines()
    assert len(header) == len(ours) == len(peer)
    ours, peer = (dict(zip(cells(header), cells(row), strict=True)) for row in (ours, peer))
    assert float(ours["gap"]) <= 1e-6
    assert (ours["certificate"], peer["certificate"]) == ("local", "none")
    assert float(ours["objective"]) < float(peer["objective"]) < 1.01 * float(ours["objective"])
    assert int(ours["neurons"]) < int(peer["neurons"]) / 5
    score = "accuracy" if data == "breast_cancer" else "R2"
    assert float(ours[score]) == pytest.approx(float(peer[score]), abs=0.01)


def test_a_solve_that_stops_early_is_said_and_exits_with_1(monkeypatch, capsys):
    stopped = lambda *args, **settings: fit(*args, **settings, max_iter=0)  # noqa: E731
    monkeypatch.setattr(cli, "fit", stopped)
    monkeypatch.setattr(cli, "_sklearn_network", lambda data: stopped(data.X, data.y).network)
    assert cli.main(["demo"]) == 1
    assert "stopped early: max_iter" in capsys.readouterr().err
