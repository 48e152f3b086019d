"""Two-layer networks as PyTorch modules. Import this module only where torch is installed."""

import torch
from torch import nn


class _Linear(nn.Linear):
    """A layer of zeros in float64: no random draws, no warning where it is empty."""

    def __init__(self, n_inputs: int, n_outputs: int, *, bias: bool = True) -> None:
        super().__init__(n_inputs, n_outputs, bias=bias, dtype=torch.float64)

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class TwoLayerModule(nn.Module):
    """A `pyconvex.Network` as a module in float64, with the same names and values.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    n_neurons : int
        Number of hidden neurons.
    n_outputs : int, optional
        Number of outputs; None for one output without an axis of its own.
    gated : bool, optional
        Whether fixed gates take the place of the ReLU. They are no trainable parameters.
    skip : bool, optional
        Whether there is a linear skip connection.

    Attributes
    ----------
    hidden, output : torch.nn.Linear
        The two layers.
    gate, skip : torch.nn.Linear or None
        Gates and skip connection.
    """

    def __init__(
        self,
        n_features: int,
        n_neurons: int,
        n_outputs: int | None = None,
        *,
        gated: bool = False,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.flat = n_outputs is None
        width = 1 if n_outputs is None else n_outputs
        self.hidden = _Linear(n_features, n_neurons)
        self.output = _Linear(n_neurons, width)
        self.gate = _Linear(n_features, n_neurons).requires_grad_(False) if gated else None
        self.skip = _Linear(n_features, width, bias=False) if skip else None

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the outputs, (n_samples,) or (n_samples, n_outputs)."""
        hidden = self.hidden(X)
        if self.gate is None:
            hidden = torch.relu(hidden)
        else:
            hidden = torch.where(self.gate(X) >= 0.0, hidden, torch.zeros_like(hidden))
        output: torch.Tensor = self.output(hidden)
        if self.skip is not None:
            output = output + self.skip(X)
        return output.squeeze(-1) if self.flat else output
