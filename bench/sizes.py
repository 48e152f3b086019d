"""The sizes of all benchmarks, in one place: `quick` ones are those of --quick."""

from typing import Any, NamedTuple


class Sizes(NamedTuple):
    """What a quick run takes, and what a full one adds."""

    quick: tuple[Any, ...]
    more: tuple[Any, ...] = ()

    def chosen(self, quick):
        return self.quick if quick else self.quick + self.more


# Arrangements: (rows, rank) in general position, names of degenerate ones.
GENERAL = Sizes(((300, 3), (25, 8)), ((1000, 2), (100, 4), (50, 5), (30, 6)))
DEGENERATE = Sizes(("threshold-5", "permutahedron-8"), (
    "resonance-6", "cross-polytope-12", "demicube-6",
))  # fmt: skip
LARGE = Sizes((), ((100_000, 2), (1000, 3), (60, 6)))  # without a rival
LARGE_STOP = {(100_000, 2): 20_000}
N_GATES = 50_000  # drawn at random, beside the search
UNIFORM = Sizes(((1000, 10, 1000),))  # rows, rank, draws

# Group lassos: (n, d, gates, beta / beta_max).
GROUP_LASSO = Sizes(
    ((200, 10, 100, 0.1), (200, 10, 100, 0.01)),
    (
        (1000, 20, 500, 0.1), (1000, 20, 500, 0.01), (5000, 50, 1000, 0.1), (5000, 50, 1000, 0.01),
        (2000, 100, 2000, 0.1), (2000, 100, 2000, 0.01),
    ),
)  # fmt: skip
CONES = Sizes(
    ((200, 10, 100, 0.1), (200, 10, 100, 0.01)), ((1000, 20, 500, 0.1), (1000, 20, 500, 0.01))
)
GROUP_PATH = Sizes(((200, 10, 100),), ((1000, 20, 500),))
GRADIENT = Sizes(((1000, 20, 2000),), ((5000, 50, 10_000),))
MANY_GATES = Sizes((), ((5000, 50, 100_000, 0.1),))
ARRAY = Sizes(((1000, 20, 500, 0.1),), ((5000, 50, 1000, 0.1),))  # on tensors in the CPU's memory
ARRAY_GPU = Sizes(((10_000, 100, 1000, 0.1),), (
    (10_000, 1000, 1000, 0.1), (30_000, 300, 3000, 0.1), (100_000, 100, 1000, 0.1),
    (100_000, 100, 10_000, 0.1),
))  # fmt: skip

# Networks, by the names of problems.py.
TRAINING = Sizes(("breast_cancer", "s1"), ("s2", "digits", "diabetes", "diabetes_free"))
CERTIFIED = Sizes(
    ("golden", "60x3", "300x4", "1000x3"),
    ("spirals", "300x5", "1000x6", "10000x3", "100000x3"),
)
PATH = Sizes(("s1",), ("breast_cancer", "diabetes"))
PREDICT = Sizes(((10_000, 20, 50),), ((100_000, 50, 200),))  # rows, features, neurons
PRICING = Sizes(((100, 4), (1000, 3)), ((50, 5), (300, 4)))

# Solves of 20 seconds or more are timed once, others several times.
ONCE = {"digits", "1000x6", (5000, 50, 1000, 0.01), (5000, 50, 100_000, 0.1)}

# Memory: what is streamed; a group lasso also for rivals; a network on many rows.
STREAM = Sizes(((1000, 3),), ((3000, 3),))
MEMORY_LASSO = Sizes(((1000, 20, 500, 0.1),), ((2000, 100, 2000, 0.1),))
MEMORY_FIT = Sizes(("1000x3",), ("100000x3",))

# Scaling: rows at each rank; (n, d) of fits; n, d and gates of group lassos and gradients.
SCALING_CELLS = {
    2: Sizes((2000, 4000, 8000, 16_000)),
    3: Sizes((250, 500, 1000), (2000,)),
    4: Sizes((75, 150, 300), (400,)),
    5: Sizes((40, 60, 90), (120,)),
    6: Sizes((25, 35, 50), (65,)),
}
SCALING_FIT_N = Sizes((250, 500, 1000), (2000, 4000))  # d = 10
SCALING_FIT_D = Sizes((5, 10, 20), (40,))  # n = 500
SCALING_GATED_P = Sizes((250, 500, 1000), (2000, 4000))  # n = 1000, d = 20
SCALING_GRADIENT_N = Sizes((2000, 4000, 8000), (16_000, 32_000))  # d = 50, 1000 gates
SCALING_GRADIENT_D = Sizes((16, 32, 64), (128, 256))  # n = 4000, 1000 gates
SCALING_GRADIENT_P = Sizes((500, 1000, 2000), (4000, 8000))  # n = 4000, d = 50
THREADS = (1, 2, 4, 8, 16)  # as far as there are cores
