"""Between the convex program's neurons and the network's weights."""

from dataclasses import replace

import numpy as np

from pyconvex.column_generation import Solver
from pyconvex.coordinates import Coordinates
from pyconvex.dual_newton import DualNewton
from pyconvex.losses import Array
from pyconvex.network import Network
from pyconvex.neurons import Neurons
from pyconvex.patterns import PatternSet
from pyconvex.program import Problem
from pyconvex.rows import Rows

_SAME = 1e-10  # unit vectors closer than this are one neuron
_NOTHING = 1e-14  # a skip connection smaller than this share of the neurons is rounding
_FLAT = 1e-12  # activations below this share of the largest are zero


def decode(
    neurons: Neurons, problem: Problem, coordinates: Coordinates, gates: Array | None
) -> Network:
    """Return the balanced network: w = u / sqrt(norm), alpha = sign sqrt(norm).

    ReLU neurons of one sign and one direction are merged; gated ones (``gates``, p x n_patterns)
    keep their gates.
    """
    U, signs = neurons.U, neurons.signs
    if gates is None:
        U, signs = _merged(problem, U, signs)
    skip, intercept = None, neurons.intercept
    if problem.skip is not None:
        U, signs, linear = _unfolded(problem, U, signs, gates is None)
        skip, (lost,) = problem.skip.to_features(neurons.skip[:, np.newaxis])
        skip[:, 0] += linear[: len(skip)]
        intercept += float(linear[len(skip) :].sum()) - float(lost)
        if np.linalg.norm(skip) <= _NOTHING * problem.norms(U).sum():
            skip = np.zeros_like(skip)
        skip, (moved,) = coordinates.skips_to_user(skip)
        skip, intercept = skip[:, 0], intercept + float(moved)
    roots = np.sqrt(problem.norms(U))
    weights, bias = coordinates.to_user(U / roots[:, np.newaxis])
    gate_weights = gate_bias = None
    if gates is not None:
        chosen = gates[:, neurons.pattern].T
        gate_weights = chosen[:, : weights.shape[1]]
        gate_bias = chosen[:, -1] if coordinates.ones else np.zeros(len(chosen))
    return Network(weights, bias, signs * roots, intercept, gate_weights, gate_bias, skip)


def _unfolded(
    problem: Problem, U: Array, signs: Array, movable: bool
) -> tuple[Array, Array, Array]:
    """Hand what is linear in ReLU neurons to a skip connection that has it at no more cost.

    With a free one a neuron and another of the opposite direction are one, since
    (t)_+ = (-t)_+ + t; a decayed one takes neurons that are on everywhere. Returns the neurons
    that remain, their signs, and the linear function (p,). Decayed biases stay where they are.
    """
    assert problem.skip is not None
    linear, kept = np.zeros(U.shape[1]), np.ones(len(U), dtype=bool)
    constants = problem.skip.transform.shape[0] < U.shape[1]
    if not movable or (constants and not problem.free_bias):
        return U, signs, linear
    U, directions = U.copy(), U / problem.norms(U)[:, np.newaxis]
    for j in range(len(U)):
        if problem.skip.free:
            apart = np.abs(directions[:j] + directions[j]).max(axis=1)
            same = kept[:j] & (signs[:j] == signs[j])
            near = np.flatnonzero(same & (apart <= _SAME * np.abs(directions[j]).max()))
            if len(near):
                U[near[0]] -= U[j]
            kept[j] = len(near) == 0
        else:
            activations = problem.X @ U[j]
            kept[j] = activations.min() < -_FLAT * np.abs(activations).max()
        if not kept[j]:
            linear += signs[j] * U[j]
    return U[kept], signs[kept], linear


def _merged(problem: Problem, U: Array, signs: Array) -> tuple[Array, Array]:
    """Add up neurons of one sign and direction: they meet on a face that their cells share."""
    directions = U / problem.norms(U)[:, np.newaxis]
    groups: list[list[int]] = []
    for j in range(len(U)):
        for group in groups:
            first = group[0]
            apart = np.abs(directions[j] - directions[first]).max()
            if signs[j] == signs[first] and apart <= _SAME * np.abs(directions[j]).max():
                group.append(j)
                break
        else:
            groups.append([j])
    merged = np.array([U[group].sum(axis=0) for group in groups]).reshape(len(groups), U.shape[1])
    return merged, signs[[group[0] for group in groups]]


def encode(
    network: Network,
    solver: Solver | DualNewton,
    coordinates: Coordinates,
    X: Rows,
    patterns: PatternSet | None,
) -> Neurons:
    """Return the solver's neurons for a network; those outside given patterns are left out."""
    problem, start = solver.problem, Neurons.none(solver.problem)
    if network.n_features != X.shape[1]:
        raise ValueError(
            f"warm_start has {network.n_features} features but X has {X.shape[1]} columns: "
            "pass a fit on the same features"
        )
    if network.output_weights.ndim != 1:
        raise ValueError(
            f"warm_start has output_weights of shape {network.output_weights.shape} but y is 1-D: "
            "pass a fit to a target of the same shape"
        )
    U = coordinates.to_solver(network.hidden_weights, network.hidden_bias)
    U = np.ascontiguousarray(U * np.abs(network.output_weights)[:, np.newaxis])
    signs = np.where(network.output_weights < 0.0, -1.0, 1.0)
    used = problem.norms(U) > 0.0
    pattern = np.full(len(U), -1)
    if patterns is not None:
        gates = U if network.gates is None else _gate_rows(network, coordinates)
        rows = problem.X if network.gates is None else coordinates.gate_rows(X)
        bits = solver.kernels.pack_dense(np.ascontiguousarray(gates @ rows.T >= 0.0))
        index = {row.tobytes(): g for g, row in reversed(list(enumerate(solver.packed)))}
        pattern = np.array([index.get(row.tobytes(), -1) for row in bits], dtype=np.int64)
        used &= pattern >= 0
        if solver.mode == solver.kernels.GATED:  # the sign is absorbed, one neuron per gate
            signed = U[used] * signs[used, np.newaxis]
            pattern, place = np.unique(pattern[used], return_inverse=True)
            U, signs = np.zeros((len(pattern), U.shape[1])), np.ones(len(pattern))
            np.add.at(U, place, signed)
            used = problem.norms(U) > 0.0
    tight = np.full((int(used.sum()), U.shape[1]), -1)
    skip = start.skip
    if network.skip is not None and problem.decayed.shape[1]:
        skip = coordinates.to_solver(network.skip[np.newaxis], np.zeros(1))[0, : len(skip)]
    return Neurons(U[used], signs[used], tight, pattern[used], 0.0, start.prediction, skip)


def check_outputs(network: Network, n_outputs: int) -> None:
    """Refuse a warm start with another number of outputs than y has columns."""
    if network.output_weights.ndim != 2 or network.n_outputs != n_outputs:
        raise ValueError(
            f"warm_start has output_weights of shape {network.output_weights.shape} but y has "
            f"{n_outputs} columns: pass a fit to a target of the same shape"
        )


def with_inputs(network: Network, mean: Array, scale: Array) -> Network:
    """Return the network whose output at (x - mean) / scale is this one's at x."""
    gates = gate_bias = None
    if network.gates is not None and network.gate_bias is not None:
        gates, gate_bias = network.gates * scale, network.gate_bias + network.gates @ mean
    return replace(
        network,
        hidden_weights=network.hidden_weights * scale,
        hidden_bias=network.hidden_bias + network.hidden_weights @ mean,
        output_bias=network.output_bias + (0.0 if network.skip is None else mean @ network.skip),
        gates=gates,
        gate_bias=gate_bias,
        skip=None if network.skip is None else network.skip * scale,
    )


def _gate_rows(network: Network, coordinates: Coordinates) -> Array:
    assert network.gates is not None
    assert network.gate_bias is not None
    if coordinates.ones:
        return np.column_stack([network.gates, network.gate_bias])
    return network.gates
