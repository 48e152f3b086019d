"""The same objective by the usual means. A trainer returns None where it cannot take part."""

import warnings

from pyconvex import Network

WIDTH = 200
STEPS = 3000


def adam(X, y, beta, bias):
    """PyTorch's Adam, full batch, a cosine schedule from 1e-2."""
    try:
        import torch
    except ImportError:
        return None
    torch.manual_seed(0)
    rows, target, d = torch.tensor(X), torch.tensor(y), X.shape[1]
    W = (torch.randn(d, WIDTH, dtype=torch.float64) / d**0.5).requires_grad_()
    a = (torch.randn(WIDTH, dtype=torch.float64) / WIDTH**0.5).requires_grad_()
    b = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=bias != "none")
    c = torch.zeros(1, dtype=torch.float64, requires_grad=bias == "free")
    decayed = [W, a, b] if bias == "decayed" else [W, a]
    optimiser = torch.optim.Adam([p for p in (W, a, b, c) if p.requires_grad], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = 0.5 * ((torch.relu(rows @ W + b) @ a + c - target) ** 2).mean()
        (loss + 0.5 * beta * sum((p**2).sum() for p in decayed)).backward()
        optimiser.step()
        schedule.step()
    W, a, b, c = (p.detach().numpy() for p in (W, a, b, c))
    return Network(W.T, b, a, float(c[0]))


def sklearn_lbfgs(X, y, beta, bias):
    """scikit-learn's MLP trained by L-BFGS: it always has free biases."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    if bias != "free":
        return None
    peer = MLPRegressor(
        hidden_layer_sizes=(WIDTH,), solver="lbfgs", alpha=beta * len(y), max_iter=STEPS,
        tol=1e-6, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(X, y)
    (W, a), (b, c) = peer.coefs_, peer.intercepts_
    return Network(W.T, b, a[:, 0], float(c[0]))


TRAINERS = {"sklearn MLP, L-BFGS": sklearn_lbfgs, "torch Adam": adam}
