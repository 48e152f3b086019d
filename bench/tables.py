"""Markdown tables, and numbers as they stand in them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """A caption, the names of the columns, the cells, and what a reader should know."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def markdown(self):
        lines = [f"**{self.caption}**", "", _row(self.columns), "|" + "---|" * len(self.columns)]
        lines += [_row(row) for row in self.rows]
        return "\n".join(lines + (["", self.note] if self.note else []))


class Claim(NamedTuple):
    """One figure: asked, reached, and what the best rival needs (lower is better in both).

    `met` says whether what was asked is reached, None where nothing is asked. `ratio` is rival /
    ours in time or memory, ours / rival in speed: above 1 pyconvex is ahead; None without a rival
    that did the same work.
    """

    what: str
    asked: str
    reached: str
    met: bool | None
    rival: str = ""
    ratio: float | None = None

    def verdict(self):
        words = ["missed"] * (self.met is False)
        words += ["slower than the rival"] * (self.ratio is not None and self.ratio < 1.0)
        return ", ".join(words)

    def row(self):
        ratio = "" if self.ratio is None else ratio_of(self.ratio)
        return self.what, self.asked, self.reached, self.rival, ratio, self.verdict()


COLUMNS = ("what", "asked", "reached", "rival", "times ahead", "where we lose")


def _row(cells):
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def seconds_of(seconds):
    """A time with two digits and its unit."""
    if seconds is None or math.isnan(seconds):
        return ""
    if seconds < 1e-3:
        return f"{digits(seconds * 1e6)} µs"
    if seconds < 1.0:
        return f"{digits(seconds * 1e3)} ms"
    return f"{digits(seconds)} s"


def bytes_of(size):
    """A memory in MB or GB."""
    if size is None or math.isnan(size):
        return ""
    return f"{digits(size / 1e9)} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def digits(number):
    """A number with two significant digits."""
    value = float(f"{number:.2g}")
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(1 - math.floor(math.log10(abs(value))), 0)}f}"


def power_of(number):
    """A large number like 4.2e7."""
    return f"{number:.1e}".replace("e+0", "e").replace("e+", "e")


def ratio_of(ratio):
    return power_of(ratio) if ratio >= 1e4 else digits(ratio)


def size_of(size):
    """The numbers of a problem's size, with commas."""
    return (
        size if isinstance(size, str) else ", ".join(f"{s:,}" if s >= 1 else str(s) for s in size)
    )
