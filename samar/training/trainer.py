"""The training loop: one object that takes steps and hands out records.

``Trainer`` knows neither a database nor a screen. Per step nothing is read back from the device:
values are kept there and fetched together by :meth:`Trainer.drain`. Randomness is either stateless
(data order and augmentation depend on the seed and the position only) or saved in the state
(torch's generator, used by dropout), so that an interrupted and resumed run equals an uninterrupted
one, bit for bit on a CPU.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from samar.data.augment import augmentation_for
from samar.data.batches import Batches
from samar.data.dataset import Dataset, ImageSet
from samar.data.evaluation import Evaluation, evaluate
from samar.data.sample import Sample
from samar.device.compiling import compiled, explained
from samar.device.memory import require
from samar.device.placement import Placement
from samar.device.randomness import RandomState, random_state, set_random_state
from samar.device.ranks import Group, leave, mean_over_ranks, parallel, ranks_of
from samar.device.waiting import Mark, mark, on_host, seconds_between, synchronize
from samar.errors import CheckpointError, ConfigError
from samar.jobs.training_records import NAN, Divergence, EpochRecord, StepRecord
from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.models.guard import undisturbed
from samar.optim.batchnorm import frozen_batchnorm
from samar.optim.catalog import OPTIMIZERS
from samar.optim.factory import change_optimizer, optimizer_of
from samar.optim.schedule import lr_factor
from samar.optim.two_pass import TwoPassOptimizer
from samar.settings.declare import settings_of
from samar.training.settings import LOCAL, TrainSettings

ATTRIBUTES = ("loss", "perturbed_loss", "sharpness", "ratio", "lam_used", "grad_norm")
"""Where a two-pass optimizer has what :data:`samar.jobs.training_records.MEASURED` names."""


class _Pending(NamedTuple):
    """A step whose record waits on the device: its values, when it ran, and what is known."""

    values: Tensor
    began: Mark
    ended: Mark
    known: dict[str, Any]


class Trainer:
    """Trains one network as a config says.

    Args:
        config: what to train and how.
        dataset: the images, loaded by the caller as the config names them.
        group: the processes that train together, each with a trainer of its own; see
            :mod:`samar.training.ranks`.

    Attributes:
        step_count: steps taken so far.
        divergence: set by :meth:`drain` when the loss stopped being finite.

    Raises:
        ConfigError: the config does not fit this machine.
    """

    def __init__(self, config: TrainSettings, dataset: Dataset, group: Group | None = None) -> None:
        self.config = config
        self._group = Group(0, 1) if group is None else group
        self.dataset = dataset
        self.placement = Placement.choose(config.device, config.precision, self.macs)
        device, layout = self.placement.device, self.placement.memory_format
        self._require_memory(device)
        self.dataset = dataset.to(device)
        torch.manual_seed(config.seed)
        self.model = build_model(
            config.model, classes=len(dataset.classes), channels=dataset.train.channels
        ).to(device)
        self.model.to(memory_format=layout)  # type: ignore[call-overload]
        self._network = self.model if group is None else parallel(self.model, device, group)
        self._forward = compiled(self.model, device) if config.compile else self._network
        self.batches = Batches(
            self.dataset.train,
            config.batch_size,
            seed=config.seed,
            augmentation=augmentation_for(config.augment, config.dataset, dataset.train.size),
            normalization=dataset.normalization,
            memory_format=layout,
        )
        self._check_parts()
        self._train_sample = self.dataset.train.evenly_spaced(config.train_eval_images)
        self.step_count = 0
        self.optimizer = self._built()
        self.grad_evals = 0
        self.seconds = 0.0
        self.divergence: Divergence | None = None
        self._last: StepRecord | None = None
        self._pending: list[_Pending] = []
        self._sgd_grad_norm = torch.tensor(NAN, device=device)

    def _require_memory(self, device: torch.device) -> None:
        """Refuse what does not fit by far, before it begins."""
        config, images = self.config, self.dataset.train
        copies = 2 + (config.momentum > 0) + OPTIMIZERS[config.optimizer].extra_copies
        batch = min(config.batch_size, len(images))
        require(MODELS[config.model].bytes_at(images.size, copies=copies, batch=batch), device)

    def _built(self) -> Optimizer:
        """The optimizer that the config describes."""
        config = self.config
        optimizer = optimizer_of(config, self._network, config.optimizer)
        if isinstance(optimizer, TwoPassOptimizer):
            optimizer.local_perturbation = config.perturbation == LOCAL
            optimizer.progress = max(0, self.step_count - 1) / self.total_steps  # of the last step
        return optimizer

    def _check_parts(self) -> None:
        """BatchNorm needs two images in every process's part of the smallest batch."""
        size = self.config.batch_size
        rest = len(self.dataset.train) - size * (self.steps_per_epoch - 1)
        if min(size, rest) < 2 * self._group.size and self._group.size > 1:
            raise ConfigError(
                f"The smallest batch has {min(size, rest)} images, too few for "
                f"{self._group.size} ranks with two each; choose another batch size."
            )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a forward pass of one image."""
        return MODELS[self.config.model].macs_at(self.dataset.train.size)

    @property
    def lr(self) -> float:
        """Learning rate η of the newest step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def sample(self, images: int) -> Sample:
        """Evenly spaced training images."""
        return Sample.of(self.dataset.train, self.dataset.normalization, images)

    @property
    def ranks(self) -> int:
        """Processes that train together."""
        return self._group.size

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training images."""
        return self.batches.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.steps_per_epoch * self.config.epochs

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step completed a pass over the training images."""
        return self.step_count > 0 and self.step_count % self.steps_per_epoch == 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.divergence is not None or self.step_count >= self.total_steps

    def step(self) -> None:
        """Take one optimizer step; its record waits on the device until :meth:`drain`."""
        began = mark(self.placement.device)
        x, y = self.batches.batch(self.step_count)
        if self._group.rank:  # dropout masks of its own, by the step alone
            torch.manual_seed(hash((self.config.seed, self._group.rank, self.step_count)))
        epoch = self.step_count / self.steps_per_epoch
        warmup = self.config.warmup_epochs
        # A warm-up from 0 would waste its first step: there the factor is that of the step's end.
        moment = min(epoch + 1 / self.steps_per_epoch, warmup) if epoch < warmup else epoch
        factor = lr_factor(self.config.schedule, moment, self.config.epochs, warmup)
        lr = self.config.lr * factor
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.model.train()
        if isinstance(self.optimizer, TwoPassOptimizer):
            self.optimizer.progress = self.step_count / self.total_steps
        closure: Any = partial(self._loss_and_gradient, x, y)  # torch says float, and takes tensors
        loss = self.optimizer.step(closure)
        self.step_count += 1
        self.grad_evals += getattr(self.optimizer, "gradients", 1)
        known = {
            "step": self.step_count,
            "epoch": int(epoch) + 1,
            "lr": lr,
            "grad_evals": self.grad_evals,
        }
        values = self._measured(torch.as_tensor(loss))
        self._pending.append(_Pending(values, began, mark(self.placement.device), known))

    def warm_up(self) -> float:
        """Let a network that is to be compiled be so, both passes of a step; seconds that it took.

        The network, its statistics and the random state are as before.
        """
        if not self.config.compile:
            return 0.0
        synchronize(self.placement.device)
        started = time.perf_counter()
        last = (self.step_count // self.steps_per_epoch + 1) * self.steps_per_epoch - 1
        with undisturbed(self.model), explained():
            self.model.train()
            for step in dict.fromkeys((self.step_count, last)):  # whose batch has another size
                x, y = self.batches.batch(step)
                self._loss_and_gradient(x, y)
                with frozen_batchnorm(self.model):
                    self._loss_and_gradient(x, y)
        synchronize(self.placement.device)
        return time.perf_counter() - started

    def _loss_and_gradient(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        part = slice(self._group.rank, None, self._group.size)
        with self.placement.autocast():
            logits = self._forward(x[part])
        loss = F.cross_entropy(logits.float(), y[part])
        if self._group.size > 1:  # so that the mean over parts of any size is that over the batch
            loss = loss * (self._group.size * len(y[part]) / len(y))
        loss.backward()
        if self.config.optimizer == "sgd":
            grads = [p.grad for p in self.model.parameters() if p.grad is not None]
            self._sgd_grad_norm = torch.nn.utils.get_total_norm(grads)
        return loss

    def _measured(self, loss: Tensor) -> Tensor:
        """The step's 0-dim values as one row."""
        if self.config.optimizer == "sgd":
            loss = mean_over_ranks(loss.detach(), ranks_of(self._network))
        return step_values(self.optimizer, loss, self._sgd_grad_norm)

    def drain(self) -> list[StepRecord]:
        """Fetch the records of all steps since the last call, in one transfer.

        Stops at the first step whose loss is not finite and sets :attr:`divergence`.
        """
        if not self._pending:
            return []
        rows = on_host(torch.stack([step.values for step in self._pending])).tolist()
        records = []
        for row, step in zip(rows, self._pending, strict=True):
            self.seconds += seconds_between(step.began, step.ended)
            record = StepRecord.of(row, seconds=self.seconds, **step.known)
            if not math.isfinite(record.loss):
                self.divergence = Divergence(record.step, self._last, _hint(self.config))
                break
            self._last = record
            records.append(record)
        self._pending.clear()
        return records

    def forget(self) -> None:
        """Drop the records that wait on the device."""
        self._pending.clear()

    def leave(self) -> None:
        """Let go of the processes that it trained together with; it can take no further step."""
        leave(self._network)

    def evaluate_epoch(self, check: Callable[[], None] = lambda: None) -> EpochRecord:
        """Measure train and test loss and accuracy at the current weights.

        The training figures come from evenly spaced images, after the last step from all of them.

        Args:
            check: called after every few images; may raise to cancel.
        """
        at_end = self.step_count >= self.total_steps
        train = self._evaluate(self.dataset.train if at_end else self._train_sample, check)
        test = self._evaluate(self.dataset.test, check)
        held_out = self.dataset.validation
        validation = None if held_out is None else self._evaluate(held_out, check)
        if not math.isfinite(train.loss) and self.divergence is None:
            self.divergence = Divergence(self.step_count, self._last, _hint(self.config))
        return EpochRecord(
            epoch=self.step_count // self.steps_per_epoch,
            step=self.step_count,
            grad_evals=self.grad_evals,
            seconds=self.seconds,
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            train_images=train.images,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
            gap=train.accuracy - test.accuracy,
            val_loss=validation.loss if validation else NAN,
            val_accuracy=validation.accuracy if validation else NAN,
        )

    def _evaluate(self, images: ImageSet, check: Callable[[], None]) -> Evaluation:
        normalization = self.dataset.normalization
        return evaluate(self.model, images, normalization, progress=lambda *_: check())

    def change(self, **values: Any) -> None:
        """Change live settings from the next step on.

        Another optimizer takes over the momentum of the one before; λ and averages of gradients
        or sharpness begin anew.

        Raises:
            ConfigError: a value is out of bounds, or the setting cannot change while a run trains.
        """
        before = self.config.optimizer
        self.config = self.config.changed_live(**values)
        if self.config.optimizer != before:
            momentum = _base(self.optimizer).state
            self.optimizer = self._built()
            _base(self.optimizer).state.update(momentum)
            return
        change_optimizer(self.optimizer, self.config, values)

    @property
    def _mean_and_std(self) -> list[float]:
        """Through which the network sees its images."""
        return [*self.dataset.normalization.mean, *self.dataset.normalization.std]

    def state_dict(self) -> dict[str, Any]:
        """All that :meth:`load_state_dict` needs to continue exactly from here.

        Call :meth:`drain` first: records that still wait on the device are not part of the state.
        """
        drawn = random_state(self.placement.device)
        return {
            "step": self.step_count,
            "grad_evals": self.grad_evals,
            "seconds": self.seconds,
            "config": self.config.model_dump(),
            "data_checksum": self.dataset.checksum,
            "normalization": self._mean_and_std,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": drawn.cpu,
            "device_rng": drawn.own,
            "device_rng_of": self.placement.device.type,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state.

        Raises:
            CheckpointError: the images, or those their normalization was measured on, are not those
                that the state was trained on.
        """
        seen = self._mean_and_std
        differs = "" if state["data_checksum"] == self.dataset.checksum else "their checksum"
        # The last digit of a sum may be another on another machine.
        if not differs and not all(map(math.isclose, state["normalization"], seen)):
            differs = "the normalization measured on them"
        if differs:
            raise CheckpointError(
                f"The images of {self.dataset.name} are not those the run was trained on "
                f"({differs} differs); restore them or start a new run."
            )
        self.model.load_state_dict(state["model"])
        known, saved = settings_of(type(self.config)), state["config"]
        live = {name: saved[name] for name in known if known[name].live}
        self.config = self.config.changed(**live)
        self.step_count = state["step"]
        self.optimizer = self._built()
        self.optimizer.load_state_dict(state["optimizer"])
        self.grad_evals = state["grad_evals"]
        self.seconds = state["seconds"]
        own = state["device_rng"]
        if state["device_rng_of"] != self.placement.device.type:
            own = None  # it goes on elsewhere, where other numbers are drawn anyway
        set_random_state(RandomState(self.placement.device, state["rng"], own))


def step_values(
    optimizer: Optimizer, loss: Tensor, norm: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The 0-dim values of a step as one row on the device, in the order of a record.

    A copy, so that the next step may overwrite them; NaN where the optimizer has no such number.

    Args:
        loss, norm: of the mini-batch and its gradient; those of a two-pass optimizer are its own.
    """
    if isinstance(optimizer, TwoPassOptimizer):
        missing = torch.full_like(optimizer.grad_norm, NAN)
        row = [getattr(optimizer, name, missing) for name in ATTRIBUTES]
    else:
        missing = torch.full_like(norm, NAN)
        row = [loss, missing, missing, missing, missing, norm]
    return torch.stack([value.detach().to(dtype) for value in row])


def _base(optimizer: Optimizer) -> Optimizer:
    """The one that takes the step, and keeps the momentum."""
    return optimizer.base if isinstance(optimizer, TwoPassOptimizer) else optimizer


def _hint(config: TrainSettings) -> str:
    if config.optimizer == "sgd":
        return f"Lower the learning rate (it is {config.lr:g}) or add warm-up epochs."
    return f"Lower the learning rate (it is {config.lr:g}) or the radius ρ (it is {config.rho:g})."
