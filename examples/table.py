"""A plain training loop on a table: 569 tumours, 30 measurements each, benign or malignant.

SAMAR wraps AdamW. What one sees in the app: within 100 steps nearly all is learnt, and the test
accuracy stays at about 96 %. The loss gets flatter all the time, so the ratio falls below 1, and λ
to its floor: then few steps take a second gradient. The top eigenvalues fall too.

    python examples/table.py
"""

import argparse

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import samar


def tumours() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Standardized measurements and classes: 400 to learn from, 169 to test on."""
    table = load_breast_cancer()
    order = torch.randperm(len(table.data), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(table.data, dtype=torch.float32)[order]
    y = torch.tensor(table.target, dtype=torch.long)[order]
    x = (x - x[:400].mean(0)) / x[:400].std(0)
    return x[:400], y[:400], x[400:], y[400:]


@torch.no_grad()
def evaluate(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy."""
    out = network.eval()(x)
    network.train()
    return cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def main(epochs: int = 150) -> str | None:
    """Train, and return the id of the watched run."""
    torch.manual_seed(0)
    x, y, test_x, test_y = tumours()
    network = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    network.append(nn.Linear(64, 2))
    optimizer = samar.SAMAR(network.parameters(), torch.optim.AdamW, lr=1e-3, rho=0.1)

    with samar.watch(network, optimizer, sample=(x, y), name="table") as run:
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(50):

                def closure(batch: Tensor = batch) -> Tensor:
                    optimizer.zero_grad()
                    loss = cross_entropy(network(x[batch]), y[batch])
                    loss.backward()
                    return loss

                optimizer.step(closure)
                run.step()
            train_loss, train_accuracy = evaluate(network, x, y)
            test_loss, test_accuracy = evaluate(network, test_x, test_y)
            run.epoch(
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                test_loss=test_loss,
                test_accuracy=test_accuracy,
            )
            if run.stopping:
                break
    print(f"Of the tumours that it never saw it tells {100 * test_accuracy:.1f} % right.")
    return run.id


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="train for a moment only")
    main(epochs=2) if options.parse_args().small else main()
