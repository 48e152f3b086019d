"""The benchmark report: what is asked is measured, nothing is lost, losses are said."""

import math
import time

import numpy as np
import pytest

import pyconvex

import exponents
import goals
import measure
import pages
import peers
import peers_group_lasso
import problems
import sizes
from results import Plan, Results
from sections import certified, group_lasso, scaling
from tables import Claim, Table, digits, seconds_of


def proof(name, wall, gap=1e-10, certificate="global"):
    """A record of the section of certified fits."""
    return {
        "kind": "certified", "size": name, "n": 8, "rank": 3, "cells": 58, "beta": 0.1,
        "wall": wall, "cpu": wall, "tol": 1e-9, "gap": gap, "objective": 0.0916, "memory": 5e7,
        "lower_bound": 0.0916, "certificate": certificate, "status": "optimal", "neurons": 3,
    }  # fmt: skip


def every(these):
    return set(these.chosen(quick=False))


def test_every_asked_figure_is_measured():
    assert set(goals.CELLS) == every(sizes.GENERAL)
    assert set(goals.DEGENERATE) == every(sizes.DEGENERATE) == set(problems.DEGENERATE)
    assert set(goals.GROUP_LASSO) == every(sizes.GROUP_LASSO)
    assert set(goals.CONES) == every(sizes.CONES)
    assert set(goals.GRADIENT) <= every(sizes.GRADIENT)
    assert set(goals.TRAINING) == every(sizes.TRAINING) == set(problems.TRAINING)
    assert set(goals.CERTIFIED) == every(sizes.CERTIFIED) == set(problems.CERTIFIED)


@pytest.mark.parametrize("power", [1.0, 2.5])
def test_exponent_of_a_power_law(power):
    n = np.array([10.0, 20.0, 50.0, 100.0])
    slope, error = exponents.exponent(n, 3e-7 * n**power)
    assert slope == pytest.approx(power)
    assert error == pytest.approx(0.0, abs=1e-12)


def test_exponent_knows_what_it_does_not_know():
    assert exponents.exponent([1.0, 10.0], [1.0, 100.0]) == (pytest.approx(2.0), math.inf)
    assert all(math.isnan(value) for value in exponents.exponent([1.0], [1.0]))


def test_numbers_in_tables():
    assert [digits(x) for x in (1234.0, 9.96, 0.0123, 0.0)] == ["1200", "10", "0.012", "0"]
    assert [seconds_of(s) for s in (4.5e-6, 0.0123, 1.5, math.nan)] == [
        "4.5 µs", "12 ms", "1.5 s", "",
    ]  # fmt: skip
    text = Table("caption", ("a", "b"), [(1, "x")], "note").markdown()
    assert text == "**caption**\n\n| a | b |\n|---|---|\n| 1 | x |\n\nnote"


def test_claims_say_where_we_lose():
    assert Claim("x", "1 s", "2 s", False, "r", 0.5).verdict() == "missed, slower than the rival"
    assert Claim("x", "1 s", "0.5 s", True, "r", 2.0).verdict() == ""
    assert Claim("x", "", "0.5 s", None).verdict() == ""


def test_an_interrupted_section_keeps_what_it_has(tmp_path):
    def records():
        yield proof("golden", 0.001)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Results(tmp_path).measure("certified", records(), "command")
    again = Results(tmp_path)
    assert not again.sections["certified"]["complete"]
    assert again.records("certified") == [proof("golden", 0.001)]


def test_pages_are_redrawn_and_tell_losses(tmp_path):
    results = Results(tmp_path)
    records = [
        proof("golden", 0.001),
        proof("60x3", 9.0),
        proof("spirals", 0.1, certificate="local"),
    ]
    results.measure("certified", iter(records), "the command")
    pages.write(results, {"certified": certified}, tmp_path)
    texts = {f: (tmp_path / f).read_text() for f in ("index.md", "certified.md")}
    assert "## Where we lose (2 of 3)" in texts["index.md"]
    assert "60x3: proof to 1e-09: 9.0 s, asked 0.05 s" in texts["index.md"]
    assert "`the command`" in texts["certified.md"]
    assert (tmp_path / "certified.png").stat().st_size > 1000
    pages.write(Results(tmp_path), {"certified": certified}, tmp_path)
    assert texts == {f: (tmp_path / f).read_text() for f in texts}


def test_the_readme_changes_between_its_marks_only(tmp_path):
    results = Results(tmp_path)
    results.measure("certified", iter([proof("golden", 0.001)]), "command")
    claims = pages.write(results, {"certified": certified}, tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{pages.START}\nstale text\n{pages.END}\nafter\n")
    pages.update_readme(readme, claims, results)
    text = readme.read_text()
    assert text.startswith(f"before\n{pages.START}\n")
    assert text.endswith(f"{pages.END}\nafter\n")
    assert "golden: proof" in text
    assert "stale text" not in text
    readme.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        pages.update_readme(readme, claims, results)


def test_scaling_laws_are_fitted_per_kind():
    records = [
        {"kind": "cells, rank 3", "size": n, "cells": problems.n_cells(n, 3), "cpu": 1e-8 * n**2.5,
         "wall": 1.0} for n in (100, 200, 400)
    ]  # fmt: skip
    (claim,) = scaling.claims(records)
    assert (claim.asked, claim.reached) == ("2 to 3", "2.50")


def test_a_fast_rival_makes_a_loss():
    run = {"status": "done", "seconds": 0.004, "gap": 1e-9, "text": "4.0 ms", "curve": []}
    record = {"kind": "solve", "size": [200, 10, 100, 0.1], "cpu": 0.008, "adelie": run}
    (claim,) = group_lasso.claims([record])
    assert claim.met
    assert claim.ratio == pytest.approx(0.5)
    assert claim.verdict() == "slower than the rival"


def test_a_rival_that_is_missing_or_slow_is_reported(monkeypatch):
    peer = peers.Peer("no-such-package", "", ("lasso",))
    monkeypatch.setitem(peers.PEERS, "adelie", peer)
    assert peers.race("adelie", (60, 3, 5, 0.1), 1e-8, 1.0).status == "not installed"
    assert peers.limited("no-such-package", time.sleep, 0, seconds=1) == "not installed"
    assert peers.limited("numpy", time.sleep, 60, seconds=1.0) == "> 1 s"
    assert peers.limited("numpy", math.sqrt, -1.0, seconds=60).startswith("ValueError")


def test_our_own_weights_pass_the_rivals_check():
    X, y, G, beta = problems.group_lasso(60, 4, 12, 0.1)
    patterns = pyconvex.PatternSet.from_gates(X, G)
    result = pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=1e-10)
    weights = np.zeros((12, 4))
    weights[result.active] = result.coef
    value, gap = peers_group_lasso.figures(X, y, G, beta, weights)
    assert value == pytest.approx(result.objective, rel=1e-12)
    assert abs(gap) <= 1e-7  # the residual's multiplier, not the best one
    result = pyconvex.solve_group_lasso(X, y, patterns, beta=beta, tol=1e-10, cones=True)
    weights = np.zeros((24, 4))
    weights[result.active + 12 * (result.signs < 0)] = result.coef
    value, violation, network = peers_group_lasso.cone_figures(X, y, G, beta, weights)
    assert value == pytest.approx(result.objective, rel=1e-12)
    assert network == pytest.approx(value, rel=1e-12)
    assert violation <= 1e-12


def test_timed_repeats_short_runs_and_not_slow_ones():
    assert measure.timed(lambda: None, 3).repeats == measure.MOST
    assert measure.timed(lambda: time.sleep(0.01), 5, slow=1e-3).repeats == 1


def test_quick_sizes_are_the_first_ones():
    plan = Plan(True, 1, 1.0, 10)
    assert plan.chosen(sizes.GENERAL) == sizes.GENERAL.quick
    assert plan._replace(quick=False).chosen(sizes.GENERAL)[:2] == sizes.GENERAL.quick
