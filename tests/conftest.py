import os
import signal

import devices
import pytest

from pyconvex import backends


def native_required() -> bool:
    return os.environ.get("PYCONVEX_REQUIRE_NATIVE", "").lower() not in ("", "0", "false", "off")


# PYCONVEX_TEST_BACKENDS=native leaves the others to a run of their own.
CHOSEN = os.environ.get("PYCONVEX_TEST_BACKENDS", "").replace(",", " ").split()


@pytest.fixture(params=CHOSEN or backends.NAMES)
def backend(request):
    """Each backend in turn: skipped where it is absent, unless the environment requires it."""
    reason = backends.why_unavailable(request.param)
    if reason is not None:
        if request.param == "native" and not native_required():
            pytest.skip(reason)
        pytest.fail(reason)
    return request.param


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """SIGINT raises KeyboardInterrupt, also where pytest runs in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def require_native():
    """Whether PYCONVEX_REQUIRE_NATIVE is set."""
    return native_required()


@pytest.fixture
def plt():
    """Pyplot without a screen; its figures are closed afterwards."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    yield pyplot
    pyplot.close("all")


@pytest.fixture(params=devices.PLACES)
def place(request):
    """Each array library and device in turn; torch is skipped where it is absent."""
    return devices.place(request.param)
