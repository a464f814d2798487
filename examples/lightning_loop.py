"""The same under Lightning: its Trainer steps, one callback shows the run in the app.

Needs `pip install '.[lightning]'` in a checkout of samar. Lightning's automatic optimization hands
SAMAR a closure that can be called twice, so nothing in the module changes but the optimizer.

What one sees in the app: accuracy and loss of every epoch as the module logs them, λ and landscape
as in a plain loop. After 200 steps the network tells about 95 % of new digits right, and λ is at
its floor. The tile for the gap stays empty: the module logs no training accuracy.

    python examples/lightning_loop.py
"""

import argparse
import logging
import warnings

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import samar
from samar.script.lightning import SamarCallback

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module="lightning")  # such as that the data needs no workers


class Digits(pl.LightningModule):
    """A small convolutional network for images of 8 × 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, stride=2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (n, 1, 8, 8) to scores (n, 10)."""
        return self.layers(x)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss; SAMAR asks for it twice."""
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Under these names the callback finds the numbers."""
        out = self(batch[0])
        self.log("val_loss", cross_entropy(out, batch[1]))
        self.log("val_acc", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SAMAR around AdamW; with ``model`` BatchNorm counts each batch once."""
        return samar.SAMAR(self.parameters(), torch.optim.AdamW, lr=2e-3, rho=0.1, model=self)


def main(epochs: int = 25) -> str | None:
    """Train, and return the id of the watched run."""
    pl.seed_everything(0, verbose=False)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    y = torch.tensor(digits.target)
    training = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True)
    validation = DataLoader(TensorDataset(x[1000:], y[1000:]), batch_size=1000)

    callback = SamarCallback(sample=(x[:250], y[:250]), name="lightning")
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Digits(), training, validation)
    print(f"{100 * float(trainer.callback_metrics['val_acc']):.1f} % of new digits are told right.")
    return callback.run.id if callback.run else None


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="train for a moment only")
    main(epochs=1) if options.parse_args().small else main()
