import numpy as np
import pytest

from pyconvex import backends
from pyconvex.backends import get_backend


def test_native_is_there_where_it_is_required(require_native):
    if require_native:
        assert backends.why_unavailable("native") is None


def test_named_backend(backend):
    assert get_backend(backend).__name__ == f"pyconvex.backends.{backend}"


def test_auto_is_the_first_available():
    assert get_backend() is get_backend(backends.available()[0])


@pytest.mark.parametrize("name", ["cuda", "", None, 3, ["jit"]])
def test_unknown_backend_lists_the_choices(name):
    with pytest.raises(ValueError, match="backend must be one of 'auto', 'native', 'jit'"):
        get_backend(name)


def test_missing_backend_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(backends, "_load", lambda name: ImportError("no such file"))
    with pytest.raises(ImportError, match=r"'native'.*compiler.*no such file"):
        get_backend("native")
    with pytest.raises(ImportError, match="pip install numba"):
        get_backend("auto")


def test_missing_native_falls_back_to_jit(monkeypatch):
    load = backends._load
    monkeypatch.setattr(
        backends, "_load", lambda name: ImportError("gone") if name == "native" else load(name)
    )
    assert get_backend().__name__ == "pyconvex.backends.jit"
    assert backends.available() == ["jit"]


def test_backends_have_the_same_names(backend):
    kernels = get_backend(backend)
    assert set(kernels.__all__) == set(get_backend("jit").__all__)
    assert all(hasattr(kernels, name) for name in kernels.__all__)
    assert (kernels.GATED, kernels.FIXED, kernels.CROSSING) == (0, 1, 2)


def test_native_refuses_to_convert():
    if "native" not in backends.available():
        pytest.skip("needs the compiled core")
    X = np.eye(2)
    with pytest.raises(TypeError):
        get_backend("native").pack_gates(X.astype(np.float32), X, 0)
    with pytest.raises(TypeError):
        get_backend("native").pack_gates(np.asfortranarray(np.ones((2, 3))), X, 0)
