"""Watch a training under Lightning: one callback for its Trainer.

Under automatic optimization Lightning gives the optimizer a closure that runs ``training_step``,
zeroes the gradients and goes backward. samar's optimizers call it twice, and so take their exact
step. Where Lightning's own settings would break the two passes, the callback refuses to start.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from samar.data.given import Loss
from samar.data.objective import BatchLoss
from samar.errors import ConfigError
from samar.jobs.pace import FAST
from samar.jobs.store import Store
from samar.optim.second_pass import Late, Threshold
from samar.optim.two_pass import TwoPassOptimizer
from samar.script.callback import RunningMean, WatchingCallback, require
from samar.script.watch import watch

pl = require("lightning", "lightning.pytorch", "pytorch_lightning")
if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback, LightningModule, Trainer = pl.Callback, pl.LightningModule, pl.Trainer


class SamarCallback(WatchingCallback, Callback):
    """Watch a Lightning training as a run that the app shows live.

    A step is recorded for every batch in which the optimizer stepped, an epoch at the end of every
    training epoch. The training loss of an epoch is the mean of its steps' losses. If somebody
    stops the run in the app, ``trainer.should_stop`` is set; where several processes train
    together, at the end of the epoch. Of samar's optimizers ``progress`` is set before each batch,
    where Lightning knows an end.

    Args:
        sample, loss, forward: on what landscape and eigenvalues are measured; see
            :func:`samar.watch`. Without a sample none are measured: samar does not call
            ``training_step`` for it, because that may log. Give ``forward(module, batch)`` for what
            is not outputs against targets.
        name: of the run; made from optimizer and network if empty.
        pace: as for :func:`samar.watch`.
        metrics: the names under which the module logs ``test_loss``, ``test_accuracy`` and
            ``train_accuracy``, where they are not `METRICS`; accuracies between 0 and 1.
        optimizer: which one is watched, where the module has several.
        store: another than the default one.
        quiet: do not say where the run can be seen.

    Attributes:
        run: the watched run, from the start of the training on.

    Raises:
        ConfigError: ``metrics`` has another key; or, when the training starts, one of samar's
            optimizers would take wrong steps under the Trainer's settings; or, under automatic
            optimization, ``training_step`` gives one of them no loss.

    Example:
        >>> callback = SamarCallback(name="first try", metrics={"test_accuracy": "val_accuracy"})
    """

    METRICS: ClassVar[Mapping[str, str]] = {
        "test_loss": "val_loss",
        "test_accuracy": "val_acc",
        "train_accuracy": "train_acc",
    }
    """What a module logs, by what samar calls it."""

    def __init__(
        self,
        sample: Any = None,
        *,
        loss: Loss | None = None,
        forward: BatchLoss | None = None,
        name: str = "",
        pace: str = FAST,
        metrics: Mapping[str, str] | None = None,
        optimizer: int = 0,
        store: Store | None = None,
        quiet: bool = False,
    ) -> None:
        asked = {"sample": sample, "loss": loss, "forward": forward, "name": name}
        super().__init__(metrics, pace=pace, store=store, quiet=quiet, **asked)
        self._number = optimizer
        self._forget()

    def _forget(self) -> None:
        self._stepped = False
        self._parts, self._losses = RunningMean(), RunningMean()
        self._due = False
        self._logged: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what would train wrongly."""
        if self._number not in range(len(trainer.optimizers)):
            raise ConfigError(
                f"The optimizer is number {self._number}, but the module has "
                f"{len(trainer.optimizers)}; choose one, counted from 0."
            )
        for each in trainer.optimizers:
            if isinstance(each, TwoPassOptimizer):
                _check(trainer, each, pl_module.automatic_optimization)
                _share(trainer, each)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the run."""
        self._forget()
        for each in trainer.optimizers:
            if isinstance(each, TwoPassOptimizer):
                _check_clock(trainer, each)
                if pl_module.automatic_optimization:
                    self._hooks.append(each.register_step_pre_hook(_with_loss))
        optimizer = trainer.optimizers[self._number]
        inner = optimizer.base if isinstance(optimizer, TwoPassOptimizer) else optimizer
        self._hooks.append(inner.register_step_post_hook(self._on_step))
        self.run = watch(pl_module, optimizer, steps=_steps(trainer), **self._asked).__enter__()

    def _on_step(self, *_: object) -> None:
        self._stepped = True

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Refuse accumulation that began in the midst of the training; tell how far it is."""
        for each in trainer.optimizers:
            if isinstance(each, TwoPassOptimizer):
                _check_accumulation(trainer, each, pl_module.automatic_optimization)
                progress = _progress(trainer, batch_idx)
                if progress is not None:
                    each.progress = progress

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record the step."""
        optimizer = trainer.optimizers[self._number]
        for wrapper in trainer.strategy._lightning_optimizers:
            if "_parts" in vars(wrapper):
                raise ConfigError(
                    "first_step() was called on Lightning's wrapper of the optimizer, which would "
                    "keep the state that belongs to the optimizer; call it on "
                    "self.optimizers().optimizer."
                )
        part = _loss_in(outputs)
        if part is not None:  # Lightning divides it, by 1 under manual optimization
            self._parts.add(part * trainer.accumulate_grad_batches)
        if self.run is None or not self._stepped:
            return
        loss = self._parts.drawn()
        if isinstance(optimizer, TwoPassOptimizer):
            loss = optimizer.loss
        self.run.step(loss)
        if loss is not None:
            self._losses.add(loss)
        self._stepped = False
        if self.run.stopping and trainer.world_size == 1:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop where somebody asked for it; what this hook of the module logs is yet to come."""
        if self.run is None:
            return
        if trainer.strategy.reduce_boolean_decision(self.run.stopping, all=False):
            trainer.should_stop = True
        self._due = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch before."""
        self._tell_logged(trainer)

    def _tell_logged(self, trainer: Trainer) -> None:
        """Record the epoch that is due, without what was logged for an earlier one."""
        if self._due:
            before, self._logged = self._logged, dict(trainer.callback_metrics)
            new = {n: value for n, value in self._logged.items() if before.get(n) is not value}
            self._tell_epoch(new)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the run, while the network is still where it trained."""
        self._tell_logged(trainer)
        self.end()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """End the run, and say why."""
        try:
            if trainer.world_size == 1:  # another process may not be there to average with
                self._tell_logged(trainer)
        finally:
            self.end(exception)


def _check(trainer: Trainer, optimizer: TwoPassOptimizer, automatic: bool) -> None:
    """Refuse settings under which the two passes go wrong."""
    name = type(optimizer).__name__
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        raise ConfigError(
            f"{name} cannot train with precision {trainer.precision!r}, whose gradient scaler does "
            "not unscale the second pass; use 'bf16-mixed' or '32-true'."
        )
    strategy = trainer.strategy  # of lightning.pytorch or of pytorch_lightning, which are twins
    kinds = {each.__name__ for each in type(strategy).__mro__}
    if (
        not kinds & {"SingleDeviceStrategy", "DDPStrategy"}
        or strategy.handles_gradient_accumulation
    ):  # as DeepSpeed's, which is a DDP too
        raise ConfigError(
            f"{name} needs a closure that it can call twice, which {type(strategy).__name__} does "
            "not give; use strategy 'auto' on one device, or 'ddp'."
        )
    _check_accumulation(trainer, optimizer, automatic)
    if automatic and trainer.gradient_clip_val and trainer.gradient_clip_algorithm == "value":
        raise ConfigError(
            f"Lightning would clip the gradient of each pass by value, which turns {name}'s "
            "perturbation another way; clip in optimizer.base.register_step_pre_hook, or by norm."
        )


def _check_accumulation(trainer: Trainer, optimizer: TwoPassOptimizer, automatic: bool) -> None:
    """Lightning's closure goes over the last part of an accumulated batch only."""
    if automatic and trainer.accumulate_grad_batches > 1:
        raise ConfigError(
            f"accumulate_grad_batches is {trainer.accumulate_grad_batches}, but Lightning repeats "
            f"only the last part for {type(optimizer).__name__}'s second pass; set it to 1, or "
            "accumulate in a closure of your own under manual optimization."
        )


def _check_clock(trainer: Trainer, optimizer: TwoPassOptimizer) -> None:
    """Refuse a policy that goes by the progress where Lightning knows no end."""
    policy = optimizer.second_pass
    if isinstance(policy, Late | Threshold) and _progress(trainer, 0) is None:
        raise ConfigError(
            f"second_pass {policy.name!r} of {type(optimizer).__name__} goes by the share of the "
            "training that is done, which Lightning does not know here; set max_steps, or "
            "max_epochs and limit_train_batches."
        )


def _with_loss(
    optimizer: Optimizer, args: tuple[Any, ...], known: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Before a step: have its closure, which runs ``training_step``, refuse to give no loss."""
    closure = known.get("closure")
    if closure is None:
        return None

    def answered() -> Any:
        loss = closure()
        if loss is None:
            raise ConfigError(
                f"training_step returned None, but {type(optimizer).__name__} needs a loss for "
                "each of its passes; return one for every batch, or leave batches out in the "
                "DataLoader."
            )
        return loss

    return args, {**known, "closure": answered}


def _share(trainer: Trainer, optimizer: TwoPassOptimizer) -> None:
    """Tell an optimizer with which processes it trains, so that they have one λ."""
    model = trainer.strategy.model
    if not isinstance(model, DistributedDataParallel):
        return
    if getattr(model, "gradient_as_bucket_view", False):
        raise ConfigError(
            "DDP's gradient_as_bucket_view is on, and the second pass would overwrite the first "
            "gradients; leave it off."
        )
    optimizer.model = model


def _steps(trainer: Trainer) -> int | None:
    """How many are to come, where that is known."""
    if len(trainer.optimizers) > 1:
        return None
    most = trainer.estimated_stepping_batches - trainer.global_step
    return int(most) if 0 < most < float("inf") else None


def _progress(trainer: Trainer, batch: int) -> float | None:
    """Share of the training that is done before a batch of this epoch; None where no end is known.

    Of data without a length it is that of the epochs, if there are several.
    """
    known, epochs, batches = [], trainer.max_epochs or 0, trainer.num_training_batches
    if trainer.max_steps > 0:
        known.append(trainer.global_step / trainer.max_steps)
    if epochs > 0 and 0 < batches < float("inf"):
        known.append((trainer.current_epoch * batches + batch) / (epochs * batches))
    elif epochs > 1:
        known.append(trainer.current_epoch / epochs)
    return min(1.0, max(known)) if known else None


def _loss_in(outputs: Any) -> Tensor | None:
    """The loss in what Lightning passes on from ``training_step``, 0-dim."""
    found = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    if not isinstance(found, Tensor) or found.dim():
        return None
    return found.detach()
