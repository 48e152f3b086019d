"""Train ReLU networks by convex optimisation, with a certificate of optimality.

>>> import pyconvex
>>> patterns = pyconvex.sample_patterns([[0.0, 1.0], [1.0, 0.0]], 10, random_state=0)
>>> patterns.n_samples
2
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Public name -> module that defines it, in the order of the flow. Modules are imported on first
# use: numba, scikit-learn and torch take seconds to load, `import pyconvex` must not.
_PUBLIC = {
    "PatternSet": "patterns",
    "count_patterns": "enumeration",
    "enumerate_patterns": "enumeration",
    "iter_patterns": "enumeration",
    "sample_patterns": "sampling",
    "Status": "program",
    "GroupLassoResult": "solver",
    "solve_group_lasso": "solver",
    "group_lasso_path": "group_lasso_path",
    "Pricing": "price",
    "price": "price",
    "Network": "network",
    "Fit": "fitted",
    "beta_max": "fit",
    "fit": "fit",
    "Path": "path",
    "path": "path",
    "ConvexReLUClassifier": "estimators",
    "ConvexReLURegressor": "estimators",
    "ConvexReLUClassifierCV": "model_selection",
    "ConvexReLURegressorCV": "model_selection",
    "plot_arrangement": "plotting",
    "plot_history": "history_plot",
    "plot_importance": "importance_plot",
    "plot_prediction": "prediction_plot",
    "__version__": "config",
    "get_cmake_dir": "config",
    "get_include": "config",
    "show_config": "config",
}

if TYPE_CHECKING:  # the same table for type checkers and editors; a test compares the two
    from pyconvex.config import __version__ as __version__
    from pyconvex.config import get_cmake_dir as get_cmake_dir
    from pyconvex.config import get_include as get_include
    from pyconvex.config import show_config as show_config
    from pyconvex.enumeration import count_patterns as count_patterns
    from pyconvex.enumeration import enumerate_patterns as enumerate_patterns
    from pyconvex.enumeration import iter_patterns as iter_patterns
    from pyconvex.estimators import ConvexReLUClassifier as ConvexReLUClassifier
    from pyconvex.estimators import ConvexReLURegressor as ConvexReLURegressor
    from pyconvex.fit import beta_max as beta_max
    from pyconvex.fit import fit as fit
    from pyconvex.fitted import Fit as Fit
    from pyconvex.group_lasso_path import group_lasso_path as group_lasso_path
    from pyconvex.history_plot import plot_history as plot_history
    from pyconvex.importance_plot import plot_importance as plot_importance
    from pyconvex.model_selection import ConvexReLUClassifierCV as ConvexReLUClassifierCV
    from pyconvex.model_selection import ConvexReLURegressorCV as ConvexReLURegressorCV
    from pyconvex.network import Network as Network
    from pyconvex.path import Path as Path
    from pyconvex.path import path as path
    from pyconvex.patterns import PatternSet as PatternSet
    from pyconvex.plotting import plot_arrangement as plot_arrangement
    from pyconvex.prediction_plot import plot_prediction as plot_prediction
    from pyconvex.price import Pricing as Pricing
    from pyconvex.price import price as price
    from pyconvex.program import Status as Status
    from pyconvex.sampling import sample_patterns as sample_patterns
    from pyconvex.solver import GroupLassoResult as GroupLassoResult
    from pyconvex.solver import solve_group_lasso as solve_group_lasso

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pyconvex' has no attribute {name!r}")
    value = getattr(import_module(f"pyconvex.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


class _Package(ModuleType):
    """Keep `pyconvex.fit` the function, although the submodule `fit` has the same name.

    The import system sets every submodule as an attribute of its package. Where a public object
    bears that name, the object takes its place; `from pyconvex.fit import ...` still works.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if _PUBLIC.get(name) == name and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
