"""Any optimizer of torch as the base: the same direction, handed to it at the same weights."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adagrad, Adamax, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LRScheduler,
    OneCycleLR,
)

from samar.optim.rules import Fixed
from samar.optim.sam import ASAM, SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from samar.optim.two_pass import TwoPassOptimizer
from samar.optim.vasso import VaSSO
from tests.optim.steps import closure_of

RHO, THETA, LAM = 0.3, 0.4, 0.6
MUON = getattr(torch.optim, "Muon", None)
no_muon = pytest.mark.skipif(MUON is None, reason="this torch has no torch.optim.Muon (2.9 has)")

KINDS: list[tuple[type[TwoPassOptimizer], dict[str, object]]] = [
    (SAM, {}),
    (ASAM, {}),
    (VaSSO, {"theta": THETA}),
    (SAMAR, {"lam": LAM, "rule": Fixed(), "second_pass": EveryStep()}),
]
BASES = [
    pytest.param(AdamW, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1}, id="AdamW"),
    pytest.param(AdamW, {"lr": 0.02, "amsgrad": True, "fused": True}, id="fused"),
    pytest.param(Adamax, {"lr": 0.02}, id="Adamax"),
    pytest.param(RMSprop, {"lr": 0.02, "momentum": 0.5}, id="RMSprop"),
    pytest.param(Adagrad, {"lr": 0.1}, id="Adagrad"),
    pytest.param(MUON, {"lr": 0.02, "momentum": 0.9}, id="Muon", marks=no_muon),
]
every_kind = pytest.mark.parametrize(("kind", "options"), KINDS)
every_base = pytest.mark.parametrize(("base", "settings"), BASES)


def _weights() -> list[nn.Parameter]:
    torch.manual_seed(3)
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in ((3, 4), (2, 3))]


def _loss(weights: list[Tensor], k: int) -> Tensor:
    x = torch.linspace(-1.0, 1.0 + k, 20, dtype=torch.float64).reshape(5, 4)
    hidden = torch.tanh(x @ weights[0].T)
    return nn.functional.cross_entropy(hidden @ weights[1].T, torch.tensor([0, 1, 1, 0, k % 2]))


def _closure(optimizer: Optimizer, weights: list[nn.Parameter], k: int) -> Callable[[], Tensor]:
    return closure_of(optimizer, lambda: _loss(weights, k))


class Hand:
    """d_k from its formula, by autograd on tensors of its own."""

    def __init__(self, kind: type[TwoPassOptimizer]) -> None:
        self.kind = kind
        self.average: list[Tensor] = []

    def direction(self, weights: list[Tensor], k: int) -> list[Tensor]:
        g = self._gradient(weights, k)
        v = g
        if self.kind is VaSSO:
            before = self.average or g
            v = [(1 - THETA) * m + THETA * each for m, each in zip(before, g, strict=True)]
            self.average = v
        scales = [w.abs() if self.kind is ASAM else torch.ones_like(w) for w in weights]
        scaled = [scale * each for scale, each in zip(scales, v, strict=True)]
        norm = torch.cat([each.flatten() for each in scaled]).norm()
        moved = [
            w + RHO * scale * each / norm
            for w, scale, each in zip(weights, scales, scaled, strict=True)
        ]
        uphill = self._gradient(moved, k)
        if self.kind is SAMAR:
            return [(1 - LAM) * a + LAM * b for a, b in zip(g, uphill, strict=True)]
        return uphill

    def _gradient(self, weights: list[Tensor], k: int) -> list[Tensor]:
        leaves = [w.detach().clone().requires_grad_() for w in weights]
        return list(torch.autograd.grad(_loss(leaves, k), leaves))


@every_kind
@every_base
def test_the_base_takes_its_own_step_along_the_direction(kind, options, base, settings):
    ours, theirs = _weights(), _weights()
    optimizer = kind(ours, base, rho=RHO, **options, **settings)
    hand, plain = Hand(kind), base(theirs, **settings)
    for k in range(8):
        optimizer.step(_closure(optimizer, ours, k))
        for p, d in zip(theirs, hand.direction(theirs, k), strict=True):
            p.grad = d
        plain.step()
        # Muon multiplies in bfloat16, where a difference in the last place can become a visible one
        near = {"rtol": 0, "atol": 1e-3} if base is MUON else {"rtol": 1e-10, "atol": 1e-12}
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, **near)


@pytest.mark.parametrize(("kind", "options"), KINDS[2:])
@every_base
def test_its_state_comes_back_from_a_file(kind, options, base, settings):
    straight, first, second = _weights(), _weights(), _weights()

    def run(optimizer: Optimizer, weights: list[nn.Parameter], steps: range) -> None:
        for k in steps:
            optimizer.step(_closure(optimizer, weights, k))

    run(kind(straight, base, rho=RHO, **options, **settings), straight, range(6))
    interrupted = kind(first, base, rho=RHO, **options, **settings)
    run(interrupted, first, range(3))
    file = io.BytesIO()
    torch.save({"weights": first, "optimizer": interrupted.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    with torch.no_grad():
        for p, w in zip(second, saved["weights"], strict=True):
            p.copy_(w)
    resumed = kind(second, base, **settings)  # ρ and the rest come with the state
    resumed.load_state_dict(saved["optimizer"])
    run(resumed, second, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(straight, second, strict=True))
    assert resumed.param_groups[0]["rho"] == RHO


@no_muon
def test_two_optimizers_take_one_step_together():
    """Muon for the matrices, AdamW for the rest: each perturbs in a ball of its own."""

    def loss_at(matrix: Tensor, bias: Tensor) -> Tensor:
        return ((matrix @ torch.tensor([1.0, -2.0]).double() + bias) ** 2).sum()

    torch.manual_seed(3)
    matrix, bias = (nn.Parameter(torch.randn(s, dtype=torch.float64)) for s in ((3, 2), (3,)))
    twins = [w.detach().clone() for w in (matrix, bias)]
    both = [SAM([matrix], MUON, lr=0.1, rho=0.2), SAM([bias], AdamW, lr=0.1, rho=0.05)]
    plain = [nn.Parameter(w.clone()) for w in twins]
    bases = [MUON([plain[0]], lr=0.1), AdamW([plain[1]], lr=0.1)]
    for _ in range(3):
        loss_at(matrix, bias).backward()
        for optimizer in both:
            optimizer.first_step()
        loss_at(matrix, bias).backward()
        for optimizer in both:
            optimizer.second_step()
            optimizer.zero_grad()
        g = torch.autograd.grad(loss_at(*plain), plain)
        moved = [
            (w + rho * each / each.norm()).detach().requires_grad_()
            for w, each, rho in zip(plain, g, (0.2, 0.05), strict=True)
        ]
        for p, d in zip(plain, torch.autograd.grad(loss_at(*moved), moved), strict=True):
            p.grad = d
        for base in bases:
            base.step()
    torch.testing.assert_close(matrix, plain[0], rtol=0, atol=1e-3)
    torch.testing.assert_close(bias, plain[1], rtol=1e-12, atol=0)


SCHEDULES: list[Callable[[Optimizer], LRScheduler]] = [
    lambda optimizer: CosineAnnealingLR(optimizer, 8),
    lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=10),  # moves β₁ too
]


@pytest.mark.parametrize("on_base", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_is_the_one_that_the_base_alone_would_have(schedule, on_base):
    weights, others = _weights(), _weights()
    optimizer, plain = SAM(weights, AdamW, lr=0.02), AdamW(others, lr=0.02)
    scheduler, reference = schedule(optimizer.base if on_base else optimizer), schedule(plain)
    rates = []
    for k in range(7):
        optimizer.step(_closure(optimizer, weights, k))
        plain.step(_closure(plain, others, k))
        scheduler.step()
        reference.step()
        for key in ("lr", "betas"):
            assert optimizer.param_groups[0][key] == plain.param_groups[0][key]
        rates.append(optimizer.param_groups[0]["lr"])
    assert len(set(rates)) > 5


@every_kind
def test_named_parameters_and_groups_of_the_base(kind, options):
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).double()
    groups = [
        {"params": model[0].named_parameters(), "lr": 0.3, "rho": 0.5, "weight_decay": 0.0},
        {"params": model[1].named_parameters(), "betas": (0.5, 0.6)},
    ]
    optimizer = kind(groups, AdamW, lr=0.1, rho=RHO, **options)
    read = [
        [g[key] for key in ("lr", "rho", "betas", "weight_decay")] for g in optimizer.param_groups
    ]
    assert read == [[0.3, 0.5, (0.9, 0.999), 0.0], [0.1, RHO, (0.5, 0.6), 0.01]]
    assert [g["param_names"] for g in optimizer.base.param_groups] == [["weight", "bias"]] * 2
    before = [p.detach().clone() for p in model.parameters()]

    closure = closure_of(optimizer, lambda: model(torch.ones(2, 4).double()).square().sum())

    optimizer.step(closure)
    moves = [
        float((p.detach() - b).abs().max()) for p, b in zip(model.parameters(), before, strict=True)
    ]
    # AdamW's first step is its learning rate; the second layer also decays by lr · 0.01.
    assert moves[:2] == pytest.approx([0.3, 0.3], rel=1e-4)
    assert moves[3] == pytest.approx(0.1, rel=2e-2)


class StepOnly(Optimizer):
    """An optimizer of somebody's own, whose step takes no closure."""

    def __init__(self, params: list[nn.Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad


def test_an_optimizer_of_ones_own_can_be_the_base():
    ours, theirs = _weights(), _weights()
    optimizer, plain = SAM(ours, StepOnly, lr=0.1), SAM(theirs, torch.optim.SGD, lr=0.1)
    for k in range(3):
        optimizer.step(_closure(optimizer, ours, k))
        plain.step(_closure(plain, theirs, k))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


@every_kind
@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        (torch.optim.LBFGS, "but LBFGS evaluates the loss itself; choose another"),
        (torch.optim.Adadelta, r"Adadelta has an argument 'rho' as .* of another"),
    ],
)
def test_a_base_that_does_not_fit_is_refused(kind, options, base, sentence):
    with pytest.raises(TypeError, match=sentence):
        kind(_weights(), base, lr=0.1, **options)
