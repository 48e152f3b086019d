"""Imports point down the flow only: fit -> solver -> pricing -> program -> patterns -> data."""

import ast
from pathlib import Path

import pytest

import pyconvex

PACKAGE = Path(pyconvex.__file__).parent

# Level of each room: it may import rooms of lower levels only. Put a new room in this table.
LEVEL = {
    "_core": 0,
    "namespaces": 0,
    "backends": 1,
    "data": 1,
    "doubles": 1,
    "rows": 2,
    "losses": 2,
    "config": 2,
    "witnesses": 2,
    "lines": 2,
    "canvas": 2,
    "patterns": 3,
    "coordinates": 3,
    "minimal": 3,
    "storage": 3,
    "torch_module": 3,
    "sample_plot": 3,
    "arrangement": 4,
    "program": 4,
    "export": 4,
    "enumeration": 5,
    "sampling": 5,
    "network": 5,
    "pricing": 5,
    "monitor": 5,
    "neurons": 5,
    "quadratic_model": 5,
    "dual_box": 5,
    "dual_linear": 5,
    "linear": 3,
    "array_loss_base": 3,
    "array_kinked": 4,
    "array_losses": 5,
    "device_choice": 1,
    "device_network": 2,
    "array_problem": 6,
    "array_cholesky": 2,
    "array_system": 7,
    "array_box": 6,
    "array_newton": 8,
    "array_coordinates": 2,
    "array_faces": 2,
    "array_model": 2,
    "array_interior": 3,
    "array_groups": 7,
    "array_cells": 3,
    "array_walk": 3,
    "array_training": 5,
    "array_pricing": 6,
    "array_descent": 7,
    "array_cones": 8,
    "stages": 5,
    "array_stages": 9,
    "array_relu": 14,
    "array_group_lasso": 10,
    "array_task": 15,
    "spectral": 3,
    "extrapolation": 3,
    "nuclear_problem": 6,
    "nuclear_newton": 7,
    "kink_plot": 6,
    "subject": 6,
    "zonotopes": 6,
    "fill_plot": 7,
    "bounded": 7,
    "column_generation": 8,
    "dual_system": 8,
    "dual_newton": 9,
    "grid": 9,
    "softmax_newton": 9,
    "softmax": 10,
    "proximal_point": 10,
    "solver": 11,
    "decode": 11,
    "group_lasso_path": 12,
    "task": 12,
    "price": 13,
    "fitted": 13,
    "path_plot": 13,
    "outputs": 14,
    "nuclear": 14,
    "fit": 16,
    "path": 17,
    "device_estimators": 17,
    "estimator_base": 18,
    "plotting": 18,
    "history_plot": 18,
    "importance_plot": 18,
    "prediction_plot": 18,
    "datasets": 18,
    "estimators": 19,
    "cross_validation": 19,
    "cli": 19,
    "model_selection": 20,
    "__main__": 20,
}


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path):
    """Rooms of pyconvex that a file imports, wherever in the file the import stands."""
    package = ("pyconvex", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            targets = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            parts = target.split(".")
            if parts[0] == "pyconvex" and len(parts) > 1:
                yield parts[1]


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in LEVEL, f"put {room} in the table of this test"
    for target in imported_rooms(path):
        if target != room:
            assert target in LEVEL, f"{path.name}: import from the module {target} is in"
            assert LEVEL[target] < LEVEL[room], f"{room} imports {target}"


def test_public_headers_need_only_the_standard_library():
    include = Path(__file__).parent.parent / "cpp" / "include" / "pyconvex"
    for header in include.glob("*.hpp"):
        for line in header.read_text(encoding="utf-8").splitlines():
            if line.startswith("#include"):
                name = line.split()[1].strip('<>"')
                own = name.startswith("pyconvex/")
                assert own or "/" not in name, f"{header.name} includes {name}"
                assert name != "omp.h", f"{header.name} includes {name}"


def test_openmp_is_known_to_one_header():
    sources = Path(__file__).parent.parent / "cpp"
    known = {path.name for path in sources.rglob("*.?pp") if "#pragma omp" in path.read_text()}
    assert known == {"parallel.hpp"}
