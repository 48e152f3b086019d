"""Exported networks predict what the network does, computed neuron by neuron."""

import sys

import numpy as np
import pytest
from scipy.special import expit, softmax

from pyconvex import Network

import networks

RELU = {name: network for name, network in networks.KINDS.items() if network.gates is None}


@pytest.fixture(params=networks.KINDS)
def network(request):
    return networks.KINDS[request.param]


@pytest.fixture(params=RELU)
def relu_network(request):
    return RELU[request.param]


def test_torch_modules(network):
    torch = pytest.importorskip("torch")
    X = networks.rows_for(network)
    found = network.to_torch()(torch.tensor(X)).detach().numpy()
    networks.assert_close(found, networks.outputs(network, X), 1e-12)


def test_torch_module_trains_but_for_its_gates():
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    module = networks.draw(4, 3, 2, gated=True, skip=True).to_torch()
    assert torch.equal(torch.get_rng_state(), before)  # no draws
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    assert trained == {
        "hidden.weight", "hidden.bias", "output.weight", "output.bias", "skip.weight",
    }  # fmt: skip
    module(torch.ones(5, 3, dtype=torch.float64)).sum().backward()
    assert module.gate.weight.grad is None
    torch.testing.assert_close(module.output.bias.grad, torch.full((2,), 5.0, dtype=torch.float64))


def test_torch_module_is_a_copy_that_can_be_saved(tmp_path):
    torch = pytest.importorskip("torch")
    network = networks.draw(4, 3, gated=True)
    weights = network.hidden_weights.copy()
    module = network.to_torch()
    torch.save(module, tmp_path / "module.pt")
    with torch.no_grad():
        module.hidden.weight.zero_()
    np.testing.assert_array_equal(network.hidden_weights, weights)
    again = torch.load(tmp_path / "module.pt", weights_only=False)
    np.testing.assert_array_equal(again.hidden.weight.detach().numpy(), weights)


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), (np.float32, 1e-5)])
def test_onnx_models(network, dtype, atol):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = network.to_onnx(dtype=dtype)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    X = networks.rows_for(network)
    expected = networks.outputs(network, X).astype(dtype)
    for n in (1, 20):  # any number of rows
        (found,) = session.run(["y"], {"X": X[:n].astype(dtype)})
        networks.assert_close(found, expected[:n], atol)


GATE = Network([[1.0]], [3.0], [1.0], 0.0, [[1.0]], [0.0])  # on where x >= 0


def test_a_torch_gate_is_on_at_zero():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[0.0], [-1e-9]], dtype=torch.float64)
    assert GATE.to_torch()(X).tolist() == [3.0, 0.0]


def test_an_onnx_gate_is_on_at_zero():
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(GATE.to_onnx().SerializeToString())
    (found,) = session.run(["y"], {"X": np.array([[0.0], [-1e-9]])})
    assert found.tolist() == [3.0, 0.0]


def test_onnx_files(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = networks.draw(4, 3).to_onnx(tmp_path / "network.onnx")
    assert onnx.load(tmp_path / "network.onnx") == model
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8


def test_onnx_dtype():
    network = networks.draw(4, 3)
    for dtype in ("float16", "no type", int):
        with pytest.raises(ValueError, match="dtype must be"):
            network.to_onnx(dtype=dtype)


@pytest.mark.parametrize(("name", "remedy"), [("torch", "install torch"), ("onnx", r"\[onnx\]")])
def test_missing_libraries(name, remedy, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"to_{name} needs .*: pip install .*{remedy[-5:]}"):
        getattr(networks.draw(2, 2), f"to_{name}")()


def test_sklearn_regressors(relu_network):
    X = networks.rows_for(relu_network)
    expected = networks.outputs(relu_network, X)
    if relu_network.n_outputs == 1:
        expected = expected.reshape(len(X))  # scikit-learn drops the axis of a single output
    found = relu_network.to_sklearn().predict(X)
    networks.assert_close(found, expected, 1e-12)


def test_sklearn_regressors_score_and_train_on():
    network = networks.draw(4, 3, skip=True)
    X = networks.rows_for(network)
    model = network.to_sklearn()
    assert model.score(X, network.predict(X)) == pytest.approx(1.0)
    assert model.coefs_[0].shape == (3, 4 + 2 * 3)
    model.partial_fit(X, network.predict(X) + 1.0)  # a step towards the new targets
    assert (model.predict(X) - network.predict(X)).mean() > 0.0


@pytest.mark.parametrize("classes", [["no", "yes"], ["yes", "no"], [-1, 1], [True, False]])
@pytest.mark.parametrize("n_outputs", [None, 1])
def test_sklearn_classifiers_of_one_output(classes, n_outputs):
    network = networks.draw(5, 3, n_outputs, skip=True)
    X = networks.rows_for(network)
    score = networks.outputs(network, X).reshape(len(X))
    model = network.to_sklearn(classes=classes)
    second = model.classes_.tolist().index(classes[1])
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities[:, second], expit(score), atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert model.predict(X).tolist() == [classes[int(value > 0.0)] for value in score]


@pytest.mark.parametrize("m", [5, 0])
@pytest.mark.parametrize("classes", [["b", "a"], ["cat", "ape", "bee"], [3, 1, 2, 0]])
def test_sklearn_classifiers_of_several_outputs(classes, m):
    network = networks.draw(m, 3, len(classes), skip=True)
    X = networks.rows_for(network)
    scores = networks.outputs(network, X)
    model = network.to_sklearn(classes)
    columns = [model.classes_.tolist().index(label) for label in classes]
    probabilities = model.predict_proba(X)[:, columns]
    np.testing.assert_allclose(probabilities, softmax(scores, axis=1), atol=1e-12)
    assert model.predict(X).tolist() == [classes[k] for k in scores.argmax(axis=1)]


@pytest.mark.parametrize(
    ("n_outputs", "classes", "message"),
    [
        (None, ["a"], "two or more distinct labels"),
        (None, [["a", "b"]], "two or more distinct labels"),
        (None, ["a", "a"], "two or more distinct labels"),
        (None, ["a", "b", "c"], "3 labels but the network has n_outputs=1"),
        (3, ["a", "b"], "2 labels but the network has n_outputs=3"),
    ],
)
def test_wrong_classes(n_outputs, classes, message):
    with pytest.raises(ValueError, match=message):
        networks.draw(2, 2, n_outputs).to_sklearn(classes)


def test_gated_networks_have_no_sklearn_counterpart():
    with pytest.raises(ValueError, match="use to_torch or to_onnx"):
        networks.draw(2, 2, gated=True).to_sklearn()
