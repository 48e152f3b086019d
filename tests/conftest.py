import os

import pytest

from pyconvex import backends


def native_required() -> bool:
    return os.environ.get("PYCONVEX_REQUIRE_NATIVE", "").lower() not in ("", "0", "false", "off")


@pytest.fixture(params=backends.NAMES)
def backend(request):
    """Each backend in turn: skipped where it is absent, unless the environment requires it."""
    reason = backends.why_unavailable(request.param)
    if reason is not None:
        if request.param == "native" and not native_required():
            pytest.skip(reason)
        pytest.fail(reason)
    return request.param


@pytest.fixture
def require_native():
    """Whether PYCONVEX_REQUIRE_NATIVE is set."""
    return native_required()
