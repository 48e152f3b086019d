"""C++ and Python use the same numbers: read from the sources, since not all are exposed."""

import re
from pathlib import Path

import pytest

from pyconvex.losses import (
    Hinge,
    Huber,
    Logistic,
    Poisson,
    Quantile,
    Smoothed,
    Squared,
    SquaredHinge,
)

ROOT = Path(__file__).parents[1]
TWINS = [
    ("pyconvex/column_generation.py", "cpp/src/column_generation.cpp", {
        "_N_COLUMNS": "kColumns", "CONFIRM": "kConfirm", "LOOSE": "kLoose", "_RISE": "kRise",
        "_PATIENCE": "kPatience", "_HALVINGS": "kHalvings",
    }),
    ("pyconvex/column_generation.py", "cpp/src/column_generation.hpp", {
        "_NO_PROGRESS": "kNoProgress",
    }),
    ("pyconvex/column_generation.py", "cpp/src/column_refinement.cpp", {
        "_MAX_SWEEPS": "kMaxSweeps", "_MAX_CALLS": "kMaxCalls", "_MAX_MODELS": "kMaxModels",
        "_INNER": "kInner", "_FIRM": "kFirm", "_FIRMER": "kFirmer", "_FIRMEST": "kFirmest",
        "_MAX_SIZE": "kMaxSize", "_MAX_WORK": "kMaxWork", "_ROUNDS": "kRounds",
        "_FALLING": "kFalling", "_SHARE": "kShare", "_COARSE": "kCoarse", "_STUCK": "kStuck",
        "_GROUP_WORK": "kGroupWork",
    }),
    ("pyconvex/program.py", "cpp/src/problem.hpp", {"STAGE": "kStage"}),
    ("pyconvex/program.py", "cpp/src/program.cpp", {"SHARP": "kSharp"}),
    ("pyconvex/stages.py", "cpp/src/proximal_point.cpp", {
        "WIDTH": "kWidth", "NARROWER": "kNarrower", "NARROWEST": "kNarrowest",
        "STAGES": "kStages", "PATIENCE": "kPatience",
    }),
    ("pyconvex/losses/base.py", "cpp/src/losses.cpp", {"_STEPS": "kSteps"}),
    ("pyconvex/losses/base.py", "cpp/src/smoothed.hpp", {"ROUNDED": "kRounded"}),
    ("pyconvex/dual_box.py", "cpp/src/dual_box.cpp", {"MARGIN": "kMargin", "SHARE": "kShare"}),
    ("pyconvex/pricing.py", "cpp/src/columns.cpp", {"_CHUNK": "kChunk"}),
    ("pyconvex/pricing.py", "cpp/src/local_pricing.cpp", {
        "n_starts": "kStarts", "_FRESH": "kFresh", "_BESIDE": "kBeside", "_FAR": "kFar",
        "_POOL": "kPool", "_NEAR": "kNear",
    }),
    ("pyconvex/bounded.py", "cpp/src/bounded_pricing.cpp", {
        "_SMALL": "kSmall", "_DOUBLINGS": "kDoublings", "_BISECTIONS": "kBisections",
        "_AUTO_RANK": "kAutoRank", "_MARGIN": "kMargin", "_LOOSE": "kLoose",
        "_VERTICES": "kVertices",
        "_LOST": "kLost",
    }),
    ("pyconvex/backends/jit_cones.py", "cpp/src/cones.cpp", {
        "FREE": "kFree", "SWEEPS": "kSweeps", "WEIGHT": "kWeight", "SETTLED": "kSettled",
        "ROUNDING": "kRounding", "SHEARS": "kShears", "DAMPING": "kDamping",
    }),
    ("pyconvex/backends/jit_bounded.py", "cpp/src/cones.cpp", {"_THIN": "kThin"}),
    ("pyconvex/backends/jit_bounded.py", "cpp/src/bounded.cpp", {
        "_BATCH": "kBatch", "_POINTS": "kPoints",
    }),
    ("pyconvex/lines.py", "cpp/src/lines.cpp", {
        "_INTEGER_BITS": "kIntegerBits", "_RANK": "kRank", "_SCALING_ROUNDS": "kScalingRounds",
        "_EVEN": "kEven", "_TOL": "kTol",
    }),
    ("pyconvex/sampling.py", "cpp/src/sampling.cpp", {
        "_LIST_ALL": "kListAll", "_RARE": "kRare", "_FLAT": "kFlat", "_ON": "kOn",
        "_MAX_ROUNDS": "kMaxRounds",
    }),
    ("pyconvex/backends/jit_tableau.py", "cpp/src/tableau.hpp", {
        "AMPLIFY": "kAmplify", "DOUBT": "kDoubt",
    }),
    ("pyconvex/backends/jit_cells.py", "cpp/src/cells.cpp", {
        "MIN_PART": "kMinPart", "PARTS_PER_THREAD": "kPartsPerThread",
    }),
    ("pyconvex/task.py", "cpp/src/fit.cpp", {
        "N_GATES": "kGates", "_ROUNDING": "kNothing",
    }),
    ("pyconvex/bounded.py", "cpp/src/bounded_pricing.hpp", {
        "MAX_RANK": "kMaxRank", "AUTO_NODES": "kAutoNodes", "_READY": "kReady",
    }),
    ("pyconvex/decode.py", "cpp/src/fit.cpp", {"_SAME": "kSame"}),
    ("pyconvex/dual_newton.py", "cpp/src/dual_newton.cpp", {
        "_START": "kStart", "_GROWTH": "kGrowth", "_FAST_GROWTH": "kFastGrowth", "_FEW": "kFew",
        "_MAX_STEPS": "kMaxSteps", "_PATIENCE": "kPatience", "_WARM": "kWarm",
        "_WARM_LOOSE": "kWarmLoose", "_LOOSE": "kLoose",
    }),
    ("pyconvex/dual_newton.py", "cpp/src/dual_step.cpp", {
        "_INEXACT": "kInexact", "_ARMIJO": "kArmijo", "_SHORTEST": "kShortest", "_FLAT": "kFlat",
        "_ITERATE": "kIterate", "_DIRECT_SAMPLES": "kDirectSamples",
    }),
    ("pyconvex/dual_system.py", "cpp/src/dual_system.cpp", {"_POWERS": "kPowers"}),
    ("pyconvex/solver.py", "cpp/src/solver.cpp", {"_NEWTON_SAMPLES": "kNewtonSamples"}),
    ("pyconvex/minimal.py", "cpp/src/minimal.cpp", {
        "_DEPENDENT": "kDependent", "_ROUNDING": "kRounding", "_EVEN": "kEven",
    }),
    ("pyconvex/fitted.py", "cpp/src/fit.cpp", {"_RISE": "kRise"}),
    ("pyconvex/backends/jit_neuron.py", "cpp/src/neuron.hpp", {
        "MOVING": "kMoving", "FLOAT": "kFloat", "ROUNDING": "kRounding", "RELEASE": "kRelease",
    }),
    ("pyconvex/backends/jit_neuron.py", "cpp/src/neuron.cpp", {
        "AFRESH": "kAfresh", "NEAR": "kNear",
    }),
    ("pyconvex/backends/jit_face.py", "cpp/src/face.cpp", {"DEPENDENT": "kDependent"}),
    ("pyconvex/backends/jit_linear.py", "cpp/src/linear.cpp", {"DEPENDENT": "kDependent"}),
    ("pyconvex/backends/jit_newton.py", "cpp/src/newton.cpp", {"VANISHED": "kVanished"}),
    ("pyconvex/backends/jit_hull.py", "cpp/src/hull.cpp", {"FLAT": "kFlat"}),
    ("pyconvex/backends/jit_zonotopes.py", "cpp/src/zonotope.hpp", {
        "SAME": "kSame", "POOL": "kSize",
    }),
    ("pyconvex/backends/jit_zonotopes.py", "cpp/src/zonotope.cpp", {
        "WORTH": "kWorth", "MAX_STEPS": "kMaxSteps", "PASSES": "kPasses",
        "FEW_ROWS": "kFewRows",
    }),
    ("pyconvex/backends/jit_zonotopes.py", "cpp/src/zonotopes.cpp", {
        "MIN_BATCH": "kMinBatch", "MAX_BATCH": "kMaxBatch", "PARALLEL": "kParallel",
        "FEW_RUNS": "kFewRuns", "MANY_RUNS": "kManyRuns",
    }),
    ("pyconvex/zonotopes.py", "cpp/src/zonotopes.cpp", {"_BLOCK": "kBlock"}),
    ("pyconvex/backends/jit_solver.py", "cpp/src/refine.cpp", {
        "STUCK": "kStuck", "WALLS": "kWalls", "RISE": "kRise",
    }),
]  # fmt: skip


def number(path, name):
    """Return the number that a source assigns to a name, whatever the type."""
    pattern = rf"^\s*(?:(?:static )?constexpr [\w:]+ )?{name}(?:: \w+)? = ([0-9._'e+-]+)"
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert found, f"{name} not found in {path}"
    return float(re.sub("[_']", "", found.group(1)))


@pytest.mark.parametrize(("python", "cpp", "names"), TWINS)
def test_twins_share_their_numbers(python, cpp, names):
    for here, there in names.items():
        assert number(python, here) == number(cpp, there), (here, there)


TRAITS = ("two_classes", "smoothness", "damping", "quadratic", "steep")


def traits(name, headers):
    """Return what a C++ loss says of itself, with the defaults of its bases."""
    base, body = re.search(
        rf"class {name}(?: final)?(?: : public (\w+))? {{(.*?)^}};", headers, re.DOTALL | re.M
    ).groups()
    found = traits(base, headers) if base else {}
    pattern = r"(\w+)\(\) const (?:override |final )?{ return ([\w.:<>()-]+); }"
    values = {"true": True, "false": False, "std::numeric_limits<double>::infinity()": float("inf")}
    for trait, value in re.findall(pattern, body):
        if trait in TRAITS:
            found[trait] = values[value] if value in values else float(value)
    return found


@pytest.mark.parametrize("loss", [Hinge, Huber, Logistic, Poisson, Quantile, Squared, SquaredHinge])
def test_losses_share_their_traits(loss):
    headers = (ROOT / "cpp/include/pyconvex/losses.hpp").read_text()
    assert traits(loss.__name__, headers) == {trait: getattr(loss(), trait) for trait in TRAITS}


def test_smoothed_losses_share_their_damping():
    assert number("pyconvex/losses/kinked.py", "damping") == Smoothed.damping
    smoothed = re.search(r"damping.*return (\S+);", (ROOT / "cpp/src/smoothed.hpp").read_text())
    assert float(smoothed.group(1)) == Smoothed.damping
