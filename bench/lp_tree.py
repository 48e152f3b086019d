"""The rival enumerator of cells: a tree over the rows with one linear program per node.

Incremental enumeration (IncEnu; Rada and Cerny 2018). A node is a sign vector s of the first rows
with a witness h strictly inside its cell. Keeping the sign of the next x_i.h costs nothing, the
other sign is decided by a linear program; the search is depth-first, the first sign is + and every
cell stands for two.

"Max t over s_j x_j.h >= t in a box" is scaled to "s_j x_j.h >= b_j, h free" and given to HiGHS as
its dual: max sum b_j |y_j| over sum y_j x_j = 0, s_j y_j >= 0. That is 0 and its row duals are h,
or it is unbounded and the cell is empty. Random b_j in [1, 2] and a random origin for h keep later
rows from vanishing at a witness, so there are no ties.

The fastest of what was tried on HiGHS 1.16: one model of d rows for the whole tree, later columns
fixed at 0, so that a program differs from the last by about two columns; primal simplex from the
last basis (always feasible); no presolve, scaling or perturbation; one thread. Max t with a model
per depth takes 1.1 to 1.5 times as long, with both signs of each row in one model 2 to 4.5 times.
Pin the process to one core: every run of HiGHS 1.16 looks up the layout of all it may use, which
costs a fifth even on two.
"""

import math
import time

import numpy as np

OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "presolve": "off",
    "solver": "simplex",
    "simplex_strategy": 4,  # primal
    "simplex_scale_strategy": 0,
    "primal_simplex_bound_perturbation_multiplier": 0.0,
}
BOUNDS = {1.0: (0.0, math.inf), 0.0: (0.0, 0.0), -1.0: (-math.inf, 0.0)}


class _Witness:
    """Finds an h with the given signs on the first rows, None if there is none."""

    def __init__(self, highspy, A):
        n, d = A.shape
        self.n_lps = 0
        self.signs = np.zeros(n)
        rng = np.random.default_rng(0)
        self.margins = rng.uniform(1.0, 2.0, n)
        self.origin = rng.standard_normal(d)
        self.values = A @ self.origin
        self.statuses = highspy.HighsModelStatus
        self.highs = highspy.Highs.__base__()  # without callbacks, which print a banner
        self.highs.resetGlobalScheduler(True)  # a thread count used before would be an error
        for name, value in OPTIONS.items():
            self.highs.setOptionValue(name, value)
        rows = np.arange(d, dtype=np.int32)
        for _ in range(d):
            self.highs.addRow(0.0, 0.0, 0, rows[:0], np.zeros(0))
        for row, cost in zip(A, self.values - self.margins, strict=True):
            self.highs.addCol(cost, 0.0, 0.0, d, rows, row)

    def __call__(self, signs, n_rows):
        wanted = np.zeros(len(signs))
        wanted[:n_rows] = signs[:n_rows]
        for j in np.flatnonzero(wanted != self.signs).tolist():
            self.highs.changeColBounds(j, *BOUNDS[wanted[j]])
            if wanted[j]:  # a fixed column may stay basic: its old cost is as generic
                self.highs.changeColCost(j, self.values[j] - wanted[j] * self.margins[j])
        self.signs = wanted
        self.n_lps += 1
        self.highs.run()
        status = self.highs.getModelStatus()
        if status == self.statuses.kUnbounded:
            return None
        if status != self.statuses.kOptimal:
            raise RuntimeError(f"HiGHS ends with {status}")
        return self.origin - np.array(self.highs.getSolution().row_dual)


def lp_tree_patterns(X, limit=None, seconds=None):
    """Return the cells (n_cells x n bits X h >= 0), whether they are all, and the number of LPs.

    Stops at `limit` cells or after `seconds` of wall time. A row of zeros has bit 1.
    """
    try:
        import highspy
    except ImportError:
        return None
    deadline = math.inf if seconds is None else time.perf_counter() + seconds
    limit = math.inf if limit is None else limit
    X = np.asarray(X, dtype=float)
    norms = np.linalg.norm(X, axis=1)
    live = norms > 0.0
    A = X[live] / norms[live, np.newaxis]
    if not len(A):
        return np.ones((1, len(X)), dtype=bool), True, 0
    find = _Witness(highspy, A)
    stack, leaves = [(1, np.copysign(1.0, find.values[0]) * find.origin)], []
    while stack and 2 * len(leaves) < limit and time.perf_counter() < deadline:
        depth, h = stack.pop()
        signs = np.sign(A @ h)
        for i in range(depth, len(A)):
            if time.perf_counter() > deadline:
                stack.append((i, h))
                break
            signs[i] = -signs[i]
            other = find(signs, i + 1)
            signs[i] = -signs[i]
            if other is not None:
                stack.append((i + 1, other))
        else:
            leaves.append(signs > 0.0)
    half = np.array(leaves, dtype=bool).reshape(-1, len(A))
    cells = np.ones((2 * len(half), len(X)), dtype=bool)
    cells[:, live] = np.concatenate([half, ~half])
    complete = not stack and len(cells) <= limit
    return (cells if len(cells) <= limit else cells[:limit]), complete, find.n_lps
