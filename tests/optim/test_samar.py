"""SAMAR's λ and direction, by hand on a quadratic and against pytorch-optimizer's WSAM."""

import math
from copy import deepcopy

import pytest
import pytorch_optimizer
import torch
from torch import nn

from samar.optim.rules import (
    Additive,
    DeadBand,
    Fixed,
    LambdaRule,
    Power,
    Share,
    Trend,
    TrendPower,
)
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from tests.optim.steps import closure_of

CURVATURE = (1.0, 4.0)
RHO, LR = 0.3, 0.05
# Scales of successive "mini-batches", chosen so that ratios fall on both sides of every band.
SCALES = (1.0, 1.5, 0.6, 1.0, 3.0, 2.9, 0.2, 1.0)


def by_hand(
    next_lam, *, rate=1.0, beta=0.0, first_order=False, bounds=(0.1, 3.0), even_start=False
):
    """(r_k, λ_k, x_{k+1}) of SAMAR on f(x) = c_k (x_1² + 4 x_2²) / 2, in plain floats."""
    x, lam, average, reference = (2.0, -1.0), 1.0, None, None
    rows = []
    for k, scale in enumerate(SCALES, start=1):
        a = [scale * curvature for curvature in CURVATURE]
        g = [ai * xi for ai, xi in zip(a, x, strict=True)]
        norm = math.hypot(*g)
        y = [xi + RHO * gi / norm for xi, gi in zip(x, g, strict=True)]
        exact = sum(ai * (yi**2 - xi**2) / 2 for ai, xi, yi in zip(a, x, y, strict=True))
        s = RHO * norm if first_order else exact
        average = s if average is None else beta * average + (1 - beta) * s
        ratio = math.nan if reference is None else average / reference
        pace = max(rate, 1 / k) if even_start else rate
        reference = average if reference is None else reference + pace * (average - reference)
        # ∇f(y) is linear, so the mix is the gradient at x + λ ε.
        x = tuple(xi - LR * ai * (xi + lam * (yi - xi)) for ai, xi, yi in zip(a, x, y, strict=True))
        rows.append((ratio, lam, x))
        if not math.isnan(ratio):
            lam = min(max(next_lam(lam, ratio), bounds[0]), bounds[1])
    return rows, lam


def band(lam, ratio):
    return lam * 1.5 if ratio > 1.2 else lam / 1.25 if ratio < 0.8 else lam


def root(lam, ratio):
    return lam * math.sqrt(ratio)


@pytest.mark.parametrize(
    ("rule", "formula", "options"),
    [
        (DeadBand(0.2, 1.5, 1.25), band, {}),
        (DeadBand(0.2, 1.5, 1.25), band, {"beta": 0.5}),
        (DeadBand(0.2, 1.5, 1.25), band, {"first_order": True}),
        (DeadBand(0.2, 1.5, 1.25), band, {"bounds": (0.9, 1.1)}),
        (Trend(0.2, 1.5, 1.25, memory=4.0), band, {"rate": 0.25}),
        (Trend(0.2, 1.5, 1.25, memory=4.0), band, {"rate": 0.25, "beta": 0.3}),
        (TrendPower(0.5, memory=4.0), root, {"rate": 0.25, "even_start": True}),
        (TrendPower(0.5, memory=1e5), root, {"rate": 1e-5, "even_start": True, "beta": 0.3}),
        (Power(0.5), root, {}),
        (Additive(0.2), lambda lam, r: lam + math.copysign(0.2, r - 1.0), {}),
        (Fixed(), lambda lam, r: lam, {}),
    ],
)
def test_a_quadratic_by_hand(rule, formula, options):
    expected, last = by_hand(formula, **options)
    low, high = options.get("bounds", (0.1, 3.0))
    x = nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64))
    optimizer = SAMAR(
        [x],
        lr=LR,
        rho=RHO,
        rule=rule,
        beta=options.get("beta", 0.0),
        lam_min=low,
        lam_max=high,
        sharpness="first_order" if options.get("first_order") else "exact",
        second_pass=EveryStep(),
    )
    curvature = torch.tensor(CURVATURE, dtype=torch.float64)
    for scale, (ratio, lam, weights) in zip(SCALES, expected, strict=True):
        closure = closure_of(
            optimizer, lambda scale=scale: scale * (curvature * x.square()).sum() / 2
        )

        optimizer.step(closure)
        assert optimizer.ratio.item() == pytest.approx(ratio, rel=1e-12, nan_ok=True)
        assert optimizer.lam_used.item() == pytest.approx(lam, rel=1e-12)
        assert x.tolist() == pytest.approx(weights, rel=1e-12)
    assert optimizer.lam.item() == pytest.approx(last, rel=1e-12)
    if not isinstance(rule, Fixed):
        assert len({lam for _, lam, _ in expected}) > 2


@pytest.mark.parametrize(("gamma", "adaptive"), [(0.2, False), (0.5, True), (0.7, False)])
def test_constant_lambda_equals_coupled_wsam(gamma, adaptive, make_problem):
    ours, theirs = make_problem(torch.float64), make_problem(torch.float64)
    lam = gamma / (1 - gamma)
    ours.run(
        ours.optimizer("samar", rule=Fixed(), lam=lam, adaptive=adaptive, second_pass=EveryStep()),
        range(50),
    )
    wsam = pytorch_optimizer.WSAM(
        theirs.model,
        theirs.model.parameters(),
        torch.optim.SGD,
        rho=0.1,
        gamma=gamma,
        adaptive=adaptive,
        decouple=False,
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-3,
    )
    theirs.run(wsam, range(50))
    # Its freeze sets the momentum to 0, which still counts batches.
    assert int(theirs.model[1].num_batches_tracked) == 2 * int(ours.model[1].num_batches_tracked)
    theirs.model[1].num_batches_tracked //= 2
    for a, b in zip(ours.tensors(), theirs.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def measured(optimizer, x, rows):
    """(ratio, λ) after a step with each pair of losses."""
    found = []
    for losses in rows:
        x.grad = torch.ones_like(x)
        optimizer.first_step()
        x.grad = torch.ones_like(x)
        optimizer.second_step(*(torch.tensor(loss).to(x) for loss in losses))
        found.append((optimizer.ratio.item(), optimizer.lam.item()))
    return found


@pytest.mark.parametrize("lost", [0.0, math.nan])
@pytest.mark.parametrize("rule", [TrendPower(), DeadBand(), Share()])
def test_lambda_begins_with_the_first_sharpness_that_there_is(rule, lost):
    """A batch without a loss at the start is nothing that the next could be compared with."""
    rows = [(1.0, 1.5), (1.0, 1.4), (1.2, 1.8)]
    x = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    options = {"lr": 0.0, "rule": rule, "beta": 0.9, "second_pass": EveryStep()}
    late, usual = SAMAR([x], **options), SAMAR([x], **options)
    before = measured(late, x, [(lost, lost)] * 3)
    if not rule.needs_loss:
        assert {lam for _, lam in before} == {1.0}
    expected = measured(usual, x, rows)
    resumed = SAMAR([x], lr=0.0, second_pass=EveryStep())
    resumed.load_state_dict(late.state_dict())
    for optimizer in (late, resumed):
        (first, begun), *later = measured(optimizer, x, rows)
        assert first == 1.0
        assert begun == pytest.approx(expected[0][1])
        for (ratio, lam), (known, usual_lam) in zip(later, expected[1:], strict=True):
            assert ratio == pytest.approx(known, rel=0.2)
            assert lam == pytest.approx(usual_lam, rel=0.2)


def test_a_slow_reference_is_the_plain_mean_until_its_memory_is_full():
    x = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer = SAMAR([x], lr=0.1, rule=TrendPower(gain=1.0, memory=3.0), lam_max=100.0, beta=0.0)
    ratios = []
    for sharpness in (1.0, 3.0, math.nan, 5.0, 6.0, 6.0):
        ((ratio, _),) = measured(optimizer, x, [(0.0, sharpness)])
        ratios.append(ratio)
    # Means 1, 2, 7/3, the missing sharpness counting as the one before; then by a third.
    assert ratios[1:] == pytest.approx([3.0, 3 / 2, 15 / 7, 6 / (29 / 9), 6 / (112 / 27)])


def test_noise_alone_moves_the_power_against_the_trend_nowhere():
    """A flat, noisy sharpness drives a dead band with unequal steps to its ceiling, not this."""
    noise = torch.exp(0.25 * torch.randn(4000, generator=torch.Generator().manual_seed(0)))
    ends = {}
    for rule in (Trend(tau=0.05, up=1.05, down=1.02), TrendPower(gain=0.2)):
        x = nn.Parameter(torch.tensor(2.0))
        optimizer = SAMAR([x], lr=0.0, rule=rule, beta=0.9, lam=1.0, lam_min=0.0, lam_max=20.0)
        for sharpness in noise:
            measured(optimizer, x, [(0.0, float(sharpness))])
        ends[rule.name] = float(optimizer.lam)
    assert ends["trend"] == 20.0
    assert 0.3 < ends["trend_power"] < 3.0


@pytest.mark.parametrize("rule", [TrendPower(), Share()])
@pytest.mark.parametrize("before", [0, 3])
def test_steps_without_a_radius_are_no_measurement(rule, before):
    """λ goes on from what was measured at the radius before, or begins with the first there is."""
    x = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def rows(radii):
        optimizer = SAMAR([x], lr=0.0, rule=rule, lam=1.5, second_pass=EveryStep())
        found = []
        for rho in radii:
            optimizer.param_groups[0]["rho"] = rho

            closure = closure_of(optimizer, lambda: 1 + x.square())

            held = optimizer.lam
            optimizer.step(closure)
            if rho:
                found += [optimizer.ratio.item(), optimizer.lam.item()]
            else:
                assert optimizer.sharpness == 0
                assert torch.equal(optimizer.lam, held)
                state = optimizer.state_dict()
                optimizer = SAMAR([x], lr=0.0)
                optimizer.load_state_dict(state)  # which knows that too
        return found

    radii = [0.1] * before, [0.0] * 4, [0.1, 0.12, 0.11, 0.1]
    expected = rows([*radii[0], *radii[2]])
    assert rows([*radii[0], *radii[1], *radii[2]]) == pytest.approx(expected, nan_ok=True)
    assert max(expected[1::2]) < 3


def test_rule_beta_and_bounds_change_between_steps(make_problem):
    problem = make_problem()
    optimizer = problem.optimizer("samar", rule=Fixed(), lam=1.0)
    problem.run(optimizer, range(2))
    kept = optimizer.lam
    optimizer.set_bounds(1.5, 2.0)
    assert float(optimizer.lam) == 1.5
    assert float(kept) == 1.0  # values recorded earlier are not written to
    optimizer.rule = Additive(delta=0.25)
    optimizer.beta = 0.5
    problem.run(optimizer, range(2, 3))
    assert float(optimizer.lam) in (1.5, 1.75)
    optimizer.set_bounds(1.0, 1.0)
    problem.run(optimizer, range(3, 6))
    assert float(optimizer.lam) == 1.0


def test_the_rule_and_its_constants_are_restored(make_problem):
    problem = make_problem()
    saved = problem.optimizer("samar", rule=Trend(memory=7.0), lam_min=0.5, lam_max=2.0, beta=0.25)
    other = problem.optimizer("samar", rule=Fixed())
    other.load_state_dict(saved.state_dict())
    assert other.rule == Trend(memory=7.0)
    assert (other.lam_min, other.lam_max, other.beta) == (0.5, 2.0, 0.25)


def test_a_rule_of_ones_own(make_problem):
    class Halve(LambdaRule):
        name = "halve"

        def update(self, lam, ratio, share):
            return lam * 0.5

    problem = make_problem()
    optimizer = problem.optimizer("samar", rule=Halve(), lam_min=0.0, second_pass=EveryStep())
    problem.run(optimizer, range(3))
    assert float(optimizer.lam) == 0.25  # there is no ratio before the second step
    again = problem.optimizer("samar", rule=Halve(), lam_min=0.0)
    again.load_state_dict(optimizer.state_dict())
    assert float(again.lam) == 0.25
    other = problem.optimizer("samar", lr=0.5, second_pass=EveryStep())
    before = deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="saved with the λ rule 'halve', which is not built in"):
        other.load_state_dict(optimizer.state_dict())
    assert repr(other.state_dict()) == repr(before)


def test_exact_sharpness_needs_both_losses_and_first_order_none(make_problem):
    problem = make_problem()
    before = [p.detach().clone() for p in problem.model.parameters()]
    for form in ("exact", "first_order"):
        optimizer = problem.optimizer("samar", sharpness=form, rule=TrendPower())
        closure = problem.closure(optimizer, 0)
        closure()
        optimizer.first_step()
        perturbed_loss = closure()
        if form == "exact":
            with pytest.raises(ValueError, match=r"needs both losses; call second_step\(loss"):
                optimizer.second_step(perturbed_loss=perturbed_loss)
            for p, b in zip(problem.model.parameters(), before, strict=True):
                assert torch.equal(p, b)
        else:
            optimizer.second_step()
            assert float(optimizer.sharpness) == pytest.approx(0.1 * float(optimizer.grad_norm))
            assert optimizer.loss.isnan()


def linear_steps(
    optimizer: torch.optim.Optimizer, model: nn.Module, count: int
) -> list[tuple[float, float]]:
    """(λ, ratio) of some steps on batches of different scale, of SAMAR."""
    rows = []
    for k in range(count):
        x = torch.linspace(-1, 1, 12).reshape(6, 2) * SCALES[k % len(SCALES)]

        closure = closure_of(optimizer, lambda x=x: (model(x) - 1).square().mean())

        optimizer.step(closure)
        if isinstance(optimizer, SAMAR):
            rows.append((optimizer.lam_used.item(), optimizer.ratio.item()))
    return rows


def test_held_lambda_is_exactly_that_and_the_ratio_is_measured_on() -> None:
    model = nn.Linear(2, 1)
    optimizer = SAMAR(model.parameters(), lr=0.05, rho=0.3, lam_min=0.5, lam_max=3.0)
    linear_steps(optimizer, model, 3)
    for value in (0.0, 1.0, 7.0):  # inside the bounds or not
        optimizer.hold(value)
        optimizer.set_bounds(0.5, 3.0)
        rows = linear_steps(optimizer, model, 3)
        assert [lam for lam, _ in rows] == [value] * 3
        assert all(math.isfinite(ratio) for _, ratio in rows)
    optimizer.hold(None)
    assert optimizer.held is None
    rows = linear_steps(optimizer, model, 4)
    assert rows[0][0] == 3.0  # goes on from 7, moved into the bounds
    assert len({lam for lam, _ in rows}) > 1
    with pytest.raises(ValueError, match="lam must be finite and at least 0"):
        optimizer.hold(-1)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_held_at_0_it_is_sgd_and_at_1_it_is_sam(value: float) -> None:
    from samar.optim.sam import SAM

    torch.manual_seed(1)
    ours, theirs = nn.Linear(2, 1), nn.Linear(2, 1)
    theirs.load_state_dict(ours.state_dict())
    optimizer = SAMAR(ours.parameters(), lr=0.05, momentum=0.9, rho=0.3)
    optimizer.hold(value)
    kind = torch.optim.SGD if value == 0 else SAM
    own = {"rho": 0.3} if value else {}
    reference = kind(theirs.parameters(), lr=0.05, momentum=0.9, **own)
    linear_steps(optimizer, ours, 6)
    linear_steps(reference, theirs, 6)
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("policy", [None, EveryStep()])
def test_at_0_a_second_gradient_that_is_not_finite_has_no_part(policy) -> None:
    def steps(build) -> torch.Tensor:
        x, lone = nn.Parameter(torch.tensor([0.05])), nn.Parameter(torch.ones(1))
        optimizer = build([x, lone])
        for _ in range(2):

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = -x.sqrt().sum()
                if not x > 0:  # in the second pass only
                    loss = loss + lone.sum()
                loss.backward()
                return loss

            optimizer.step(closure)
        return torch.cat([x.detach(), lone.detach()])

    def samar(params) -> SAMAR:
        optimizer = SAMAR(params, lr=0.001, weight_decay=0.1, rho=0.1, second_pass=policy)
        optimizer.hold(0.0)
        return optimizer

    expected = steps(lambda params: torch.optim.SGD(params, lr=0.001, weight_decay=0.1))
    assert torch.equal(steps(samar), expected)
