import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyconvex
from pyconvex import backends

ROOT = Path(__file__).parent.parent


def run(code):
    """Run code in a fresh interpreter, outside the source folder."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light():
    heavy = "{'numba', 'sklearn', 'scipy', 'torch', 'onnx', 'tqdm', 'pandas', 'numpy'}"
    assert run(f"import sys, pyconvex; print({heavy} & set(sys.modules))") == "set()"


def test_import_prints_nothing():
    assert run("import pyconvex; pyconvex.sample_patterns([[1.0]], 3)") == ""


@pytest.mark.parametrize("name", pyconvex._PUBLIC)
def test_public_names_resolve(name):
    assert getattr(pyconvex, name) is not None


def test_dir_lists_the_public_names():
    assert set(pyconvex.__all__) <= set(dir(pyconvex))


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        pyconvex.fitt  # noqa: B018


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(pyconvex.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"
    )
    seen = {a.name: node.module.split(".")[1] for node in block.body for a in node.names}
    assert seen == pyconvex._PUBLIC


@pytest.mark.parametrize(
    "first",
    [
        "import pyconvex.fit",
        "from pyconvex.fit import Fit",
        "import pyconvex; pyconvex.beta_max",
        "import importlib; importlib.import_module('pyconvex.fit')",
        "pass",
    ],
)
def test_fit_is_the_function_whatever_is_imported_first(first):
    assert run(f"{first}\nfrom pyconvex import fit; print(type(fit).__name__)") == "function"


def test_public_object_wins_over_a_submodule_of_its_name():
    package, submodule = pyconvex._Package("pyconvex"), type(sys)("pyconvex.fit")
    submodule.fit = lambda: "function"
    package.fit = submodule  # what the import system does
    assert package.fit() == "function"


def test_version_is_that_of_cmake():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert pyconvex.__version__ == re.search(r"project\(pyconvex VERSION ([\d.]+)", text).group(1)
    if "native" in backends.available():
        assert importlib.import_module("pyconvex._core").__version__ == pyconvex.__version__


def test_numpy_arrays_need_no_array_library():
    code = (
        "import sys, pyconvex; pyconvex.fit([[0.0], [1.0]], [0.0, 1.0], model='gated_relu'); "
        "print({'array_api_compat', 'torch', 'cupy'} & set(sys.modules))"
    )
    assert run(code) == "set()"


def test_show_config_prints_or_returns(capsys):
    assert pyconvex.show_config() is None
    printed = capsys.readouterr().out
    report = pyconvex.show_config(mode="dict")
    assert capsys.readouterr().out == ""
    assert report["pyconvex"] == pyconvex.__version__
    assert report["pyconvex"] in printed
    assert list(report["backends"]) == ["native", "jit", "array"]
    with pytest.raises(ValueError, match="mode must be"):
        pyconvex.show_config("xml")


def test_show_config_says_why_a_backend_is_missing(monkeypatch):
    monkeypatch.setattr(backends, "_load", lambda name: ImportError("gone"))
    native = pyconvex.show_config("dict")["backends"]["native"]
    assert not native["available"]
    assert "compiler" in native["reason"]


def test_native_folders():
    if "native" in backends.available():
        assert (Path(pyconvex.get_include()) / "pyconvex" / "pyconvex.hpp").is_file()
        assert (Path(pyconvex.get_cmake_dir()) / "pyconvexConfig.cmake").is_file()
    else:
        with pytest.raises(FileNotFoundError, match="compiler"):
            pyconvex.get_include()
        with pytest.raises(FileNotFoundError, match="compiler"):
            pyconvex.get_cmake_dir()


def test_package_is_typed():
    assert (Path(pyconvex.__file__).parent / "py.typed").is_file()


MODULES = [
    module.name
    for module in pkgutil.walk_packages(pyconvex.__path__, "pyconvex.")
    if module.name.removeprefix("pyconvex.")
    not in ("_core", "__main__", "backends.native", "torch_module")
]


@pytest.mark.parametrize("name", ["pyconvex", *MODULES])
def test_docstring_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
