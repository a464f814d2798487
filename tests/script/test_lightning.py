"""samar under Lightning: the two passes are those of a plain loop, and the run is in the store."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from samar.errors import ConfigError
from samar.jobs.service import Jobs
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import Late, SecondPass
from tests.script.frameworks import Ended, assert_same, need, state, stop, wait_for_observer

pl = need("lightning.pytorch")
pytorch_lightning = need("pytorch_lightning")
SamarCallback = need("samar.script.lightning").SamarCallback

pytestmark = [
    pytest.mark.stage2,
    # Lightning asks PyTorch in a way that is about to go
    pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated"),
    pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The 'val_dataloader' does not have many workers"),
]
ROOT = Path(__file__).parents[2]
EPOCHS, BATCHES, SIZE = 2, 4, 8
STEPS = EPOCHS * BATCHES
Make = Callable[[nn.Module], Optimizer]


def samar(network: nn.Module) -> SAMAR:
    return SAMAR(network.parameters(), torch.optim.AdamW, lr=0.02, rho=0.1, model=network)


def sam(network: nn.Module) -> SAM:
    return SAM(network.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9, model=network)


def adamw(network: nn.Module) -> Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=0.02)


def data(seed: int = 0) -> TensorDataset:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(BATCHES * SIZE, 6, generator=random)
    return TensorDataset(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long())


def loader(**known: Any) -> DataLoader:
    return DataLoader(data(), batch_size=SIZE, generator=torch.Generator(), **known)


class Net(pl.LightningModule):
    """With dropout and BatchNorm, which a second pass can spoil."""

    def __init__(self, make: Make) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.make = make
        self.layers = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def training_step(self, batch: Any, number: int) -> Tensor:
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, number: int) -> None:
        out = self(batch[0])
        self.log("val_loss", cross_entropy(out, batch[1]))
        self.log("hits", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> Optimizer:
        return self.make(self)


def fit(module: pl.LightningModule, callback: Any = None, **known: Any) -> Any:
    options: dict[str, Any] = {"max_epochs": EPOCHS, "accelerator": "cpu", "devices": 1}
    options |= dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    options |= {"enable_model_summary": False, "num_sanity_val_steps": 0}
    options["callbacks"] = [callback, *known.pop("others", [])] if callback else []
    batches = known.pop("batches", loader())
    trainer = pl.Trainer(**(options | known))
    validation = DataLoader(data(5), batch_size=SIZE, generator=torch.Generator())
    torch.manual_seed(2)
    trainer.fit(module, batches, validation)
    return trainer


def plain_loop(
    make: Make, *, clip: float = 0.0, half: bool = False
) -> tuple[nn.Module, Optimizer, list[float]]:
    """The same training without Lightning."""
    network = Net(make)
    optimizer, losses = make(network), []
    torch.manual_seed(2)
    for _ in range(EPOCHS):
        for x, y in loader():

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    loss = cross_entropy(network(x), y)
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(network.parameters(), clip)
                return loss

            losses.append(optimizer.step(closure).item())
    return network, optimizer, losses


@pytest.mark.parametrize(
    ("make", "loop", "options"),
    [
        (samar, {}, {}),
        (adamw, {}, {}),
        (samar, {"clip": 0.1}, {"gradient_clip_val": 0.1}),
        (sam, {"half": True}, {"precision": "bf16-mixed"}),
    ],
)
def test_automatic_optimization_is_the_plain_loop(
    make: Make, loop: Any, options: Any, samar_home: Path
) -> None:
    network, optimizer, losses = plain_loop(make, **loop)
    module, callback = Net(make), SamarCallback(data()[:16], quiet=True)
    trainer = fit(module, callback, **options)
    assert_same(state(network), state(module))
    if make is samar:
        assert torch.equal(optimizer.lam, trainer.optimizers[0].lam)  # type: ignore[attr-defined]
    run = Ended()
    assert run.job.status == "finished"
    assert run.steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)
    assert run.job.total == STEPS
    assert run.landscapes


class ByClosure(Net):
    """Manual optimization, with a closure of its own."""

    automatic_optimization = False

    def training_step(self, batch: Any, number: int) -> None:
        optimizer = self.optimizers()

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = cross_entropy(self(batch[0]), batch[1])
            self.manual_backward(loss)
            return loss

        optimizer.step(closure)


def test_manual_optimization_with_a_closure_is_the_plain_loop(samar_home: Path) -> None:
    network, _, losses = plain_loop(samar)
    module = ByClosure(samar)
    trainer = fit(module, SamarCallback(quiet=True))
    assert_same(state(network), state(module))
    assert trainer.global_step == STEPS
    assert Ended().steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"accumulate_grad_batches": 2}, "accumulate_grad_batches is 2, .* set it to 1"),
        ({"gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"}, "clip .* by norm"),
        (
            {"plugins": [pl.plugins.MixedPrecision("16-mixed", "cpu")]},
            "cannot train with precision '16-mixed'.* use 'bf16-mixed'",
        ),
    ],
)
def test_what_lightning_would_make_wrong_is_refused(
    options: dict[str, Any], sentence: str, samar_home: Path
) -> None:
    module = Net(samar)
    before = state(module)
    with pytest.raises(ConfigError, match=sentence):
        fit(module, SamarCallback(quiet=True), **options)
    assert_same(before, state(module))


def test_a_plain_optimizer_may_accumulate(samar_home: Path) -> None:
    fit(Net(adamw), SamarCallback(quiet=True), accumulate_grad_batches=2)
    run = Ended()
    assert len(run.steps["loss"]) == STEPS // 2
    network = Net(adamw)
    torch.manual_seed(2)
    batches = iter(loader())
    first = [cross_entropy(network(x), y).item() for x, y in (next(batches), next(batches))]
    assert run.steps["loss"][0] == pytest.approx(sum(first) / 2, abs=1e-6)
    assert run.steps["grad_norm"][0] > 0


def test_epochs_and_what_was_logged(samar_home: Path) -> None:
    callback = SamarCallback(metrics={"test_accuracy": "hits"}, name="logged", quiet=True)
    trainer = fit(Net(samar), callback)
    run = Ended()
    assert run.job.settings.name == "logged"
    assert run.epochs["step"].tolist() == [BATCHES, STEPS]
    assert run.epochs["test_loss"][-1] == pytest.approx(float(trainer.callback_metrics["val_loss"]))
    assert run.epochs["test_accuracy"][-1] == pytest.approx(float(trainer.callback_metrics["hits"]))
    for k in range(EPOCHS):
        part = run.steps["loss"][k * BATCHES : (k + 1) * BATCHES]
        assert run.epochs["train_loss"][k] == pytest.approx(part.mean(), rel=1e-5)
    assert all(map(math.isnan, run.epochs["train_accuracy"]))


def with_policy(policy: SecondPass) -> Make:
    def make(network: nn.Module) -> SAM:
        return SAM(network.parameters(), torch.optim.SGD, lr=0.1, second_pass=policy)

    return make


def test_the_clock_is_told(samar_home: Path) -> None:
    """Late takes its second gradients in the second half."""
    fit(Net(with_policy(Late(begin=0.5))), SamarCallback(quiet=True))
    assert Ended().steps["grad_evals"].tolist() == [1, 2, 3, 4, 6, 8, 10, 12]


def test_a_policy_that_goes_by_a_clock_that_nobody_has_is_refused(samar_home: Path) -> None:
    module = Net(with_policy(Late(begin=0.5)))
    with pytest.raises(ConfigError, match=r"second_pass '\w+' of SAM goes by .*; set max_steps"):
        fit(module, SamarCallback(quiet=True), max_epochs=-1, max_time="00:00:00:01")
    assert not Jobs().all()


class AfterThree(pl.Callback):
    """Does something once, after the third batch."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 3:
            self.act()


def test_a_stop_in_the_app_ends_the_training(samar_home: Path) -> None:
    callback = SamarCallback(quiet=True)
    third = AfterThree(lambda: stop(callback.run))
    trainer = fit(Net(samar), callback, others=[third])
    assert trainer.global_step == 4
    assert Ended().job.status == "stopped"


def test_a_look_in_the_midst(samar_home: Path) -> None:
    """A network is sent away for it, with whatever the framework and the callback hung on it."""
    callback = SamarCallback(data()[:16], quiet=True)
    look = AfterThree(lambda: wait_for_observer(callback.run))
    fit(Net(samar), callback, others=[look])
    assert 4 in Ended().landscapes


def test_an_error_ends_the_run_with_its_sentence(samar_home: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError):
        fit(Net(samar), SamarCallback(quiet=True), others=[AfterThree(fail)])
    job = Ended().job
    assert (job.status, job.message) == ("failed", "ZeroDivisionError: a mistake")


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ConfigError, match=r"no metric 'loss'; choose from test_loss, "):
        SamarCallback(metrics={"loss": "val_loss"})
    with pytest.raises(ConfigError, match="The optimizer is number 1, but the module has 1"):
        fit(Net(adamw), SamarCallback(optimizer=1, quiet=True))


class Twin(pytorch_lightning.LightningModule):
    """For the other package of the same code."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net(samar)

    def training_step(self, batch: Any, number: int) -> Tensor:
        return cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> Optimizer:
        return samar(self)


def test_the_older_package_is_served_too(samar_home: Path) -> None:
    module = Twin()
    trainer = pytorch_lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[SamarCallback(quiet=True)],
    )
    torch.manual_seed(2)
    trainer.fit(module, loader())
    network, *_ = plain_loop(samar)
    assert_same(state(network), state(module.net))
    assert Ended().job.done == STEPS


TOGETHER = """
import sys
import torch
from tests.script.test_lightning import Net, SamarCallback, data, pl, samar
from torch.utils.data import DataLoader

class Keep(pl.Callback):
    def on_fit_end(self, trainer, module):
        optimizer = trainer.optimizers[0]
        kept = {"weights": module.layers[0].weight, "lam": optimizer.lam}
        torch.save(kept, f"{sys.argv[1]}/{trainer.global_rank}.pt")

trainer = pl.Trainer(
    max_epochs=2, accelerator="cpu", devices=2, strategy="ddp_fork", logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    callbacks=[SamarCallback(quiet=True), Keep()], use_distributed_sampler=True,
)
trainer.fit(Net(samar), DataLoader(data(), batch_size=8))
"""


def test_processes_that_train_together_have_one_strength(samar_home: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", TOGETHER, str(samar_home)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120, capture_output=True)
    one, other = (torch.load(samar_home / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(one["lam"], other["lam"])
    assert torch.equal(one["weights"], other["weights"])
    assert Ended().job.done == STEPS // 2
