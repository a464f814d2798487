"""Watch a training under Hugging Face's Trainer, and take two passes under it.

The Trainer goes backward by itself and then calls ``optimizer.step()`` without a closure, so that
samar's optimizers could not take their second gradient. `SamarTrainer` keeps the batches of a step
and goes over them again. With any other optimizer it is the Trainer.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.data.given import Loss
from samar.data.objective import BatchLoss
from samar.device.randomness import RandomState, random_state, replayed_rng
from samar.errors import ConfigError
from samar.jobs.pace import FAST
from samar.jobs.store import Store
from samar.models.guard import unwrapped
from samar.optim.batchnorm import frozen_batchnorm
from samar.optim.two_pass import TwoPassOptimizer, bare
from samar.script.callback import RunningMean, WatchingCallback, require
from samar.script.watch import watch

transformers = require("huggingface", "transformers")
require("huggingface", "accelerate")
if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback
else:
    Trainer, TrainerCallback = transformers.Trainer, transformers.TrainerCallback


class SamarCallback(WatchingCallback, TrainerCallback):
    """Watch a training of Hugging Face's Trainer as a run that the app shows live.

    A step is recorded after every step of the optimizer, an epoch after every evaluation, be it of
    one set or of several. The
    Trainer tells its callbacks no loss, so the one that the network itself returns is recorded; of
    samar's optimizers theirs is. Where labels are smoothed or the loss is computed outside of the
    network, plain optimizers show none. If somebody stops the run in the app, the Trainer is told.

    Nor does the Trainer tell of errors. A run that ended in one is shown as running until the
    process ends or trains again; `SamarTrainer` ends it at once.

    Args:
        sample, loss, forward: on what landscape and eigenvalues are measured; see
            :func:`samar.watch`. A batch as the network takes it, with its labels, is enough.
        name: of the run; made from optimizer and network if empty.
        pace: as for :func:`samar.watch`.
        metrics: the names of ``test_loss`` and ``test_accuracy`` in what an evaluation tells, where
            they are not `METRICS`; accuracies between 0 and 1.
        store: another than the default one.
        quiet: do not say where the run can be seen.

    Attributes:
        run: the watched run, from the start of the training on.

    Raises:
        ConfigError: ``metrics`` has another key; or, when the training starts, the optimizer takes
            two passes and the Trainer is not a `SamarTrainer`.

    Example:
        >>> callback = SamarCallback(name="first try")
    """

    METRICS: ClassVar[Mapping[str, str]] = {
        "test_loss": "eval_loss",
        "test_accuracy": "eval_accuracy",
    }
    """What an evaluation tells, by what samar calls it."""

    def __init__(
        self,
        sample: Any = None,
        *,
        loss: Loss | None = None,
        forward: BatchLoss | None = None,
        name: str = "",
        pace: str = FAST,
        metrics: Mapping[str, str] | None = None,
        store: Store | None = None,
        quiet: bool = False,
    ) -> None:
        asked = {"sample": sample, "loss": loss, "forward": forward, "name": name}
        super().__init__(metrics, pace=pace, store=store, quiet=quiet, **asked)
        self._told = _OwnLosses()
        self._evaluated: dict[str, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Begin the run, or refuse what could not train."""
        self.end(RuntimeError("The training broke off."))
        network, optimizer = unwrapped(known["model"]), bare(known["optimizer"])
        if isinstance(optimizer, TwoPassOptimizer) and not _driven(optimizer):
            raise ConfigError(
                "Hugging Face's Trainer gives the optimizer no closure, so that "
                f"{type(optimizer).__name__} could not take its second gradient; use "
                "samar.script.huggingface.SamarTrainer in its place."
            )
        self._told, self._losses = _OwnLosses(), RunningMean()
        self._evaluated, self._due = {}, False
        self._hooks.append(network.register_forward_hook(self._told, with_kwargs=True))
        steps = state.max_steps - state.global_step
        self.run = watch(network, optimizer, steps=steps, **self._asked)
        self.run.__enter__()

    def on_step_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Record the epoch before, after all evaluations."""
        self._tell_evaluated()

    def _tell_evaluated(self) -> None:
        evaluated, self._evaluated = self._evaluated, {}
        self._tell_epoch(evaluated)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Record the step, while the gradients are there."""
        optimizer = bare(known["optimizer"])
        loss = self._told.drawn()
        if isinstance(optimizer, TwoPassOptimizer):
            loss = optimizer.loss
        if self.run is None:
            return
        self.run.step(loss)
        if loss is not None:
            self._losses.add(loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> Any:
        """Stop where somebody asked for it."""
        if self.run is not None and self.run.stopping:
            control.should_training_stop = True
        return control

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **known: Any
    ) -> None:
        """Keep what was evaluated; of several sets each comes by itself."""
        self._evaluated |= metrics or {}
        self._due = True

    def on_train_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """End the run."""
        self.end()

    def end(self, error: BaseException | None = None) -> None:
        """As in the base class; an epoch that is due is recorded first."""
        self._tell_evaluated()
        super().end(error)


class _OwnLosses:
    """A hook that keeps what a network itself calls its loss, in training.

    It knows nothing else, because a network is copied with its hooks.
    """

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._summed = False

    def __call__(self, network: nn.Module, _: Any, given: Mapping[str, Any], outputs: Any) -> None:
        found = outputs.get("loss") if isinstance(outputs, Mapping) else None
        if not isinstance(found, Tensor) or found.dim():
            return
        if network.training and torch.is_grad_enabled():
            self._parts.append(found.detach())
            self._summed = given.get("num_items_in_batch") is not None

    def drawn(self) -> Tensor | None:
        """The loss of the batch since the last time, which may have had several parts."""
        parts, self._parts = self._parts, []
        if not parts:
            return None
        whole = torch.stack(parts)
        return whole.sum() if self._summed else whole.mean()


class SamarTrainer(Trainer):
    """Hugging Face's Trainer, with two passes for samar's optimizers.

    The Trainer's own ``training_step`` is run for each part of a batch. When all gradients are
    there, the weights move, and it is run for the same parts again: with the same dropout masks,
    and with BatchNorm's running statistics kept. So gradient accumulation is right, and the
    perturbation is that of the whole batch. ``max_grad_norm`` clips what the base optimizer
    receives; the logged norm is that of the first gradient, before clipping. The logged loss is
    that of the first pass. ``optimizer.progress`` is set before each step.

    Give the optimizer as the Trainer wants it: ``optimizers=(optimizer, scheduler)``, or
    ``optimizer_cls_and_kwargs=(SAMAR, {"base": torch.optim.AdamW, "lr": 1e-3})`` to have its groups
    with and without weight decay.

    Raises:
        ConfigError: when the training starts, if the two passes would go wrong: with fp16, in
            several processes, on several GPUs, or under DeepSpeed or FSDP.

    Example:
        >>> callable(SamarTrainer.train)
        True
    """

    _rng: RandomState

    def __init__(self, *args: Any, **known: Any) -> None:
        super().__init__(*args, **known)
        self._again = False
        self._kept: list[tuple[Any, ...]] = []
        self._kept_losses: list[Tensor] = []
        self._clips: Any = None

    def train(self, *args: Any, **known: Any) -> Any:
        """Train; a watched run that breaks off ends with what went wrong."""
        try:
            return super().train(*args, **known)
        except BaseException as error:
            for each in self.callback_handler.callbacks:
                if isinstance(each, SamarCallback):
                    each.end(error)
            raise
        finally:
            self._let_go()

    def create_optimizer(self, *args: Any, **known: Any) -> Optimizer:
        """The Trainer's optimizer, which asks for its second pass here if it takes two."""
        self._let_go()
        optimizer = super().create_optimizer(*args, **known)
        inner = bare(optimizer)
        if isinstance(inner, TwoPassOptimizer):
            self._check(type(inner).__name__)
            vars(inner)["step"] = self._take_step
            if self.args.max_grad_norm:
                self._clips = inner.base.register_step_pre_hook(self._clip)
        return optimizer

    def _let_go(self) -> None:
        inner = bare(self.optimizer)
        if isinstance(inner, TwoPassOptimizer) and _driven(inner):
            del vars(inner)["step"]
        if self._clips is not None:
            self._clips.remove()
            self._clips = None
        self._kept, self._kept_losses = [], []

    def _check(self, name: str) -> None:
        if self.args.fp16:
            raise ConfigError(
                f"{name} cannot train with fp16=True, whose gradient scaler does not unscale the "
                "second pass; use bf16=True, or neither."
            )
        if self.args.world_size > 1 or self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise ConfigError(
                f"{name} trains in one process under Hugging Face's Trainer; start one, without "
                "DeepSpeed and FSDP."
            )
        if self.args.n_gpu > 1:
            raise ConfigError(
                f"{name} trains on one GPU under Hugging Face's Trainer, which would split each "
                f"batch over {self.args.n_gpu}; set CUDA_VISIBLE_DEVICES to one of them."
            )

    def training_step(self, model: nn.Module, inputs: Any, *rest: Any, **known: Any) -> Tensor:
        """Forward and backward for a part of a batch, which is kept for the second pass."""
        optimizer = bare(self.optimizer)
        keeps = isinstance(optimizer, TwoPassOptimizer) and not self._again
        if keeps and not self._kept:
            self._rng = random_state(optimizer.device)
        loss: Tensor = super().training_step(model, inputs, *rest, **known)
        if keeps:
            self._kept.append((model, inputs, rest, known))
            self._kept_losses.append(loss)
        return loss

    def _take_step(self, closure: None = None) -> None:
        """What the optimizer does when the Trainer lets it step: the second pass, and the step."""
        optimizer: TwoPassOptimizer = bare(self.optimizer)
        kept, losses = self._kept, self._kept_losses
        self._kept, self._kept_losses = [], []
        loss = torch.stack(losses).sum()
        optimizer.progress = self.state.global_step / max(1, self.state.max_steps)
        if not optimizer.wants_second_pass():
            optimizer.plain_step(loss)
            return
        self._again = True
        try:
            optimizer.first_step()
            with frozen_batchnorm(kept[0][0]), replayed_rng(self._rng):
                perturbed = [self.training_step(m, x, *rest, **k) for m, x, rest, k in kept]
        except BaseException:
            optimizer.restore()
            raise
        finally:
            self._again = False
        optimizer.second_step(loss, torch.stack(perturbed).sum())

    def _clip(self, *_: object) -> None:
        parameters = [p for group in bare(self.optimizer).param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.args.max_grad_norm)

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """The norm of the first gradient, which is not clipped where two are taken."""
        if isinstance(bare(self.optimizer), TwoPassOptimizer):
            return self.accelerator.clip_grad_norm_(model.parameters(), float("inf"))
        return super()._clip_grad_norm(model)


def _driven(optimizer: TwoPassOptimizer) -> bool:
    """Whether a `SamarTrainer` takes its steps."""
    return isinstance(getattr(vars(optimizer).get("step"), "__self__", None), SamarTrainer)
