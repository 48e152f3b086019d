"""The group lasso over fixed gates by other solvers.

A solver takes X, y, gates (one per column), beta and a tolerance of its own, and returns weights
(n_gates, p). It raises ImportError where its library is not installed.
"""

import numpy as np


def masks_of(X, G):
    return X @ G >= 0.0


def expanded(X, G):
    """The stacked design [D_1 X, ..., D_P X], 8 n P p bytes."""
    n, p = X.shape
    masks = masks_of(X, G)
    design = np.empty((n, masks.shape[1] * p), order="F")
    for g in range(masks.shape[1]):
        design[:, g * p : (g + 1) * p] = masks[:, g, np.newaxis] * X
    return design


def adelie(X, y, G, beta, tol):
    """Adelie's coordinate descent on its own operator of masked designs: nothing is expanded."""
    return adelie_path(X, y, G, [beta], tol)[0]


def adelie_path(X, y, G, betas, tol):
    """The same along a path of penalties in descending order."""
    import adelie as ad

    p, n_gates = X.shape[1], G.shape[1]
    masks = np.asfortranarray(masks_of(X, G))
    design = ad.matrix.convex_relu(np.asfortranarray(X), masks, gated=True, n_threads=1)
    state = ad.grpnet(
        X=design, glm=ad.glm.gaussian(y=y), groups=p * np.arange(n_gates), lmda_path=betas,
        penalty=np.ones(n_gates), intercept=False, tol=tol, irls_tol=1e-12, max_iters=10**9,
        n_threads=1, progress_bar=False, early_exit=False,
    )  # fmt: skip
    return state.betas.toarray().reshape(len(betas), n_gates, p)


def skglm(X, y, G, beta, tol):
    """skglm's working sets with Anderson acceleration, on the expanded design."""
    from skglm.datafits import QuadraticGroup
    from skglm.penalties import WeightedGroupL2
    from skglm.solvers import GroupBCD
    from skglm.utils.data import grp_converter

    p, n_gates = X.shape[1], G.shape[1]
    indices, pointers = grp_converter(p, p * n_gates)
    datafit = QuadraticGroup(pointers, indices)
    penalty = WeightedGroupL2(beta, np.ones(n_gates), pointers, indices)
    solver = GroupBCD(tol=tol, fit_intercept=False, max_iter=1000, max_epochs=100_000, verbose=0)
    weights = solver.solve(expanded(X, G), y, datafit, penalty)[0]
    return weights.reshape(n_gates, p)


def celer(X, y, G, beta, tol):
    """Celer's dual extrapolation and working sets, on the expanded design."""
    from celer import GroupLasso

    p, n_gates = X.shape[1], G.shape[1]
    model = GroupLasso(groups=p, alpha=beta, tol=tol, fit_intercept=False, max_iter=1000)
    return model.fit(expanded(X, G), y).coef_.reshape(n_gates, p)


SOLVERS = {f.__name__: f for f in (adelie, skglm, celer)}


def figures(X, y, G, beta, weights):
    """Objective and relative gap of weights, the multiplier made of their residual."""
    n, masks = len(y), masks_of(X, G)
    active = np.flatnonzero(weights.any(axis=1))
    residual = y - (masks[:, active] * (X @ weights[active].T)).sum(axis=1)
    objective = residual @ residual / (2 * n) + beta * np.linalg.norm(weights, axis=1).sum()
    z = residual / n
    norm = max(
        np.linalg.norm(X.T @ (masks[:, g : g + 256] * z[:, np.newaxis]), axis=0).max()
        for g in range(0, masks.shape[1], 256)
    )
    t = np.clip(z @ y / (n * z @ z), -beta / norm, beta / norm)
    return objective, 1.0 - (t * z @ y - 0.5 * n * t * t * z @ z) / objective
