"""Anderson extrapolation of a fixed-point iteration."""

from dataclasses import dataclass, field

import numpy as np

from pyconvex.losses import Array

_MEMORY = 6
_REGULAR = 1e-12  # relative, of the least-squares problem


@dataclass
class Extrapolation:
    """Combine the last steps x -> g(x) so that their differences cancel (Anderson 1965)."""

    starts: list[Array] = field(default_factory=list)
    ends: list[Array] = field(default_factory=list)

    def clear(self) -> None:
        """Forget all steps."""
        self.starts.clear()
        self.ends.clear()

    def next(self, start: Array, end: Array) -> Array | None:
        """Take down a step; return the extrapolated point, None while there are too few."""
        if self.ends and len(self.ends[-1]) != len(end):
            self.clear()
        self.starts = [*self.starts[1 - _MEMORY :], start]
        self.ends = [*self.ends[1 - _MEMORY :], end]
        if len(self.ends) < 3:
            return None
        steps = np.array(self.ends) - np.array(self.starts)
        gram = steps @ steps.T
        gram[np.diag_indices_from(gram)] += _REGULAR * np.trace(gram)
        if not np.trace(gram) > 0.0:
            return None
        shares = np.linalg.solve(gram, np.ones(len(gram)))
        combined: Array = (shares / shares.sum()) @ np.array(self.ends)
        return combined
