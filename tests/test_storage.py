"""Saved networks come back exactly; files of another kind are told from them."""

import io
import os

import numpy as np
import pytest

from pyconvex import Network
from pyconvex.storage import write_arrays

import networks


@pytest.mark.parametrize("name", networks.KINDS)
def test_exact_round_trip(name):
    file = io.BytesIO()
    networks.KINDS[name].save(file)
    file.seek(0)
    networks.assert_same(Network.load(file), networks.KINDS[name])
    assert not file.closed


@pytest.mark.parametrize("name", ["network", "network.npz", "network.v1.model"])
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "path"])
def test_the_path_stays_as_it_is(tmp_path, name, kind):
    network = networks.draw(4, 3, 2, gated=True)
    network.save(kind(tmp_path / name))
    assert os.listdir(tmp_path) == [name]
    networks.assert_same(Network.load(kind(tmp_path / name)), network)


def test_saving_replaces(tmp_path):
    networks.draw(400, 3).save(tmp_path / "network")
    network = networks.draw(2, 3)
    network.save(tmp_path / "network")
    networks.assert_same(Network.load(tmp_path / "network"), network)


def saved():
    file = io.BytesIO()
    networks.draw(4, 3).save(file)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.arange(3.0))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"weights: 1, 2, 3",
        saved()[:-30],  # cut off
        saved().replace(np.float64(networks.draw(4, 3).output_bias).tobytes(), bytes(8)),  # CRC
        npy(),
        npz(version=1),
        npz(kind="someone.Network", version=1),
        npz(kind=np.array("pyconvex.Network", dtype=object), version=1),  # would need pickle
    ],
    ids=["empty", "text", "cut", "flipped", "npy", "no kind", "other kind", "pickle"],
)
def test_other_files(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"file does not hold a pyconvex\.Network"):
        Network.load(tmp_path / "file")


def test_newer_versions():
    with pytest.raises(ValueError, match="version 2, but this pyconvex reads up to 1: upgrade"):
        Network.load(io.BytesIO(npz(kind="pyconvex.Network", version=2)))


def test_incomplete_networks(tmp_path):
    write_arrays(tmp_path / "file", "pyconvex.Network", 1, {"hidden_bias": np.zeros(3)})
    with pytest.raises(ValueError, match=r"file holds no complete network: .*hidden_weights"):
        Network.load(tmp_path / "file")


def test_paths_that_cannot_be_used(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Network.load(tmp_path / "nowhere")
    network = networks.draw(2, 2)
    with pytest.raises(TypeError, match="path must be a path or a binary file, got int"):
        network.save(3)
    with (tmp_path / "text").open("w") as file, pytest.raises(TypeError, match="binary mode"):
        network.save(file)
