"""Options of the suites: pytest bench --benchmark-only [--quick] [--threads N]."""

import pytest

import machine
from sizes import ONCE, Sizes


def pytest_addoption(parser):
    group = parser.getgroup("pyconvex")
    group.addoption("--quick", action="store_true", help="smallest sizes, best backend only")
    group.addoption("--threads", type=int, default=1, help="of pyconvex (default: 1)")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.pluginmanager.hasplugin("benchmark"):
        from pytest_benchmark.utils import get_tag

        config.option.benchmark_autosave = get_tag()  # JSON below .benchmarks, see README.md here


def pytest_generate_tests(metafunc):
    """Give `size` what the test's `sizes` mark lists, and `backend` what is installed."""
    from pyconvex import backends

    quick = metafunc.config.getoption("quick")
    if "size" in metafunc.fixturenames:
        (sizes,) = metafunc.definition.get_closest_marker("sizes").args
        assert isinstance(sizes, Sizes)
        chosen = sizes.chosen(quick)
        metafunc.parametrize("size", chosen, ids=[_name(size) for size in chosen])
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", backends.available()[: 1 if quick else None])


def _name(size):
    return size if isinstance(size, str) else "x".join(map(str, size))


@pytest.fixture
def n_threads(request):
    return request.config.getoption("threads")


@pytest.fixture
def clock(benchmark, request):
    """Time calls of a function, a warm-up (numba compiles) and all set-up off the clock."""

    parameters = getattr(request.node, "callspec", None)
    usual = 1 if parameters is not None and parameters.params.get("size") in ONCE else 3

    def run(function, *arguments, warm_up=None, rounds=usual, **keywords):
        (warm_up or (lambda: function(*arguments, **keywords)))()
        return benchmark.pedantic(function, arguments, keywords, rounds=rounds, iterations=1)

    return run


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    facts = machine.describe() | {"pyconvex_threads": config.getoption("threads")}
    machine_info["pyconvex"] = facts
