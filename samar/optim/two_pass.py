"""The two-pass step that SAM, ASAM, VaSSO and SAMAR share.

    g_k = ∇f(x_k; ξ_k)               first pass
    ε_k = ρ T²v_k / ‖T v_k‖          v_k = g_k unless a subclass says otherwise
    g̃_k = ∇f(x_k + ε_k; ξ_k)         second pass: same mini-batch, same dropout masks
    x_{k+1} = base(x_k, d_k)         d_k = g̃_k unless a subclass says otherwise

The skeleton: save → perturb → second pass → restore → base step. A policy of
`samar.optim.second_pass` may leave the second gradient out; the step is then the base optimizer's,
with d_k = g_k. Weights come back by copying the saved values: subtracting ε would drift, and could
not undo an ε that is NaN. The first gradients are taken over, not copied (`p.grad` is None before
the second pass), so SAM needs one buffer the size of the parameters, the saved weights.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from samar.device.catalog import CPU
from samar.device.randomness import random_state, replayed_rng
from samar.device.ranks import RankMeans
from samar.device.waiting import on_host
from samar.optim.batchnorm import frozen_batchnorm
from samar.optim.perturbation import (
    Part,
    global_norms,
    gradients_of,
    measuring_dtype,
    perturb_,
    take_gradients,
)
from samar.optim.second_pass import SECOND_PASS_TYPES, SKIP, EveryStep, SecondPass, Turn
from samar.optim.validation import checked_number, plain_numbers

Closure = Callable[[], Tensor]

UNFINISHED = "{}; call second_step() to finish the step, or restore() to abandon it"

# Rebuilt on demand or bound to this one object, so neither copied nor pickled.
_TRANSIENT = {"_parts", "_saved", "step"}


class TwoPassOptimizer(Optimizer):
    """Base class: wraps a torch optimizer and runs the two passes around it.

    `param_groups` is the very list of the wrapped optimizer `base`, so a learning-rate scheduler
    works on either object, and `rho` and `adaptive` sit beside `lr` where they can be changed
    between steps. Weight decay belongs to the base step, taken at the restored weights; it does
    not enter the perturbation. A parameter without gradient in the first pass is not perturbed.
    `base` finds d_k in `p.grad`: `optimizer.base.register_step_pre_hook`, which is torch's, can
    clip it there.

    After a step these 0-dim tensors can be kept without copying or waiting for the device:
    `loss` f(x_k), `perturbed_loss` f(x_k + ε_k), `sharpness` (their difference) and `grad_norm`
    ‖g_k‖. They are NaN where unknown: after a step without a second gradient, the second and the
    third. `gradients` is what the step cost, 1 or 2. `second_pass` may be assigned between steps;
    a loop whose policy depends on the clock sets `progress`, the share of the training that is
    done, before each step.

    Where `model` is a DistributedDataParallel, its processes have one λ and decide alike: both
    losses are the means over the processes, as the gradients are. With `local_perturbation` each
    perturbs along the gradient of its own part of the mini-batch (m-sharpness, as in Foret et al.),
    and the first pass costs no exchange for SAM; norms are then means over the processes.

    Not for fp16 gradient scaling (refused by `step`) nor DDP's `gradient_as_bucket_view=True`,
    whose second pass would overwrite the first gradients.
    """

    _mixes = False
    """Whether g_k is a part of d_k, of weight 1 − λ."""

    # With this GradScaler.step calls our step instead of applying scaled gradients itself.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: ParamsT,
        base: type[Optimizer],
        model: nn.Module | None,
        defaults: dict[str, Any],
        base_kwargs: dict[str, Any],
        second_pass: SecondPass | None = None,
    ) -> None:
        if not (isinstance(base, type) and issubclass(base, Optimizer)):
            raise TypeError(
                f"base must be a torch optimizer class, got {base!r}; pass the class itself, "
                "such as torch.optim.SGD, and its arguments as keywords"
            )
        closure = signature(base.step).parameters.get("closure")
        if closure is not None and closure.default is Parameter.empty:
            raise TypeError(
                f"base must take a step along a given gradient, but {base.__name__} evaluates the "
                "loss itself; choose another, such as torch.optim.SGD"
            )
        if taken := sorted(set(defaults) & set(signature(base).parameters)):
            raise TypeError(
                f"{base.__name__} has an argument {taken[0]!r} as {type(self).__name__} has, of "
                "another meaning; choose another base, such as torch.optim.AdamW"
            )
        super().__init__(params, {**base_kwargs, **defaults})
        self.base = base(self.param_groups, **base_kwargs)
        self.base.defaults = self.defaults = {**self.base.defaults, **self.defaults}
        self.param_groups = self.base.param_groups
        self.model = model
        self.local_perturbation = False
        self.progress = 0.0
        self.gradients = 0
        self._turn = Turn()
        self.second_pass = EveryStep() if second_pass is None else second_pass
        self._saved: dict[Tensor, Tensor] = {}
        self._parts: list[Part] = []
        dtype = measuring_dtype(self._first_group)
        self._unknown = torch.full((), math.nan, dtype=dtype, device=self.device)
        self.loss = self.perturbed_loss = self.sharpness = self.grad_norm = self._unknown

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self._first_group[0].device

    @property
    def _first_group(self) -> list[Tensor]:
        """The parameters of the first group that has any."""
        for group in self.param_groups:
            if params := group["params"]:
                found: list[Tensor] = params
                return found
        raise ValueError("no group has a parameter; give at least one")

    @property
    def ascent_radius(self) -> float | None:
        """ρ where the perturbation is ρ g/‖g‖ with one ρ throughout; None where it is another."""
        groups = self.param_groups
        same = {group["rho"] for group in groups}
        plain = all("theta" not in group and not group["adaptive"] for group in groups)
        return float(same.pop()) if plain and len(same) == 1 else None

    @property
    def _means(self) -> RankMeans:
        return RankMeans(self.model, self.local_perturbation)

    @property
    def second_pass(self) -> SecondPass:
        """When the second gradient is taken."""
        return self._turn.policy

    @second_pass.setter
    def second_pass(self, policy: SecondPass) -> None:
        if not isinstance(policy, SecondPass):
            raise TypeError(
                f"second_pass must be a SecondPass, got {policy!r}; build one with "
                "build_second_pass"
            )
        if policy.needs_lam and not self._mixes:
            raise ValueError(
                f"second_pass {policy.name!r} goes by λ, which {type(self).__name__} does not "
                "have; choose another, or SAMAR"
            )
        self._turn.follow(policy, self._lam_now() if policy.needs_lam else 1.0)

    def _lam_now(self) -> float:
        """λ; waits for the device."""
        return 1.0

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, which may bring its own `rho` and `adaptive`.

        Raises:
            ValueError: If `rho` is negative, a parameter is complex, or the base optimizer is asked
                to maximize or to be differentiable.
        """
        merged = {**self.defaults, **param_group}
        self._check_group(merged)
        super().add_param_group(param_group)
        if any(p.is_complex() for p in self.param_groups[-1]["params"]):
            del self.param_groups[-1]
            raise ValueError("complex parameters are not supported; make their parts real ones")

    def _check_group(self, group: dict[str, Any]) -> None:
        checked_number("rho", group["rho"], 0.0)
        if group.get("maximize"):
            raise ValueError("maximize=True is not supported; minimize the negated loss instead")
        if group.get("differentiable"):
            raise ValueError("differentiable=True is not supported; leave it off")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]
        """Run the first pass, the second where the policy wants it, and the base step.

        The random state is replayed in the second pass and afterwards stands where the first pass
        left it; with `model` given, its BatchNorm running statistics move in the first pass only.
        Weights are restored even if the second pass raises.

        Args:
            closure: Zeroes the gradients, runs forward and backward on one mini-batch and returns
                the loss; it is called twice, or once where the second gradient is left out.

        Returns:
            f(x_k), the loss at the unperturbed weights, detached, 0-dim.

        Raises:
            RuntimeError: If there is no closure, no parameter gets a gradient, one is sparse, or a
                GradScaler drives the step.
            TypeError: If the closure does not return a 0-dim tensor.
        """
        evaluate, rng = self._evaluation_of(closure), random_state(self.device)
        with self._means.first_pass():
            loss = _scalar(evaluate())  # f(x) and g, in p.grad
        if not self.wants_second_pass():
            self.plain_step(loss)  # x ← base(x, g)
            return self.loss
        try:
            self.first_step()  # x + ε(g)
            with frozen_batchnorm(self.model), replayed_rng(rng):
                perturbed_loss = _scalar(evaluate())  # f(x + ε) and g̃, in p.grad
        except BaseException:
            self.restore()
            raise
        self.second_step(loss, perturbed_loss)  # back to x, d from g, g̃ and λ, x ← base(x, d)
        return self.loss

    def _evaluation_of(self, closure: Closure | None) -> Closure:
        """The closure with gradients switched on, if a step can be taken with it."""
        if hasattr(self, "found_inf"):
            vars(self).pop("grad_scale")
            vars(self).pop("found_inf")
            raise RuntimeError(
                f"{type(self).__name__} cannot run under an fp16 GradScaler, which does not "
                "unscale the second pass; use bfloat16 autocast without a scaler"
            )
        if closure is None:
            raise RuntimeError(
                f"{type(self).__name__}.step needs a closure that it can call twice; pass one, "
                "or call first_step() and second_step() around your own second pass"
            )
        evaluate: Closure = torch.enable_grad()(closure)
        return evaluate

    def wants_second_pass(self) -> bool:
        """Whether this step takes a second gradient; asked once, after the first backward pass.

        In a loop of your own: if so, `first_step`, the second pass and `second_step` follow, else
        `plain_step`. A loop that never asks takes the second gradient at every step.
        """
        self._turn.lam.advance(self._turn.steps)
        return self._turn.decide(self.progress, self._lam_seen(), self._grad_norm_now) != SKIP

    def _lam_seen(self) -> float:
        """The newest λ that the host knows."""
        return self._turn.lam.value

    def _grad_norm_now(self) -> float:
        norm = global_norms(gradients_of(self.param_groups))[0]
        return float(on_host(*self._means.norms(norm)))

    def _follow(self) -> None:
        """Move its numbers to where the parameters are, which may have moved since they were made.

        A GPU is not waited for.
        """
        device = self.device
        if self._unknown.device == device:
            return
        moved: dict[Tensor, Tensor] = {}  # what was the same tensor stays so
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                host = device.type == CPU
                there = on_host(value) if host else value.to(device, non_blocking=True)
                vars(self)[name] = moved.setdefault(value, there)

    @torch.no_grad()
    def plain_step(self, loss: Tensor | None = None) -> None:
        """Take the base step along g_k, which is in every `p.grad`.

        Args:
            loss: f(x_k), 0-dim; only recorded.

        Raises:
            RuntimeError: If no parameter has a gradient, one is sparse, or the previous step was
                not finished.
        """
        if self._parts:
            raise RuntimeError(UNFINISHED.format("plain_step() was called after first_step()"))
        self._follow()
        grads = gradients_of(self.param_groups)
        self._means.gradients_(grads)
        self._note_losses(loss, None)
        self.sharpness = self._unknown
        self.grad_norm = global_norms(grads)[0]
        self._pass_over()
        self._finish(1)

    @torch.no_grad()
    def first_step(self) -> None:
        """Take over the first pass's gradients, save the weights and move them to x_k + ε_k.

        Afterwards every `p.grad` is None. In a loop of your own, run the second pass inside
        `frozen_batchnorm(model)` and `replayed_rng(...)`, as `step` does.

        Raises:
            RuntimeError: If no parameter has a gradient, one is sparse, or the previous step was
                not finished.
        """
        if self._parts:
            raise RuntimeError(UNFINISHED.format("first_step() was called twice in a row"))
        self._follow()
        parts = take_gradients(self.param_groups, self._saved)
        for part in parts:
            torch._foreach_copy_(part.saved, part.weights)
        self._parts = parts
        ascent = [self._ascent(part) for part in parts]
        self.grad_norm, self._ascent_norm = perturb_(parts, ascent)
        norms = self._means.norms(self.grad_norm, self._ascent_norm)
        self.grad_norm, self._ascent_norm = norms
        if self._mixes:
            self._means.gradients_([grad for part in parts for grad in part.grads])
        self._keep(parts)
        # Inside an outer autocast block the second pass would reuse casts of the old weights.
        torch.clear_autocast_cache()

    @torch.no_grad()
    def second_step(self, loss: Tensor | None = None, perturbed_loss: Tensor | None = None) -> None:
        """Restore the weights and take the base step along d_k.

        Args:
            loss: f(x_k) of the first pass, 0-dim; only measured, not differentiated.
            perturbed_loss: f(x_k + ε_k) of the second pass, 0-dim.

        Raises:
            RuntimeError: If `first_step` was not called before.
            ValueError: If a loss is missing that this optimizer needs; the step is abandoned with
                the weights restored.
        """
        if not self._parts:
            raise RuntimeError(
                "second_step() was called without first_step(); call first_step() after the "
                "first backward pass and second_step() after the second"
            )
        parts = self._parts
        self._put_back()
        try:
            self._note_losses(loss, perturbed_loss)
            self.sharpness = self._measure()
            self._direction(parts)
        except BaseException:
            self._turn.take_back()
            raise
        self._finish(2)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the saved weights back and abandon the step in progress, if there is one."""
        if self._parts:
            self._turn.take_back()
        self._put_back()

    def _put_back(self) -> None:
        for part in self._parts:
            torch._foreach_copy_(part.weights, part.saved)
        self._parts = []
        torch.clear_autocast_cache()

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact resume needs: own state, the base optimizer's, and the groups.

        Holds tensors and plain values only, so `torch.load(..., weights_only=True)` reads it.
        """
        state = super().state_dict()
        for group in state["param_groups"]:  # anybody may have written into them
            group.update({name: plain_numbers(value) for name, value in group.items()})
        return {
            **state,
            "optimizer": type(self).__name__,
            "base_state": self.base.state_dict()["state"],
            "extra": self._extra_state(),
            "second_pass": self._turn.save(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned; the given dict is copied, not shared.

        Raises:
            ValueError: If the state is another optimizer's, or its policy of the second gradient
                or its λ rule is neither built in nor this one's; nothing is loaded then.
        """
        self._check_state(state_dict)
        state = deepcopy(state_dict)
        super().load_state_dict({key: state[key] for key in ("state", "param_groups")})
        self.base.load_state_dict(
            {"state": state["base_state"], "param_groups": state["param_groups"]}
        )
        self.param_groups = self.base.param_groups
        second = state["second_pass"]
        mine = second["name"] == self.second_pass.name
        kind = type(self.second_pass) if mine else SECOND_PASS_TYPES[second["name"]]
        self.second_pass = kind(**second["constants"])
        self._turn.load(second)
        self._load_extra_state(state["extra"])

    def _check_state(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("optimizer") != type(self).__name__:
            raise ValueError(
                f"this state was saved by {state_dict.get('optimizer', 'another optimizer')}, not "
                f"by {type(self).__name__}; build the optimizer that saved it"
            )
        policy = state_dict["second_pass"]["name"]
        if policy not in SECOND_PASS_TYPES and policy != self.second_pass.name:
            raise ValueError(
                f"this state was saved with the policy {policy!r}, which is not built in; give "
                "the optimizer that policy first"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.__dict__.items()
            if name not in _TRANSIENT and not name.startswith("_optimizer_")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_saved", {})
        self.__dict__.setdefault("_parts", [])

    # What a subclass may replace: v_k, what outlives the perturbation, the sharpness, d_k.

    def _ascent(self, part: Part) -> list[Tensor]:
        """v_k; only read, never written to."""
        return part.grads

    def _keep(self, parts: list[Part]) -> None:
        """Called once the weights are perturbed; lets go of the first gradients."""
        for part in parts:
            part.grads = []

    def _pass_over(self) -> None:
        """Called in a step without a second gradient, with g_k in `p.grad`."""

    def _measure(self) -> Tensor:
        return self.perturbed_loss - self.loss

    def _direction(self, parts: list[Part]) -> None:
        """Turn g̃_k, in `p.grad`, into d_k."""

    def _extra_state(self) -> dict[str, Any]:
        return {}

    def _load_extra_state(self, extra: dict[str, Any]) -> None:
        pass

    def _note_losses(self, *losses: Tensor | None) -> None:
        """Keep f(x_k) and f(x_k + ε_k), means over the processes, NaN where one is not given."""
        known = iter(self._means.losses([_scalar(loss) for loss in losses if loss is not None]))
        self.loss, self.perturbed_loss = (
            self._unknown if loss is None else next(known) for loss in losses
        )

    def _finish(self, gradients: int) -> None:
        self.base.step()
        self.gradients = gradients
        self._turn.finish(gradients)
        # A scheduler warns if nobody called `step`, which a loop of one's own never does.
        self._opt_called = True


def _scalar(loss: object) -> Tensor:
    """The loss detached, at least in float32: a difference of half-precision losses is noise."""
    if not isinstance(loss, Tensor) or loss.dim():
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(f"the loss must be a 0-dim tensor, got {got}; return it from the closure")
    loss = loss.detach() if loss.requires_grad else loss
    return loss.to(measuring_dtype([loss]))


def bare(optimizer: Any) -> Any:
    """The optimizer itself, of one that wraps it in its attribute ``optimizer``.

    Accelerate's and Lightning's wrappers do.
    """
    inner = getattr(optimizer, "optimizer", None)
    return bare(inner) if isinstance(inner, Optimizer) else optimizer
