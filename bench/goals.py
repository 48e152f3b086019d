"""What is asked of each benchmark, and what rivals reached: data, no code.

"Earlier" figures of rivals come from one machine (two shared virtual cores, AVX-512, one thread) in
November 2026, with time limits far beyond those of a report; "published" ones from papers, other
machines. A report runs the rivals again beside pyconvex, and quotes these only where it cannot.
"""

# Cells per second and core, streamed; of a tree with one linear program per node, earlier.
CELLS = {
    (1000, 2): (5e7, 1.3), (300, 3): (4e7, 10.7), (100, 4): (4e7, 103.0), (50, 5): (4e7, 430.0),
    (30, 6): (2.5e7, 1060.0), (25, 8): (1.5e7, 1915.0),
}  # fmt: skip
# Seconds of all cells; published ones of ISF (Dussault, Gilbert & Plaquevent-Jourdain).
DEGENERATE = {
    "resonance-6": (1.0, 1323), "permutahedron-8": (0.5, 77), "threshold-5": (0.1, 58),
    "cross-polytope-12": (2.0, 105), "demicube-6": (0.5, 161),
}  # fmt: skip
TWO_THREADS = 1.7  # times as fast as one
TWIN = 3.0  # times as slow as the native core, at most

# (n, d, gates, fraction of beta_max): seconds to a gap of 1e-8, the optimum by independent solvers,
# CPU seconds of adelie, skglm and celer to 1e-8, earlier (None: not reached).
GROUP_LASSO = {
    (200, 10, 100, 0.1): (0.01, 0.151419690353, (0.067, 0.036, None)),
    (200, 10, 100, 0.01): (0.03, 0.0233917960822, (0.29, 0.16, None)),
    (1000, 20, 500, 0.1): (0.15, 0.0356328491363, (1.24, 1.5, None)),
    (1000, 20, 500, 0.01): (0.5, 0.0069831422252, (None, 18.2, 11.9)),
    (5000, 50, 1000, 0.1): (3.0, 0.0909862898947, (30.0, 25.9, 13.3)),
    (5000, 50, 1000, 0.01): (20.0, 0.0197352626589, (None, None, None)),
    (2000, 100, 2000, 0.1): (2.0, 0.372881489886, (None, 59.0, 34.0)),
    (2000, 100, 2000, 0.01): (4.0, 0.0507320589734, (None, None, None)),
}  # fmt: skip
GROUP_LASSO_GAP = 1e-8

# Cones: adelie with linear constraints, earlier: objective, seconds. Asked: five times as fast, to
# a gap of 1e-6, with feasible weights whose network has the same objective to 1e-9.
CONES = {
    (200, 10, 100, 0.1): (0.20225149, 0.12), (200, 10, 100, 0.01): (0.055042, 2.1),
    (1000, 20, 500, 0.1): (0.0644870, 3.8), (1000, 20, 500, 0.01): (0.0210, 53.0),
}  # fmt: skip
CONES_GAP, CONES_FASTER, CONES_SAME = 1e-6, 5.0, 1e-9

# A path of 100 penalties on (1000, 20, 500): (our tolerance, adelie's own, seconds asked: None is
# "no slower than adelie", adelie's seconds and largest gap, earlier).
PATHS = ((1e-4, 1e-12, 3.0, 18.6, 1e-4), (1e-2, 1e-7, None, 0.29, 9e-2))
# X^T D_g z for all gates of (5000, 50, 10000): seconds asked, of adelie, of BLAS on dense masks.
GRADIENT = {(5000, 50, 10_000): (0.08, 0.37, 0.15)}

# Training: objectives of the best known runs, of the best of ten Adam runs (earlier), and seconds
# of one such run. Asked: F <= Adam's before Adam is within 1e-3 of it, gap <= 1e-6, 5 times fewer
# neurons at least.
TRAINING = {
    "breast_cancer": (0.17216249, 0.1721629, 9.5), "s1": (0.09799018, 0.098026, 2.2),
    "s2": (None, 0.091485, 6.4), "digits": (None, 0.162010, 5.5),
    "diabetes": (99.6095138 / 442, 99.622 / 442, 6.5), "diabetes_free": (None, None, None),
}  # fmt: skip
TRAINING_GAP, FEWER_NEURONS = 1e-6, 5.0
# pyscnn on as many sampled patterns as Adam is wide: objectives, seconds, earlier; the optimum of
# that program, which is not the network's.
PYSCNN = {
    "breast_cancer": ("0.2015, infeasible", 181, 0.2073565), "s1": ("0.19784", 64, 0.1977212),
    "s2": ("infeasible", 124, 0.1841164), "digits": ("infeasible", 125, 0.3044952),
}  # fmt: skip

# Proofs of global optimality: seconds asked; the optimum where independent solvers know it.
CERTIFIED = {
    "golden": (0.005, 0.73284603 / 8), "spirals": (2.0, 0.8068657 / 320), "60x3": (0.05, None),
    "300x4": (5.0, None), "1000x3": (5.0, None), "300x5": (10.0, None), "1000x6": (60.0, None),
    "10000x3": (3.0, None), "100000x3": (30.0, None),
}  # fmt: skip
CERTIFIED_MEMORY = {"100000x3": 500e6}  # bytes
