"""Networks on devices: their fields, and predictions for arrays of any namespace."""

from typing import Any

import numpy as np

from pyconvex.backends.array import rows_of
from pyconvex.namespaces import (
    DeviceArray,
    Space,
    check_floats,
    check_matrix,
    describe,
    is_device_array,
    to_device,
    to_host,
)

FIELDS = (
    "hidden_weights", "hidden_bias", "output_weights", "output_bias", "gates", "gate_bias", "skip",
)  # fmt: skip


def space_of_fields(fields: dict[str, Any]) -> Space | None:
    """Return where a network's fields live; None on the host.

    Raises
    ------
    ValueError
        If they live on several devices.
    """
    placed = {name: value for name, value in fields.items() if is_device_array(value)}
    if not placed:
        return None
    first = next(iter(placed))
    space = Space.of(placed[first])
    for name, value in fields.items():
        if value is not None and not isinstance(value, float | int) and not space.holds(value):
            raise ValueError(
                f"{name} is {describe(value)} but {first} is {describe(placed[first])}: "
                "pass all weights on one device"
            )
    return space


def own_field(space: Space, value: Any, name: str) -> DeviceArray:
    """Return a checked copy of a field."""
    if isinstance(value, float | int):
        return space.full((), float(value))
    return space.xp.asarray(check_floats(space, value, name), copy=True)


def moved_fields(network: Any, space: Space | None) -> dict[str, Any]:
    """Return a network's fields copied to a space, to the host for None."""
    fields = {name: getattr(network, name) for name in FIELDS}
    move = to_host if space is None else lambda array: to_device(array, space)
    return {
        name: value if value is None or isinstance(value, float) else move(value)
        for name, value in fields.items()
    }


def predict_on(network: Any, X: Any) -> DeviceArray:
    """Return a network's output for each row of X, where X lives.

    Weights on the host are copied there; those of another device are not.
    """
    if not is_device_array(X):
        X = np.asarray(X)
    space = Space.of(X)
    rows = check_matrix(space, X, n_features=network.n_features)
    if network.space is not None and network.space != space:
        raise ValueError(
            f"X is {describe(X)} but the network is on device {network.space.device} of "
            f"{network.space.name}: call network.to_device(X) first, or network.to_host() for "
            "NumPy arrays"
        )
    fields = moved_fields(network, space)
    outputs = [
        _output(space, fields, space.to_double(rows[part, :]))
        for part in rows_of(space, rows.shape[0], network.n_features + 2 * network.n_neurons)
    ]
    return outputs[0] if len(outputs) == 1 else space.xp.concat(outputs, axis=0)


def _output(space: Space, fields: dict[str, Any], X: DeviceArray) -> DeviceArray:
    xp = space.xp
    hidden = xp.matmul(X, xp.matrix_transpose(fields["hidden_weights"])) + fields["hidden_bias"]
    on = hidden > 0.0
    if fields["gates"] is not None:
        on = xp.matmul(X, xp.matrix_transpose(fields["gates"])) + fields["gate_bias"] >= 0.0
    hidden = xp.where(on, hidden, xp.zeros_like(hidden))
    output = xp.matmul(hidden, fields["output_weights"]) + fields["output_bias"]
    return output if fields["skip"] is None else output + xp.matmul(X, fields["skip"])
