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
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from samar.errors import ConfigError
from samar.jobs.service import Jobs
from samar.optim.batchnorm import frozen_batchnorm
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import Late, SecondPass, Threshold
from tests.script.frameworks import Ended, assert_same, need, state

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


def plain_loop(make: Make, *, clip: float = 0.0) -> tuple[nn.Module, Optimizer, list[float]]:
    """The same training without Lightning."""
    network = Net(make)
    optimizer, losses = make(network), []
    torch.manual_seed(2)
    for _ in range(EPOCHS):
        for x, y in loader():

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                loss = cross_entropy(network(x), y)
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(network.parameters(), clip)
                return loss

            losses.append(optimizer.step(closure).item())
    return network, optimizer, losses


@pytest.mark.parametrize("make", [samar, sam, adamw])
def test_automatic_optimization_is_the_plain_loop(make: Make, samar_home: Path) -> None:
    network, optimizer, losses = plain_loop(make)
    module, callback = Net(make), SamarCallback(data()[:16], looks=0.5, quiet=True)
    trainer = fit(module, callback)
    assert_same(state(network), state(module))
    if make is samar:
        assert torch.equal(optimizer.lam, trainer.optimizers[0].lam)  # type: ignore[attr-defined]
    run = Ended()
    assert run.job.status == "finished"
    assert run.steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)
    assert run.job.total == STEPS
    assert run.landscapes


def test_watching_changes_nothing(samar_home: Path) -> None:
    watched, alone = Net(samar), Net(samar)
    fit(watched, SamarCallback(data()[:16], looks=0.9, quiet=True))
    fit(alone)
    assert_same(state(alone), state(watched))


def test_clipping_by_norm_is_that_of_a_closure(samar_home: Path) -> None:
    network, *_ = plain_loop(samar, clip=0.1)
    module = Net(samar)
    fit(module, SamarCallback(quiet=True), gradient_clip_val=0.1)
    assert_same(state(network), state(module))


def test_half_precision_is_the_plain_loop_under_autocast(samar_home: Path) -> None:
    module, network = Net(sam), Net(sam)
    fit(module, SamarCallback(quiet=True), precision="bf16-mixed")
    optimizer = sam(network)
    torch.manual_seed(2)
    for _ in range(EPOCHS):
        for x, y in loader():

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16):
                    loss = cross_entropy(network(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)
    assert_same(state(network), state(module))


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


class ByHand(Net):
    """Manual optimization, with both passes spelled out."""

    automatic_optimization = False

    def chosen(self) -> Any:
        return self.optimizers().optimizer

    def training_step(self, batch: Any, number: int) -> None:
        optimizer = self.chosen()
        optimizer.zero_grad()
        loss = cross_entropy(self(batch[0]), batch[1])
        self.manual_backward(loss)
        optimizer.first_step()
        with frozen_batchnorm(self):
            perturbed = cross_entropy(self(batch[0]), batch[1])
            self.manual_backward(perturbed)
        optimizer.second_step(loss, perturbed)


class ByTheWrapper(ByHand):
    def chosen(self) -> Any:
        return self.optimizers()


def test_manual_optimization_with_a_closure_is_the_plain_loop(samar_home: Path) -> None:
    network, _, losses = plain_loop(samar)
    module = ByClosure(samar)
    trainer = fit(module, SamarCallback(quiet=True))
    assert_same(state(network), state(module))
    assert trainer.global_step == STEPS
    assert Ended().steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)


def without_dropout(kind: type[Net]) -> Net:
    module = kind(sam)
    module.layers[3] = nn.Identity()
    return module


def test_manual_optimization_by_hand_is_the_plain_loop(samar_home: Path) -> None:
    module, network = without_dropout(ByHand), without_dropout(Net)
    fit(module, SamarCallback(quiet=True))
    fit(network)
    assert_same(state(network), state(module))
    assert len(Ended().steps["loss"]) == STEPS


def test_the_wrapper_takes_no_passes(samar_home: Path) -> None:
    with pytest.raises(ConfigError, match=r"call it on self\.optimizers\(\)\.optimizer"):
        fit(ByTheWrapper(sam), SamarCallback(quiet=True))


class Accumulates(pl.Callback):
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        trainer.accumulate_grad_batches = 2


class Elsewhere(pl.strategies.SingleDeviceStrategy):
    handles_gradient_accumulation = True


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"accumulate_grad_batches": 2}, "accumulate_grad_batches is 2, .* set it to 1"),
        ({"others": [Accumulates()]}, "accumulate_grad_batches is 2, .* set it to 1"),
        ({"gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"}, "clip .* by norm"),
        ({"strategy": Elsewhere(device=torch.device("cpu"))}, "which Elsewhere does not give"),
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


def batch_losses() -> list[float]:
    """Of the batches of the first epoch, before the first step."""
    network = Net(adamw)
    torch.manual_seed(2)
    return [cross_entropy(network(x), y).item() for x, y in loader()]


def still(network: nn.Module) -> Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.0)


def test_the_rest_of_an_epoch_is_a_mean_too(samar_home: Path) -> None:
    fit(Net(still), SamarCallback(quiet=True), accumulate_grad_batches=3, max_epochs=1)
    *first, last = batch_losses()
    run = Ended()
    assert run.steps["loss"].tolist() == pytest.approx([sum(first) / 3, last], abs=1e-6)
    mean = (sum(first) / 3 + last) / 2
    assert run.epochs["train_loss"].tolist() == pytest.approx([mean], abs=1e-6)


class Accumulating(Net):
    """Manual optimization that steps after every second batch."""

    automatic_optimization = False

    def training_step(self, batch: Any, number: int) -> Tensor:
        loss = super().training_step(batch, number)
        self.manual_backward(loss / 2)
        if number % 2:
            self.optimizers().step()
            self.optimizers().zero_grad()
        return loss


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


class Counting(Net):
    """Logs the epoch's number under each name, wherever a module may log."""

    def training_step(self, batch: Any, number: int) -> Tensor:
        self.log("train_loss", float(self.current_epoch), on_epoch=True)
        return super().training_step(batch, number)

    def on_train_epoch_end(self) -> None:
        self.log("train_acc", (1 + self.current_epoch) / 10)

    def validation_step(self, batch: Any, number: int) -> None:
        self.log_dict(dict.fromkeys(("val_loss", "val_acc"), (1 + self.current_epoch) / 10))


class ReadsAlways(pl.Callback):
    def on_train_batch_end(self, trainer: Any, *_: Any, **known: Any) -> None:
        assert trainer.callback_metrics


@pytest.mark.parametrize("sanity", [0, 1])
@pytest.mark.parametrize("every", [1, 2])
def test_each_epoch_has_its_own_numbers(every: int, sanity: int, samar_home: Path) -> None:
    options = {"check_val_every_n_epoch": every, "num_sanity_val_steps": sanity}
    callback = SamarCallback(quiet=True)
    fit(Counting(samar), callback, max_epochs=5, others=[ReadsAlways()], **options)
    found = Ended().epochs
    assert found["step"].tolist() == [BATCHES * k for k in range(1, 6)]
    own = [k / 10 for k in range(1, 6)]
    validated = [value if k % every == 0 else math.nan for k, value in enumerate(own, start=1)]
    assert found["train_accuracy"].tolist() == pytest.approx(own)
    for name in ("test_loss", "test_accuracy"):
        assert found[name].tolist() == pytest.approx(validated, nan_ok=True)
    gaps = [value - value for value in validated]
    assert found["gap"].tolist() == pytest.approx(gaps, abs=1e-6, nan_ok=True)


def test_an_epoch_that_was_complete_is_recorded_before_an_error(samar_home: Path) -> None:
    class Fails(Counting):
        def on_train_epoch_end(self) -> None:
            super().on_train_epoch_end()
            raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError):
        fit(Fails(samar), SamarCallback(quiet=True))
    assert Ended().epochs["train_accuracy"].tolist() == pytest.approx([0.1])


def test_the_clock_is_told(samar_home: Path) -> None:
    """Late takes its second gradients in the second half."""

    def late(network: nn.Module) -> SAM:
        policy = Late(begin=0.5)
        return SAM(network.parameters(), torch.optim.SGD, lr=0.1, second_pass=policy)

    fit(Net(late), SamarCallback(quiet=True))
    assert Ended().steps["grad_evals"].tolist() == [1, 2, 3, 4, 6, 8, 10, 12]


def with_policy(policy: SecondPass) -> Make:
    def make(network: nn.Module) -> SAM:
        return SAM(network.parameters(), torch.optim.SGD, lr=0.1, second_pass=policy)

    return make


class WithAnother(ByClosure):
    """Several optimizers, of which Lightning cannot tell the steps beforehand."""

    def optimizers(self, *_: Any, **__: Any) -> Any:
        found = super().optimizers()
        return found[0] if isinstance(found, list) else found

    def configure_optimizers(self) -> Any:
        return [self.make(self.layers[:3]), torch.optim.SGD(self.layers[3:].parameters(), lr=0.1)]


class Lengthless(IterableDataset):
    """Four batches, without saying so."""

    def __iter__(self) -> Any:
        return iter(data())


@pytest.mark.parametrize(
    "limits", [{}, {"max_epochs": -1, "max_steps": STEPS}, {"max_epochs": 4, "max_steps": STEPS}]
)
def test_the_clock_is_told_of_several_optimizers(limits: Any, samar_home: Path) -> None:
    fit(WithAnother(with_policy(Late(begin=0.5))), SamarCallback(quiet=True), **limits)
    assert Ended().steps["grad_evals"].tolist() == [1, 2, 3, 4, 6, 8, 10, 12]


def of_unknown_length(policy: SecondPass, **limits: Any) -> None:
    batches = DataLoader(Lengthless(), batch_size=SIZE)
    fit(Net(with_policy(policy)), SamarCallback(quiet=True), batches=batches, **limits)


@pytest.mark.parametrize("limits", [{"max_epochs": 2}, {"max_epochs": -1, "max_steps": STEPS}])
def test_the_clock_is_told_of_data_without_a_length(limits: Any, samar_home: Path) -> None:
    of_unknown_length(Late(begin=0.5), **limits)
    assert Ended().steps["grad_evals"].tolist() == [1, 2, 3, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("policy", [Late(begin=0.5), Threshold()])
@pytest.mark.parametrize(
    "limits", [{"max_epochs": 1}, {"max_epochs": -1, "max_time": "00:00:00:01"}]
)
def test_a_policy_that_goes_by_a_clock_that_nobody_has_is_refused(
    policy: SecondPass, limits: Any, samar_home: Path
) -> None:
    with pytest.raises(ConfigError, match=r"second_pass '\w+' of SAM goes by .*; set max_steps"):
        of_unknown_length(policy, **limits)
    assert not Jobs().all()


class WithoutLoss(Net):
    def training_step(self, batch: Any, number: int) -> Tensor | None:
        return super().training_step(batch, number) if number else None


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
def test_a_step_without_a_loss_is_one_sentence(samar_home: Path) -> None:
    module = WithoutLoss(samar)
    before = state(module.layers[0])
    with pytest.raises(ConfigError, match=r"training_step returned None, but SAMAR needs .*; ret"):
        fit(module, SamarCallback(quiet=True))
    assert_same(before, state(module.layers[0]))
    assert not module.optimizers().optimizer._optimizer_step_pre_hooks


class AfterThree(pl.Callback):
    """Does something once, after the third batch."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 3:
            self.act()


def test_a_stop_in_the_app_ends_the_training(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.script.recorder.FLUSH_SECONDS", 0.0)
    monkeypatch.setattr("samar.jobs.work.ORDERS_SECONDS", 0.0)
    callback = SamarCallback(quiet=True)
    stop = AfterThree(lambda: Jobs().stop(callback.run.id))  # type: ignore[union-attr, arg-type]
    trainer = fit(Net(samar), callback, others=[stop])
    assert trainer.global_step == 4
    assert Ended().job.status == "stopped"


def test_a_look_in_the_midst(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network is copied for it, with whatever the framework and the callback hung on it."""
    monkeypatch.setattr("samar.script.recorder.FLUSH_SECONDS", 0.0)
    monkeypatch.setattr("samar.jobs.work.ORDERS_SECONDS", 0.0)
    callback = SamarCallback(data()[:16], quiet=True)
    look = AfterThree(lambda: Jobs().measure(str(callback.run and callback.run.id)))
    fit(Net(samar), callback, others=[look])
    assert 4 in Ended().landscapes


def test_an_error_ends_the_run_with_its_sentence(samar_home: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError):
        fit(Net(samar), SamarCallback(quiet=True), others=[AfterThree(fail)])
    job = Ended().job
    assert (job.status, job.message) == ("failed", "ZeroDivisionError: a mistake")


def test_a_callback_serves_two_trainings(samar_home: Path) -> None:
    callback = SamarCallback(quiet=True)
    fit(Net(samar), callback)
    first = callback.run
    fit(Net(samar), callback)
    assert callback.run is not first
    jobs = Jobs().all()
    assert [job.done for job in jobs] == [STEPS, STEPS]


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


def test_a_missing_package_is_one_sentence() -> None:
    code = """
import sys
sys.modules["lightning"] = sys.modules["pytorch_lightning"] = None
import samar.script.lightning
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1] == (
        "ImportError: This needs the package lightning, which is not installed; "
        "pip install '.[lightning]' in a checkout of samar brings it."
    )
    assert found.stderr.count("Traceback") == 1
