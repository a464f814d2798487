"""When the second gradient is taken: each policy by hand, exact skips, memory, late readings."""

import math

import pytest
import torch
from torch import nn

from samar.device.waiting import LAG, HostReading
from samar.optim.catalog import SECOND_PASSES
from samar.optim.rules import Fixed, Share
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import (
    MEASURE,
    SECOND_PASS_TYPES,
    SKIP,
    TAKE,
    Dither,
    EveryStep,
    Late,
    Moment,
    SecondPass,
    Threshold,
    build_second_pass,
)
from samar.optim.validation import CONSTANTS
from samar.optim.vasso import VaSSO
from tests.optim.steps import NEVER, EveryNth


def decisions(policy, steps, *, lam=None, norm=None):
    """What a policy decides over a number of steps; λ and the norm are functions of the step."""
    memory, measured, found = {}, 0, []
    for step in range(steps):
        moment = Moment(
            step,
            step / steps,
            1.0 if lam is None else lam(step),
            measured,
            lambda step=step: 1.0 if norm is None else norm(step),
        )
        found.append(policy.decide(moment, memory))
        measured += found[-1] != SKIP
        assert all(type(value) is float for value in memory.values())
    return found


@pytest.mark.parametrize("strength", [1.0, 3.0])
@pytest.mark.parametrize("lam", [0.1, 0.3, 0.5, 0.77])
def test_dithering_takes_lambda_in_the_sum(lam, strength):
    policy = Dither(strength=strength, longest=1e5)
    found = decisions(policy, 3000, lam=lambda step: lam)
    assert found[0] in (TAKE, MEASURE)
    assert MEASURE not in found[1:]
    weight = float(policy.weight(torch.tensor(lam)))
    assert weight == pytest.approx(max(lam, strength))
    assert abs(found.count(TAKE) * weight - 3000 * lam) <= strength
    # And evenly: no stretch of steps is far from its share.
    for begin in range(0, 2900, 100):
        stretch = found[begin : begin + 100].count(TAKE)
        assert abs(stretch - 100 * lam / strength) <= 1 + 1e-9


def test_dithering_at_the_edges():
    always = decisions(Dither(strength=1.0), 50, lam=lambda step: 1.0)
    assert always == [TAKE] * 50
    assert decisions(Dither(strength=2.0), 50, lam=lambda step: 2.5) == [TAKE] * 50
    never = decisions(Dither(longest=10), 41, lam=lambda step: 0.0)
    assert [step for step, each in enumerate(never) if each == MEASURE] == [0, 10, 20, 30, 40]
    assert TAKE not in never
    assert float(Dither(strength=2.0).weight(torch.tensor(2.5))) == 2.5
    # λ goes to 0 just when a second gradient was due: it is never taken late.
    late = decisions(Dither(longest=1e5), 30, lam=lambda step: 0.9 if step < 5 else 0.0)
    assert TAKE not in late[5:]


@pytest.mark.parametrize("kind", [SAM, VaSSO, SAMAR])
def test_without_a_second_gradient_it_is_the_base_optimizer_bit_for_bit(
    kind, make_problem, assert_same
):
    ours, plain = make_problem(dropout=0.3), make_problem(dropout=0.3)
    torch.manual_seed(5)
    sgd = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    optimizer = kind(ours.model.parameters(), rho=0.5, second_pass=NEVER, model=ours.model, **sgd)
    ours.run(optimizer, range(10))
    torch.manual_seed(5)
    plain.run(torch.optim.SGD(plain.model.parameters(), **sgd), range(10))
    assert_same(ours, plain)
    assert optimizer.gradients == 1
    assert optimizer.perturbed_loss.isnan()
    assert optimizer.sharpness.isnan()
    norm = torch.cat([p.grad.flatten() for p in ours.model.parameters()]).norm()
    assert float(optimizer.grad_norm) == pytest.approx(float(norm), rel=1e-5)


def test_a_lambda_of_0_is_the_base_optimizer_also_where_it_is_measured(make_problem, assert_same):
    ours, plain = make_problem(), make_problem()
    optimizer = ours.optimizer(
        "samar", lam=0.0, lam_min=0.0, lam_max=0.0, second_pass=Dither(longest=3)
    )
    passes = []
    for k in range(10):
        ours.run(optimizer, range(k, k + 1))
        passes.append(optimizer.gradients)
    plain.run(plain.optimizer("sgd"), range(10))
    assert_same(ours, plain)
    assert passes == [2, 1, 1, 2, 1, 1, 2, 1, 1, 2]


def test_a_lambda_of_1_is_sam_also_by_chance(make_problem, assert_same):
    ours, sam = make_problem(), make_problem()
    ours.run(
        ours.optimizer("samar", lam=1.0, rule=Fixed(), second_pass=Dither(strength=1.0)), range(10)
    )
    sam.run(sam.optimizer("sam"), range(10))
    assert_same(ours, sam)


def test_late_sam_is_sgd_and_then_sam_with_its_momentum(make_problem, assert_same):
    ours, parts = make_problem(), make_problem()
    optimizer = ours.optimizer("sam", second_pass=Late(begin=0.5))
    for k in range(12):
        optimizer.progress = k / 12
        ours.run(optimizer, range(k, k + 1))
    sgd = parts.optimizer("sgd")
    parts.run(sgd, range(6))
    sam = parts.optimizer("sam")
    sam.base.state.update(sgd.state)
    parts.run(sam, range(6, 12))
    assert_same(ours, parts)


def reference_run(problem, steps, decide, mix, lr=0.05, momentum=0.9, decay=1e-3, rho=0.1):
    """SGD with a second gradient where `decide` says, written down anew; returns what was spent."""
    model = problem.model
    names = [name for name, _ in model.named_parameters()]
    velocity, spent = {}, []

    def gradient(k, frozen):
        x, y = problem.x[k % len(problem.x)], problem.y[k % len(problem.y)]
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        loss = nn.functional.cross_entropy(model(x), y)
        grads = torch.autograd.grad(loss, list(model.parameters()))
        if frozen:
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
        return loss.item(), dict(zip(names, grads, strict=True))

    for k in range(steps):
        loss, g = gradient(k, frozen=False)
        norm = math.sqrt(sum(float((value**2).sum()) for value in g.values()))
        d, weight = g, decide(k, norm)
        if weight is not None:
            with torch.no_grad():
                old = {name: p.clone() for name, p in model.named_parameters()}
                for name, p in model.named_parameters():
                    p += rho * g[name] / norm
            worse, up = gradient(k, frozen=True)
            with torch.no_grad():
                for name, p in model.named_parameters():
                    p.copy_(old[name])
            d = {name: (1 - weight) * g[name] + weight * up[name] for name in names}
            mix(loss, worse)
        spent.append(1 + (weight is not None))
        with torch.no_grad():
            for name, p in model.named_parameters():
                v = d[name] + decay * p
                velocity[name] = momentum * velocity[name] + v if name in velocity else v
                p -= lr * velocity[name]
    return spent


def same(ours, theirs):
    for a, b in zip(ours.tensors(), theirs.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_ae_sam_agrees_with_an_implementation_of_its_own(make_problem):
    steps, ours, theirs = 40, make_problem(torch.float64), make_problem(torch.float64)
    optimizer = ours.optimizer("sam", second_pass=Threshold())
    passes = []
    for k in range(steps):
        optimizer.progress = k / steps
        ours.run(optimizer, range(k, k + 1))
        passes.append(optimizer.gradients)
    seen = {}

    def decide(k, norm):
        seen["m"] = 0.9 * seen.get("m", norm**2) + 0.1 * norm**2
        seen["v"] = 0.9 * seen.get("v", 0.0) + 0.1 * (norm**2 - seen["m"]) ** 2
        bound = seen["m"] + (1 - 2 * k / steps) * math.sqrt(seen["v"])
        return 1.0 if norm**2 >= bound else None

    spent = reference_run(theirs, steps, decide, lambda loss, worse: None)
    assert passes == spent
    assert {1, 2} == set(spent)
    same(ours, theirs)


@pytest.mark.parametrize(("scale", "strength"), [(1.0, 1.0), (4.0, 3.0), (12.0, 1.0)])
def test_the_default_samar_agrees_with_an_implementation_of_its_own(make_problem, scale, strength):
    """Share and dithering in plain floats: the same steps measured, λ and weights."""
    steps, beta, low, high = 60, 0.9, 0.05, 4.0
    ours, theirs = make_problem(torch.float64), make_problem(torch.float64)
    optimizer = ours.optimizer(
        "samar",
        rule=Share(scale=scale),
        second_pass=Dither(strength=strength, longest=7),
        lam=0.2,
        lam_min=low,
        lam_max=high,
        beta=beta,
    )
    rows = []
    for k in range(steps):
        ours.run(optimizer, range(k, k + 1))
        rows.append((optimizer.gradients, optimizer.lam_used.item(), optimizer.ratio.item()))
    state = {"lam": 0.2, "due": 0.5, "since": 0, "s": None, "f": None}
    lams = []

    def decide(k, norm):
        lam = state["lam"]
        lams.append(lam)
        before = state["due"]
        state["due"] += min(lam / strength, 1.0)
        state["since"] += 1
        if state["due"] >= 1.0 - 1e-9:
            state["due"] -= 1.0
            state["since"] = 0
            return max(lam, strength)
        if k == 0 or state["since"] >= 7:
            state["due"], state["since"] = before, 0
            return lam
        return None

    def mix(loss, worse):
        size = abs(worse - loss)
        new = state["s"] is None
        state["s"] = size if new else beta * state["s"] + (1 - beta) * size
        state["f"] = loss if new else beta * state["f"] + (1 - beta) * loss
        lam = scale * state["s"] / (state["s"] + state["f"])
        state["lam"] = min(max(lam, low), high)

    spent = reference_run(theirs, steps, decide, mix)
    assert [row[0] for row in rows] == spent
    assert [row[1] for row in rows] == pytest.approx(lams, rel=1e-10)
    same(ours, theirs)
    if scale < 12:
        assert 1.05 * steps < sum(spent) < 1.95 * steps


def test_a_skipped_step_carries_lambda_and_ratio(make_problem):
    problem = make_problem()
    optimizer = problem.optimizer("samar", second_pass=EveryNth(4))
    seen = []
    for k in range(9):
        problem.run(optimizer, range(k, k + 1))
        seen.append((optimizer.gradients, optimizer.lam_used.item(), optimizer.ratio.item()))
    assert [row[0] for row in seen] == [2, 1, 1, 1, 2, 1, 1, 1, 2]
    assert seen[5][1:] == seen[6][1:] == seen[7][1:]
    assert seen[5][2] == seen[4][2]  # the ratio of the last step that measured
    assert seen[5][1] == seen[8][1]  # nothing moved λ before the step that measured next
    assert seen[4][1] != seen[5][1]


@pytest.mark.parametrize("name", SECOND_PASS_TYPES)
def test_resuming_is_exact_with_every_policy(name, make_problem, assert_same):
    straight, first, second = make_problem(), make_problem(), make_problem()
    policy = build_second_pass(name)

    def drive(problem, optimizer, steps):
        for k in steps:
            optimizer.progress = k / 20
            problem.run(optimizer, range(k, k + 1))

    one = straight.optimizer("samar", second_pass=policy)
    drive(straight, one, range(20))
    interrupted = first.optimizer("samar", second_pass=policy)
    drive(first, interrupted, range(9))
    second.model.load_state_dict(first.model.state_dict())
    resumed = second.optimizer("samar")
    resumed.load_state_dict(interrupted.state_dict())
    assert resumed.second_pass == policy
    drive(second, resumed, range(9, 20))
    assert_same(straight, second)
    assert torch.equal(one.lam, resumed.lam)


def test_changes_by_hand_are_obeyed_at_the_next_step(make_problem):
    problem = make_problem()
    optimizer = problem.optimizer("samar", lam=0.3, second_pass=Dither(longest=1000))
    problem.run(optimizer, range(3))
    optimizer.set_bounds(0.0, 0.0)
    for k in range(3, 20):
        problem.run(optimizer, range(k, k + 1))
        assert optimizer.gradients == 1
    optimizer.set_bounds(0.0, 20.0)
    optimizer.hold(1.0)
    for k in range(20, 25):
        problem.run(optimizer, range(k, k + 1))
        assert optimizer.gradients == 2
    optimizer.second_pass = NEVER
    problem.run(optimizer, range(25, 26))
    assert optimizer.gradients == 1


class Event:
    """Of a device that is always done."""

    def __init__(self, device):
        assert device == "cuda"

    def record(self, stream):
        assert stream == "its own"

    def synchronize(self):
        pass


class Elsewhere:
    """A tensor as it looks on another device: its value comes when it is copied."""

    device = torch.device("cuda")

    def __init__(self, value):
        self.value = value

    def to(self, device, *, non_blocking):
        assert device == "cpu"
        assert non_blocking
        return torch.tensor(self.value)


def test_values_from_a_device_come_a_fixed_number_of_steps_late(monkeypatch):
    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "its own")
    reading = HostReading(-1.0)
    seen = []
    for step in range(30):
        reading.advance(step)
        seen.append(reading.value)
        if step % 2 == 0:
            reading.put(Elsewhere(float(step)), step)
    assert seen[LAG - 1] == -1.0
    assert [seen[step] for step in range(LAG, 30, 2)] == [
        float(step - LAG) for step in range(LAG, 30, 2)
    ]
    again = HostReading(0.0)
    again.load(reading.save())
    for step in range(30, 40):
        reading.advance(step)
        again.advance(step)
        assert again.value == reading.value


def test_errors_and_constants():
    for name, info in SECOND_PASSES.items():
        for constant in info.constants:
            known = CONSTANTS[constant]
            for bad in (known.low - 1, known.high + 1, math.nan):
                with pytest.raises(ValueError, match=f"{name}.{constant} must be finite and"):
                    build_second_pass(name, **{constant: bad})
    with pytest.raises(ValueError, match="unknown policy 'magic' of the second gradient; choose"):
        build_second_pass("magic")
    with pytest.raises(TypeError, match="second_pass must be a SecondPass, got 'late'; build"):
        SAM([nn.Parameter(torch.ones(1))], lr=0.1, second_pass="late")
    with pytest.raises(ValueError, match="second_pass 'dither' goes by λ, which SAM"):
        SAM([nn.Parameter(torch.ones(1))], lr=0.1, second_pass=Dither())
    optimizer = VaSSO([nn.Parameter(torch.ones(1))], lr=0.1)
    with pytest.raises(ValueError, match="VaSSO does not have; choose another, or SAMAR"):
        optimizer.second_pass = Dither()
    assert optimizer.second_pass == EveryStep()


def test_a_policy_of_ones_own_comes_back(make_problem):
    class Mine(SecondPass):
        name = "mine"

        def decide(self, moment, memory):
            return TAKE

    problem = make_problem()
    state = problem.optimizer("sam", second_pass=Mine()).state_dict()
    other = problem.optimizer("sam", second_pass=Mine())
    other.load_state_dict(state)
    assert type(other.second_pass) is Mine
    with pytest.raises(ValueError, match="saved with the policy 'mine', which is not built in"):
        problem.optimizer("sam").load_state_dict(state)
