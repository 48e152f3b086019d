"""Joint descent of ReLU neurons on a device: convex models of the objective, one after another.

The model at given neurons (`array_interior`) keeps their patterns, and lets a row leave its side of
a convex kink at the cost that this has for the loss. Its minimum moves all neurons at once, onto
kinks and across; the true objective decides how far they go. Once patterns and faces are right the
model of the squared loss is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyconvex.array_interior import minimise
from pyconvex.array_loss_base import ArrayLoss
from pyconvex.array_model import Model
from pyconvex.array_pricing import Maxima
from pyconvex.array_training import Training
from pyconvex.namespaces import DeviceArray

N_COLUMNS = 16  # columns added per round
_MODELS = 3  # at most, between two pricings
_AGAIN = 0.1  # another one follows a gain above this share of the gap
FIRST, LAST, SQUARE = 1.0, 1e-4, 1e-2  # shares of the gap, and of its square, that sides cost
EXACT = 1e-13  # what they cost at the least, relative to the objective
HALVINGS = 30
_KINK = 1e-14  # costs below this share of the largest multiplier are none
VANISHED = 1e-7  # neurons below this share of the largest were on their way to zero
_SAME_SIDE = 1e-8  # preactivations below this, relative to a neuron's largest, have no side
RISE = 1e-12  # an objective may rise by this much, relative
_WORTH = 1e-9  # a column gains more than this share of its penalty
_DAMPING = 1e-10  # curvature added to that of a loss that is not quadratic, relative to the largest


@dataclass(frozen=True)
class State:
    """Neurons, and what follows from them.

    Attributes
    ----------
    U : array, shape (m, p)
        Weights.
    signs : array, shape (m,)
        Output signs.
    shift : float
        The best constant.
    prediction : array, shape (n_samples,)
        Output of the network on the rows.
    objective : float
        Loss plus weight decay.
    """

    U: DeviceArray
    signs: DeviceArray
    shift: float
    prediction: DeviceArray
    objective: float

    @classmethod
    def of(cls, problem: Training, U: DeviceArray, signs: DeviceArray) -> "State":
        """Return the state of given neurons."""
        f, shift = problem.prediction(U, signs)
        return cls(U, signs, shift, f, problem.objective(f, U))

    @classmethod
    def none(cls, problem: Training) -> "State":
        """Return no neurons."""
        space = problem.space
        return cls.of(problem, space.zeros(0, problem.X.shape[1]), space.zeros(0))

    def at(self, problem: Training) -> "State":
        """Return the same neurons with the objective of another problem."""
        return State.of(problem, self.U, self.signs)

    def __len__(self) -> int:
        return int(self.U.shape[0])


def curvatures(loss: ArrayLoss, f: DeviceArray) -> DeviceArray:
    """Return the weighted second derivatives of the loss at a prediction, all positive."""
    h = loss.curvatures(f)
    if not loss.quadratic:
        h = h + _DAMPING * max(loss.space.largest(h), 1e-3)
    return loss.s * h


def best_sizes(
    loss: ArrayLoss,
    f: DeviceArray,
    outputs: DeviceArray,
    betas: list[float],
    intercept: bool,
    ridge: float = 0.0,
) -> list[float]:
    """Return how much of each output (k, n_samples) lowers the model of the loss, one by one.

    Each size is best for what those before leave; 0 where an output is not worth its penalty.
    """
    space = loss.space
    h, z, sizes = curvatures(loss, f), loss.multiplier(f), []
    weight = space.total(h)
    for j, beta in enumerate(betas):
        output = outputs[j, :]
        gain, curve = space.dot(z, output) - beta, space.dot(h * output, output) + ridge
        sizes.append(gain / curve if gain > _WORTH * beta and curve > 0.0 else 0.0)
        z = z - h * (sizes[-1] * output)
        if intercept:
            z = z - h * (space.total(z) / weight)
    return sizes


def added(problem: Training, state: State, columns: Maxima) -> State:
    """Add the best columns one by one, each with its best size on the model of the loss."""
    space, xp = problem.space, problem.space.xp
    columns = columns.first(N_COLUMNS)
    outputs = columns.signs[:, None] * problem.outputs(columns.points)
    sizes = best_sizes(
        problem.loss, state.prediction, outputs, [problem.beta] * len(columns), problem.intercept
    )
    used = [j for j, size in enumerate(sizes) if size > 0.0]
    if not used:
        return state
    chosen = columns.take(xp.asarray(used, dtype=space.integer, device=space.device))
    grown = xp.asarray([sizes[j] for j in used], dtype=space.double, device=space.device)
    U, signs = grown[:, None] * chosen.points, chosen.signs
    for _ in range(HALVINGS):  # a loss far from its model may rise
        more = State.of(problem, xp.concat([state.U, U]), xp.concat([state.signs, signs]))
        if more.objective <= state.objective:
            return more
        U = 0.5 * U
    return state


def improved(
    problem: Training, state: State, gap: float, stop: Callable[[], bool], *, sharp: bool = False
) -> State:
    """Minimise models of the objective, as exactly as a relative gap deserves.

    ``sharp``: as exactly as rounding allows.
    """
    for _ in range(_MODELS):
        if len(state) == 0 or stop():
            break
        moved = merged(problem, _descended(problem, state, gap, stop, sharp))
        gain = state.objective - moved.objective
        state = moved
        if gain <= _AGAIN * gap * state.objective and not (sharp and gain > 0.0):
            break
    return state


def _descended(
    problem: Training, state: State, gap: float, stop: Callable[[], bool], sharp: bool
) -> State:
    """Go towards the minimum of one model as far as the objective falls."""
    space, xp = problem.space, problem.space.xp
    model = crossing_model(problem, state)
    n_sides = len(state) * problem.X.shape[0]
    least = EXACT * state.objective
    cost = least if sharp else max(min(LAST, SQUARE * gap) * gap * state.objective, least)
    first = max(FIRST * gap * state.objective, 100.0 * cost)
    V, _ = minimise(model, first / n_sides, cost / n_sides, stop)
    V = problem.bounded(V)
    norms = problem.norms(V)
    gone = ~(norms > VANISHED * space.largest(norms))
    V = xp.where(gone[:, None], xp.zeros_like(V), V)
    t = 1.0
    for _ in range(HALVINGS):
        moved = _without_zeros(problem, state.U + t * (V - state.U), state.signs)
        if moved.objective < state.objective:
            return moved
        t *= 0.5
    return state


def crossing_model(problem: Training, state: State) -> Model:
    """Return the convex model at a state, whose neurons may cross kinks."""
    space, xp = problem.space, problem.space.xp
    on = problem.activations(state.U) > 0.0
    z = problem.loss.multiplier(state.prediction)
    cost = -state.signs[:, None] * z[None, :]
    costly = cost > _KINK * float(xp.max(xp.abs(z)))
    return Model(
        space=space,
        X=problem.X,
        U=state.U,
        signs=state.signs,
        on=space.to_double(on),
        cost=xp.where(costly, cost, xp.zeros_like(cost)),
        z=z,
        curvature=curvatures(problem.loss, state.prediction),
        betas=space.full(len(state), problem.beta),
        free_bias=problem.free_bias,
        intercept=problem.intercept,
    )


def _without_zeros(problem: Training, U: DeviceArray, signs: DeviceArray) -> State:
    """Return the state of the neurons that have a norm."""
    kept = problem.space.where_true(problem.norms(U) > 0.0)
    return State.of(problem, problem.space.take(U, kept), problem.space.take(signs, kept))


def merged(problem: Training, state: State) -> State:
    """Add up neurons of one sign that share a closed cell: no penalty rises by that."""
    space, xp = problem.space, problem.space.xp
    while len(state) > 1:
        A = problem.activations(state.U)
        tiny = _SAME_SIDE * xp.max(xp.abs(A), axis=1)[:, None]
        up, down = space.to_double(tiny < A), space.to_double(-tiny > A)
        apart = xp.matmul(up, xp.matrix_transpose(down))
        apart = apart + xp.matrix_transpose(apart)
        places = space.arange(len(state))
        pairs = (apart == 0.0) & (state.signs[:, None] == state.signs[None, :])
        pairs = pairs & (places[:, None] < places[None, :])
        if not space.any(pairs):
            break
        first, second = divmod(int(xp.argmax(xp.astype(pairs, space.integer))), len(state))
        kept = space.where_true(places != second)
        sums = state.U + xp.where((places == first)[:, None], state.U[second, :], 0.0 * state.U)
        fewer = State.of(problem, space.take(sums, kept), space.take(state.signs, kept))
        if not fewer.objective <= state.objective * (1.0 + RISE):
            break
        state = fewer
    return state
