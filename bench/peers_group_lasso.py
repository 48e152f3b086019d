"""The group lasso over fixed gates by other solvers.

A solver takes X, y, gates (one per column), beta and a tolerance of its own, and returns weights
(n_gates, p), with cones (2 n_gates, p): those of output weight +1, then those of -1. It raises
ImportError where its library is not installed.
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


def pyscnn(X, y, G, beta, tol):
    """The R-FISTA of its authors, single precision (all it has); data as they are."""
    from scnn import metrics, models, optimize, regularizers, solvers

    solver = solvers.RFISTA(models.ConvexGatedReLU(G), max_iters=100_000, tol=tol)
    convex, _ = optimize.optimize_model(
        solver.model, solver, metrics.Metrics(), X, y[:, np.newaxis],
        regularizer=regularizers.NeuronGL1(beta), unitize_data=False, return_convex=True,
    )  # fmt: skip
    weights = np.zeros((G.shape[1], X.shape[1]))
    order = [np.abs(G.T - gate).sum(axis=1).argmin() for gate in np.asarray(convex.G).T]
    weights[order] = convex.parameters[0][0]  # it reorders the gates
    return weights


def clarabel(X, y, G, beta, tol):
    """The interior-point method Clarabel through cvxpy, on the expanded program."""
    return conic(X, y, masks_of(X, G), beta, tol, cones=False)


def adelie_cones(X, y, G, beta, tol):
    """Adelie with one linear constraint object per group; tighter inner tolerances abort."""
    import adelie as ad

    (n, p), masks = X.shape, np.asfortranarray(masks_of(X, G))
    n_groups = 2 * masks.shape[1]
    design = ad.matrix.convex_relu(np.asfortranarray(X), masks, gated=False, n_threads=1)
    signed = [np.ascontiguousarray(np.where(m, -1.0, 1.0)[:, np.newaxis] * X) for m in masks.T]
    free, zero = np.full(n, -1e30), np.zeros(n)
    constraints = [ad.constraint.linear(A, free, zero) for A in signed * 2]
    state = ad.grpnet(
        X=design, glm=ad.glm.gaussian(y=y), groups=p * np.arange(n_groups), lmda_path=[beta],
        penalty=np.ones(n_groups), constraints=constraints, intercept=False, tol=tol,
        irls_tol=1e-12, max_iters=10**9, n_threads=1, progress_bar=False, early_exit=False,
    )  # fmt: skip
    return state.betas.toarray().reshape(n_groups, p)


def clarabel_cones(X, y, G, beta, tol):
    """Clarabel through cvxpy, all cones as rows of one program."""
    return conic(X, y, masks_of(X, G), beta, tol, cones=True)


def conic(X, y, masks, beta, tol, cones):
    """The program over masks (n, P) by cvxpy and Clarabel, with cones in both signs."""
    import cvxpy as cp

    U = [cp.Variable((masks.shape[1], X.shape[1])) for _ in range(1 + cones)]
    hidden = [X @ part.T for part in U]
    outputs = hidden[0] - hidden[1] if cones else hidden[0]
    prediction = cp.sum(cp.multiply(masks.astype(float), outputs), axis=1)
    signs = np.where(masks, 1.0, -1.0)
    constraints = [cp.multiply(signs, part) >= 0 for part in hidden] if cones else []
    penalty = sum(cp.sum(cp.norm(part, axis=1)) for part in U)
    loss = 0.5 * cp.sum_squares(y - prediction) / len(y)
    accuracy = {f"tol_{name}": tol for name in ("gap_abs", "gap_rel", "feas")}
    problem = cp.Problem(cp.Minimize(loss + beta * penalty), constraints)
    problem.solve("CLARABEL", max_threads=1, **accuracy)
    return np.concatenate([part.value for part in U])


SOLVERS = {f.__name__: f for f in (adelie, skglm, celer, pyscnn, clarabel)}
CONE_SOLVERS = {"adelie": adelie_cones, "clarabel": clarabel_cones}


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


def cone_figures(X, y, G, beta, weights):
    """Objective of the program, the largest violation of a cone, objective of the ReLU network.

    Violations are cosines of the angle between rows and weights; a network has no gates, so that
    one with infeasible weights has another objective than the program.
    """
    masks = masks_of(X, G)
    signs = np.repeat([1.0, -1.0], masks.shape[1])
    norms = np.linalg.norm(weights, axis=1)
    active = np.flatnonzero(norms > 1e-6 * norms.max(initial=0.0))
    hidden, on = X @ weights[active].T, np.tile(masks, 2)[:, active]
    scale = np.linalg.norm(X, axis=1)[:, np.newaxis] * norms[active]
    violation = np.max(np.where(on, -hidden, hidden) / scale, initial=0.0)
    values = [
        0.5 * np.mean((y - outputs @ signs[active]) ** 2) + beta * norms.sum()
        for outputs in (on * hidden, np.maximum(hidden, 0.0))
    ]
    return values[0], float(violation), values[1]
