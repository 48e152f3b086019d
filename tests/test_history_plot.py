import sys
from dataclasses import replace

import numpy as np
import pytest

import pyconvex
from pyconvex import plot_history
from pyconvex.monitor import Record

X = np.random.default_rng(0).standard_normal((30, 2))
y = np.abs(X[:, 0]) - X[:, 1]
PATTERNS = pyconvex.sample_patterns(X, 40, random_state=0)
LOCAL = pyconvex.fit(X, y, beta=0.05, random_state=0, certificate="local")
GLOBAL = pyconvex.fit(X, y, beta=0.05, random_state=0)
LASSO = pyconvex.solve_group_lasso(X, y, PATTERNS, beta=0.01)


@pytest.fixture(autouse=True)
def figures(plt):
    return plt


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def gaps(fit):
    return [(one.objective - one.dual_objective) / one.objective for one in fit.history]


@pytest.mark.parametrize("fit", [LOCAL, GLOBAL, LASSO], ids=["local", "global", "lasso"])
def test_gaps_over_seconds_and_the_mark_of_the_result(fit):
    ax = plot_history(fit)
    line, mark = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), [one.seconds for one in fit.history])
    np.testing.assert_allclose(line.get_ydata(), gaps(fit))
    assert (*mark.get_xdata(), *mark.get_ydata()) == (fit.seconds, fit.gap)
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds", "relative gap")
    assert ax.get_xlim()[0] == 0.0


@pytest.mark.parametrize("fit", [LOCAL, LASSO], ids=["fit", "lasso"])
def test_objectives(fit):
    above, below, mark = plot_history(fit, quantity="objectives").lines
    np.testing.assert_array_equal(above.get_ydata(), [one.objective for one in fit.history])
    np.testing.assert_array_equal(below.get_ydata(), [one.dual_objective for one in fit.history])
    assert mark.get_ydata() == [fit.dual_objective]


@pytest.mark.parametrize(
    ("fit", "line", "hollow", "expected"),
    [
        (LOCAL, "--", True, ["relative gap, estimated", "local: an estimate"]),
        (GLOBAL, "--", False, ["relative gap, estimated", "global: proved"]),
        (LASSO, "-", False, ["relative gap", "restricted: proved for the given patterns"]),
    ],
    ids=["local", "global", "restricted"],
)
def test_estimates_look_and_are_labelled_as_such(fit, line, hollow, expected):
    ax = plot_history(fit)
    assert ax.lines[0].get_linestyle() == line
    assert (ax.lines[1].get_markerfacecolor() == "white") == hollow
    assert labels(ax) == expected


def test_bounds_of_gated_networks_are_none_by_local_search():
    fit = pyconvex.fit(X, y, beta=0.05, model="gated_relu", patterns="all", random_state=0)
    assert labels(plot_history(fit)) == ["relative gap", "global: proved"]


def test_one_line_per_fit_named_by_beta():
    other = pyconvex.fit(X, y, beta=0.1, random_state=0)
    ax = plot_history([LOCAL, other])
    assert len(ax.lines) == 4
    assert labels(ax)[:2] == ["beta = 0.05", "beta = 0.1"]
    assert labels(ax)[2:] == [
        "estimated by local search",
        "global: proved",
        "local: an estimate",
    ]
    assert labels(plot_history([LOCAL, GLOBAL]))[:2] == ["fit 0", "fit 1"]
    assert labels(plot_history([LOCAL, LASSO], labels=["one", "two"]))[:2] == ["one", "two"]
    assert labels(plot_history(LASSO, labels=["one"]))[0] == "one"


@pytest.mark.parametrize("quantity", ["gap", "objectives"])
def test_a_path_has_a_colour_scale(quantity):
    path = pyconvex.path(X, y, n_betas=10, random_state=0)
    ax = plot_history(path, quantity=quantity)
    assert len(ax.lines) == (20 if quantity == "gap" else 30)
    _, bar = ax.figure.axes
    assert bar.get_ylim() == pytest.approx((path.betas[-1], path.betas[0]))
    ax.figure.canvas.draw()


def test_many_fits_of_one_beta():
    ax = plot_history([LOCAL] * 9)
    assert len(ax.figure.axes) == 1
    ax.figure.canvas.draw()


def test_a_gap_of_zero_becomes_a_triangle_below_all_others():
    history = tuple(Record(1.0, dual, 3, 0.1) for dual in (0.5, 0.99, 1.0))
    ax = plot_history(replace(LOCAL, history=history, gap=0.0))
    line, mark = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.01, 0.003])
    assert mark.get_marker() == "v"
    np.testing.assert_allclose(mark.get_ydata(), [0.003])


def test_only_gaps_of_zero():
    ax = plot_history(replace(LOCAL, history=(Record(0.0, 0.0, 0, 0.1),), gap=0.0))
    ax.figure.canvas.draw()


def test_given_axes_are_used(figures):
    ax = figures.figure().add_subplot()
    assert plot_history(LOCAL, ax) is ax
    assert len(figures.get_fignums()) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fit": 3}, TypeError, "fit must be a Fit, a GroupLassoResult or a sequence .* got int"),
        ({"fit": [LOCAL, "fit"]}, TypeError, "fit must be .* got str: pass what fit, path"),
        ({"fit": LOCAL.network}, TypeError, "fit must be .* got Network"),
        ({"fit": []}, ValueError, "fit is an empty sequence"),
        ({"quantity": "loss"}, ValueError, "quantity must be one of"),
        ({"labels": ["a", "b"]}, ValueError, "labels has 2 entries but there are 1 fits"),
        ({"ax": 3}, TypeError, "ax must be a matplotlib Axes, got int"),
    ],
)
def test_errors_name_the_argument_and_leave_no_figure(arguments, error, message, figures):
    with pytest.raises(error, match=message):
        plot_history(**{"fit": LOCAL, **arguments})
    assert not figures.get_fignums()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'plot_history needs .* pip install "pyconvex\[plot\]"'):
        plot_history(LOCAL)
