"""Micro-benchmarks of the C++ kernels beside what the machine can do."""

TITLE = "C++ kernels"


def measure(plan):
    yield from ()


def tables(records):
    yield from ()


def claims(records):
    yield from ()


def draw(records, folder):
    return []
