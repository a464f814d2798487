"""A loop that is watched takes the same steps bit for bit, whatever happens to samar."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from streamlit.testing.v1 import AppTest
from torch import Tensor, nn

import samar
from samar.errors import ConfigError, RunError
from samar.home import SHIPPED, home
from samar.jobs.job import Job, job_dir
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.watch import WatchSettings
from samar.landscapes.result import Landscape
from samar.script import recorder
from samar.script import watch as module
from samar.script.looks import FIRST_IMAGES, Looks

Loop = Callable[[Any], Iterator[Tensor]]


class Network(nn.Module):
    """With all that has a state of its own: BatchNorm, dropout, attention, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.block = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.1, batch_first=True)
        self.last = nn.Linear(8, 3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        out: Tensor = self.last(self.block(self.first(x)[:, None])[:, 0])
        return out


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(64, 6, generator=generator), torch.randint(3, (64,), generator=generator)


def batches(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    x, y = data()
    for _ in range(steps):
        chosen = torch.randperm(64)[:16]  # from the global generator
        yield x[chosen], y[chosen]


def plain(network: nn.Module, optimizer: Any, told: Callable[[Tensor | None], None]) -> None:
    """SGD with a schedule, clipping, and two micro-batches a step."""
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    for step, (x, y) in enumerate(batches(12)):
        loss = F.cross_entropy(network(x), y) / 2
        loss.backward()
        if step % 2:
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            schedule.step()
            told(loss)
            optimizer.zero_grad()


def mixed(network: nn.Module, optimizer: Any, told: Callable[[Tensor | None], None]) -> None:
    """bf16 autocast."""
    for x, y in batches(6):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        told(loss)


def twice(network: nn.Module, optimizer: Any, told: Callable[[Tensor | None], None]) -> None:
    """A closure, called twice."""
    for x, y in batches(6):

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
        told(None)


def sgd(network: nn.Module) -> Any:
    return torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)


def adamw(network: nn.Module) -> Any:
    return torch.optim.AdamW(network.parameters(), lr=0.01)


def around_adamw(network: nn.Module) -> Any:
    return samar.SAMAR(network.parameters(), torch.optim.AdamW, lr=0.01, model=network)


LOOPS = {"plain": (plain, sgd), "bf16": (mixed, adamw), "two passes": (twice, around_adamw)}


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch, samar_home: Path) -> None:
    """Look after every step."""
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", -1.0)

    def look(self: Looks) -> None:
        for each in self._measurements:
            self._take(each, self._first)

    monkeypatch.setattr(Looks, "perhaps", look)


def state_of(network: nn.Module, optimizer: Any) -> list[Tensor]:
    kept = [torch.get_rng_state(), *network.state_dict().values()]
    for each in (optimizer, getattr(optimizer, "base", optimizer)):
        kept += [v for s in each.state.values() for v in s.values() if isinstance(v, Tensor)]
    return kept


def trained(loop: Any, build: Any, told: Any = lambda loss: None) -> list[Tensor]:
    torch.manual_seed(1)
    network = Network()
    optimizer = build(network)
    loop(network, optimizer, told)
    return state_of(network, optimizer)


def watched(loop: Any, build: Any, **asked: Any) -> tuple[list[Tensor], Job | None]:
    torch.manual_seed(1)
    network = Network()
    optimizer = build(network)
    asked = {"sample": data(), "quiet": True, **asked}
    with samar.watch(network, optimizer, **asked) as run:
        loop(network, optimizer, run.step)
    return state_of(network, optimizer), Jobs().get(run.id) if run.id else None


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", LOOPS)
def test_watching_changes_no_bit(name: str) -> None:
    loop, build = LOOPS[name]
    expected = trained(loop, build)
    found, job = watched(loop, build, looks=1.0)
    assert job is not None
    assert job.status == "finished", job.message
    looks = Store().records.artifacts(job.key, "film_plane")
    assert len(looks) > 3, "it did look"
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        assert torch.equal(mine, other)


class Drawing(nn.Module):
    """Draws from every random state there is, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        factor = random.random() + np.random.rand() + torch.rand(()).item()
        out: Tensor = self.last(x) * factor
        return out


@pytest.mark.usefixtures("eager")
def test_looks_leave_every_random_state_as_it_was() -> None:
    found = []
    for looks in (None, 1.0):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        network = Drawing()
        if looks is None:
            plain(network, sgd(network), lambda loss: None)
        else:
            with samar.watch(network, sgd(network), sample=data(), looks=looks, quiet=True) as run:
                plain(network, sgd(network), run.step)
        found.append(network.last.weight)
    assert torch.equal(*found)
    (job,) = Jobs().all("watch")
    assert len(Store().records.artifacts(job.key, "film_plane")) > 3, "it did look"


@pytest.mark.usefixtures("eager")
def test_a_graph_from_before_a_look_goes_backward() -> None:
    """As in a GAN, whose generator's graph is held while the discriminator steps."""
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = sgd(network[2])
    with samar.watch(network, optimizer, sample=data(), looks=1.0, quiet=True) as run:
        for x, y in batches(4):
            loss = F.cross_entropy(network(x), y)
            run.step(loss)
            loss.backward()
            optimizer.step()
    job = Jobs().get(str(run.id))
    assert len(Store().records.artifacts(job.key, "film_plane")) > 3, "it did look"


def compiled(network: nn.Module) -> nn.Module:
    return torch.compile(network, backend="eager")  # type: ignore[return-value]


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("wrap", [compiled, nn.DataParallel, nn.parallel.DistributedDataParallel])
def test_wrapped_networks(wrap: Any, alone: None) -> None:
    states = []
    for looks in (None, 1.0):
        torch.manual_seed(1)
        network = Network()
        wrapped, optimizer = wrap(network), sgd(network)
        if looks is None:
            plain(wrapped, optimizer, lambda loss: None)
        else:
            with samar.watch(wrapped, optimizer, sample=data(), looks=looks, quiet=True) as run:
                plain(wrapped, optimizer, run.step)
            (job,) = Jobs().all("watch")
            assert len(Store().records.artifacts(job.key, "film_plane")) > 3
            assert job.settings.network == "Network"
        states.append(state_of(network, optimizer))
    assert all(map(torch.equal, *states))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process, which DistributedDataParallel needs."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("eager")
def test_what_is_recorded_is_what_happened() -> None:
    seen: list[float] = []

    def noting(network: Any, optimizer: Any, told: Any) -> None:
        def both(loss: Tensor | None) -> None:
            told(loss)
            seen.append(optimizer.loss.item() if loss is None else loss.item())
            lams.append(float(getattr(optimizer, "lam_used", float("nan"))))

        twice(network, optimizer, both)

    lams: list[float] = []
    _, job = watched(noting, around_adamw, name="mine", steps=6)
    assert job is not None
    steps = Store().records.steps(job.key)
    assert steps["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert steps["loss"].tolist() == pytest.approx(seen)
    assert steps["lam"].tolist() == pytest.approx(lams)
    assert steps["lr"].tolist() == [0.01] * 6
    assert (job.title, job.done, job.total) == ("mine", 6, 6)
    settings = job.settings
    assert (settings.optimizer, settings.base, settings.network) == ("samar", "AdamW", "Network")
    assert settings.optimizer_title == "SAMAR around AdamW"
    events = Store().records.events(job.key)
    curvature = [event for event in events if event.kind == "curvature"]
    kept = Store().records.artifacts(job.key, "film_plane")
    assert [each.step for each in kept] == sorted({event.step for event in curvature})
    plane = Landscape.load(job_dir(job.id) / kept[0].path)
    assert plane.manifest["images"] == FIRST_IMAGES, "a first look is quick"


def test_the_gradient_of_a_plain_optimizer_is_measured(samar_home: Path) -> None:
    norms: list[float] = []

    def noting(network: Any, optimizer: Any, told: Any) -> None:
        def both(loss: Tensor | None) -> None:
            grads = [p.grad.flatten() for p in network.parameters()]
            norms.append(torch.cat(grads).norm().item())
            optimizer.zero_grad()
            told(loss)

        plain(network, optimizer, both)

    _, job = watched(noting, sgd, sample=None)
    assert job is not None
    steps = Store().records.steps(job.key)
    assert steps["grad_norm"].tolist() == pytest.approx(norms, rel=1e-5)
    assert steps["lr"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.05][: len(norms)])
    assert not Store().records.artifacts(job.key)


def test_the_gradient_is_that_of_what_the_optimizer_steps(samar_home: Path) -> None:
    network = Network()
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)  # left by another optimizer
    optimizer = sgd(network.last)
    with samar.watch(network, optimizer, quiet=True) as run:
        for tensor in network.last.parameters():
            tensor.grad = torch.ones_like(tensor)
        optimizer.step()
        run.step(1.0)
    steps = Store().records.steps(Jobs().get(str(run.id)).key)
    assert steps["grad_norm"].tolist() == pytest.approx([27**0.5])


def test_two_passes_by_hand_have_the_rate_that_they_used(samar_home: Path) -> None:
    network = nn.Linear(6, 3)
    optimizer = samar.SAM(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    with samar.watch(network, optimizer, quiet=True) as run:
        for x, y in batches(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            optimizer.first_step()
            perturbed = F.cross_entropy(network(x), y)
            perturbed.backward()
            optimizer.second_step(loss, perturbed)
            schedule.step()
            run.step()
    steps = Store().records.steps(Jobs().get(str(run.id)).key)
    assert steps["lr"].tolist() == pytest.approx([0.1, 0.01, 0.001])
    assert np.isfinite(steps["grad_norm"]).all()


def test_every_gradient_of_lbfgs_counts(samar_home: Path) -> None:
    network = nn.Linear(6, 3)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=5)
    counts, taken = [], 0

    def closure() -> Tensor:
        nonlocal taken
        taken += 1
        optimizer.zero_grad()
        loss = F.cross_entropy(network(data()[0]), data()[1])
        loss.backward()
        return loss

    optimizer.step(closure)
    before = taken
    with samar.watch(network, optimizer, quiet=True) as run:
        for _ in range(3):
            run.step(optimizer.step(closure))
            counts.append(taken - before)
    steps = Store().records.steps(Jobs().get(str(run.id)).key)
    assert steps["grad_evals"].tolist() == counts
    assert counts[0] > 1


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "asked",
    [
        {"sample": data(), "loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
        {"sample": {"x": data()[0]}, "forward": lambda net, batch: net(batch["x"]).square().mean()},
        {"sample": [data(), data()]},
    ],
)
def test_any_loss_and_batch(asked: dict[str, Any]) -> None:
    _, job = watched(plain, sgd, **asked)
    assert job is not None
    assert Store().records.artifacts(job.key, "film_plane")
    assert any(event.kind == "curvature" for event in Store().records.events(job.key))


@pytest.mark.usefixtures("eager")
def test_a_network_of_two_parameters_is_measured(samar_home: Path) -> None:
    network = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    inputs = torch.linspace(-1, 1, 8)[:, None]
    with samar.watch(network, optimizer, sample=(inputs, 2 * inputs), loss=F.mse_loss) as run:
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.mse_loss(network(inputs), 2 * inputs)
            loss.backward()
            optimizer.step()
            run.step(loss)
    found = [e for e in Store().records.events(Jobs().get(run.id).key) if e.kind == "curvature"]
    assert found
    assert {len(event.detail["values"]) for event in found} == {2}


@pytest.mark.usefixtures("eager")
def test_why_a_look_could_not_be_taken_is_said(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ConfigError("There are no axes here.")

    monkeypatch.setattr("samar.training.measurements.random_frame", refuse)
    _, job = watched(plain, sgd)
    assert job is not None
    told = Jobs().get(job.id).summary["measurements"]
    assert told["film"]["reason"] == "There are no axes here."
    assert told["curvature"]["reason"] == ""


@pytest.mark.usefixtures("eager")
def test_a_look_that_fails_is_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[None] = []

    def forward(network: Any, batch: Any) -> Tensor:
        looked.append(None)
        if len(looked) > 4:
            raise ValueError("no such layer")
        return network(batch).mean()

    expected = trained(plain, sgd)
    with pytest.warns(RuntimeWarning, match="no such layer") as told:
        found, job = watched(plain, sgd, sample=data()[0], forward=forward)
    assert len([each for each in told if "samar" in str(each.message)]) == 1
    assert all(map(torch.equal, found, expected))
    assert job is not None
    assert job.status == "finished"
    assert len(looked) == 5, "what fails is not tried again"
    assert len(Store().records.steps(job.key)["step"]) == 6


def test_the_app_says_why_there_is_no_landscape_yet(samar_home: Path) -> None:
    _, job = watched(plain, sgd, sample=None)
    assert job is not None
    assert "Not asked for: samar.watch(…, sample" in job.summary["measurements"]["film"]["reason"]
    reasons: list[str] = []

    def noting(network: Any, optimizer: Any, told: Any) -> None:
        (job,) = (j for j in Jobs().all("watch") if j.active)
        time.sleep(1.0)
        due = Jobs().get(job.id).summary["measurements"]
        reasons.extend(due[kind]["reason"] for kind in ("film", "curvature"))
        plain(network, optimizer, told)

    _, job = watched(noting, sgd)
    assert all("of training: it takes" in each for each in reasons)
    assert job is not None
    ends = job.summary["measurements"]
    assert [ends[kind]["reason"] for kind in ("film", "curvature")] == ["", ""], "a last look"


def warned(match: str, act: Callable[[samar.WatchedRun], None], **asked: Any) -> Job | None:
    """The job of a run that does something wrong, of which one warning tells."""
    runs = []

    def whole() -> None:
        network = Network()
        with samar.watch(network, sgd(network), quiet=True, **asked) as run:
            act(run)
        runs.append(run)

    with pytest.warns(RuntimeWarning, match=match) as told:
        whole()
    assert len([each for each in told if "samar" in str(each.message)]) == 1
    return Jobs().get(runs[0].id) if runs[0].id else None


def test_a_loss_that_is_no_number_is_left_out_alone(samar_home: Path) -> None:
    def wrong(run: Any) -> None:
        for value in (torch.tensor(1.0), torch.ones(2), "word", 3.0, torch.tensor(2.0).double()):
            run.step(value)

    job = warned(r"of shape \(2,\); it is not recorded: give one", wrong)
    assert job is not None
    losses = Store().records.steps(job.key)["loss"].tolist()
    assert losses == pytest.approx([1, float("nan"), float("nan"), 3, 2], nan_ok=True)


def told_of(act: Callable[[Any], object], network: nn.Module, optimizer: Any, **asked: Any) -> Job:
    """The job of a run of which no warning tells."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with samar.watch(network, optimizer, quiet=True, **asked) as run:
            act(run)
    assert not [each.message for each in told if "samar" in str(each.message)]
    return Jobs().get(str(run.id))


def test_a_loss_may_be_any_number(samar_home: Path) -> None:
    def numbers(run: Any) -> None:
        for value in (np.float32(1), np.array(2.0), np.int64(3), torch.tensor(4)):
            run.step(value)

    network = Network()
    job = told_of(numbers, network, sgd(network))
    assert (job.status, job.message) == ("finished", "")
    assert Store().records.steps(job.key)["loss"].tolist() == [1, 2, 3, 4]


def two_steps(run: Any) -> None:
    run.step(1.0)
    run.step(1.0)


@pytest.mark.parametrize(("steps", "total"), [(12.5, 13), (np.int64(4), 4), (2.0, 2), (None, None)])
def test_how_many_steps_there_will_be(samar_home: Path, steps: Any, total: int | None) -> None:
    network = Network()
    job = told_of(two_steps, network, sgd(network), steps=steps)
    assert (job.status, job.done, job.total) == ("finished", 2, total)


def test_sparse_gradients_have_a_norm(samar_home: Path) -> None:
    network = nn.Embedding(10, 4, sparse=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    norms: list[float] = []

    def loop(run: Any) -> None:
        for _ in range(3):
            optimizer.zero_grad()
            loss = network(torch.tensor([1, 1, 3])).square().mean()
            loss.backward()
            norms.append(network.weight.grad.to_dense().norm().item())  # type: ignore[union-attr]
            optimizer.step()
            run.step(loss)

    job = told_of(loop, network, optimizer)
    assert Store().records.steps(job.key)["grad_norm"].tolist() == pytest.approx(norms)


class Wrapper(torch.optim.Optimizer):
    """As accelerate's: an optimizer that was never made one."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:  # type: ignore[override]
        return self.optimizer.param_groups

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.optimizer.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)


def test_a_wrapped_samar_tells_its_strength(samar_home: Path) -> None:
    network = Network()
    optimizer = Wrapper(samar.SAMAR(network.parameters(), lr=0.1, rho=0.1, model=network))

    def loop(run: Any) -> None:
        for x, y in batches(3):

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                network.zero_grad()
                loss = F.cross_entropy(network(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)
            run.step()

    job = told_of(loop, network, optimizer)
    steps = Store().records.steps(job.key)
    assert np.isfinite([steps["lam"], steps["loss"]]).all()
    assert (job.settings.optimizer, job.settings.rho) == ("samar", 0.1)


class Unhooked(Wrapper):
    """One that has nothing to take a hook either."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.inner = optimizer

    @property
    def optimizer(self) -> Any:  # type: ignore[override]
        return None

    @property
    def param_groups(self) -> Any:  # type: ignore[override]
        return self.inner.param_groups

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.inner.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.inner.zero_grad(set_to_none)


@pytest.mark.parametrize("wrap", [Wrapper, Unhooked])
def test_an_optimizer_that_takes_no_hook_is_watched_with_its_sample(
    samar_home: Path, wrap: Any
) -> None:
    network = Network()
    optimizer = wrap(sgd(network))

    def loop(run: Any) -> None:
        for x, y in batches(3):
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
            if wrap is Wrapper:  # its gradients were seen
                optimizer.zero_grad()
            run.step(loss)

    job = told_of(loop, network, optimizer, sample=data())
    measured = job.summary["measurements"]
    assert [measured[kind]["reason"] for kind in ("film", "curvature")] == ["", ""]
    assert np.isfinite(Store().records.steps(job.key)["grad_norm"]).all()


def test_what_is_called_wrongly_is_one_warning(samar_home: Path) -> None:
    network = Network()
    lost = samar.watch(network, sgd(network))
    with pytest.warns(RuntimeWarning, match="put the loop into 'with samar"):
        lost.step(1.0)
    lost.step(1.0)

    def percent(run: Any) -> None:
        run.step(1.0)
        run.epoch(test_accuracy=97.3, test_loss=0.5)

    def another(run: Any) -> None:
        run.step(1.0)
        run.step(1.0)
        run.epoch(accuracy=0.5)

    assert warned("this run is not watched: looks is 5", percent, looks=5) is None
    job = warned(r"accuracy of 97\.3; it is not recorded", percent)
    assert job is not None
    assert job.last_epoch is not None
    assert job.last_epoch.test_loss == 0.5
    job = warned("does not know accuracy; give train_loss", another, steps=1)
    assert job is not None
    assert (job.done, job.total) == (2, None), "there were more than were promised"


def test_a_stop_that_nobody_heeds_is_told(samar_home: Path) -> None:
    network = Network()
    jobs = Jobs()
    with samar.watch(network, sgd(network), quiet=True) as run:
        run.step(1.0)
        jobs.stop(str(run.id))
        for _ in range(12):
            time.sleep(0.1)
            run.step(1.0)
        time.sleep(0.8)
        assert "the script decides" in jobs.get(str(run.id)).notes[0]
    job = jobs.get(str(run.id))
    assert job.status == "finished"
    assert "went on" in job.notes[0]


def test_an_edit_keeps_the_proportion_of_the_groups(samar_home: Path) -> None:
    network = Network()
    groups = [
        {"params": network.first.parameters(), "lr": 0.1},
        {"params": network.last.parameters(), "lr": 0.01},
    ]
    optimizer = torch.optim.Adam(groups)
    jobs = Jobs()
    with samar.watch(network, optimizer, quiet=True) as run:
        run.step(1.0)
        groups[0]["lr"] = 0.1
        for group in optimizer.param_groups:
            group["lr"] /= 2  # a scheduler
        jobs.change(str(run.id), lr=0.2)
        until(lambda: run.step(1.0) or optimizer.param_groups[0]["lr"] == 0.2)  # type: ignore[func-returns-value]
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.02)
    (edit,) = jobs.edits(jobs.get(str(run.id)))
    assert (edit.before, edit.values) == ({"lr": 0.05}, {"lr": 0.2})
    assert "--edits" not in jobs.get(str(run.id)).command


@pytest.mark.parametrize("name", ["lr", "rho"])
def test_an_edit_leaves_groups_at_0_and_is_that_of_the_first_other(
    samar_home: Path, name: str
) -> None:
    network = Network()
    groups = [
        {"params": network.first.parameters(), name: 0.0},
        {"params": network.block.parameters(), name: 0.1},
        {"params": network.last.parameters(), name: 0.05},
    ]
    optimizer: Any = torch.optim.SGD(groups, lr=0.1)
    if name == "rho":
        optimizer = samar.SAM(groups, torch.optim.SGD, lr=0.1)
    jobs = Jobs()
    with samar.watch(network, optimizer, quiet=True) as run:
        run.step(1.0)
        assert getattr(jobs.get(str(run.id)).settings, name) == 0.1
        jobs.change(str(run.id), **{name: 0.2})
        until(lambda: run.step(1.0) or jobs.get(str(run.id)).edits == 1)  # type: ignore[func-returns-value]
    assert [group[name] for group in optimizer.param_groups] == pytest.approx([0, 0.2, 0.1])
    job = jobs.get(str(run.id))
    (edit,) = jobs.edits(job)
    assert (edit.before, edit.values) == ({name: 0.1}, {name: 0.2})
    assert Store().records.steps(job.key)["lr"][-1] == (0.2 if name == "lr" else 0.1)


def test_an_edit_of_what_the_optimizer_does_not_have_is_refused(samar_home: Path) -> None:
    network = Network()
    jobs = Jobs()
    for build, wrong, can in (
        (sgd, {"rho": 0.2, "lr": 0.3}, "no rho; these can change: lr"),
        (sgd, {"lam_held": 0.5}, "no lam_held; these can change: lr"),
        (lambda net: samar.SAM(net.parameters(), lr=0.1), {"lam_held": 0.5}, "change: lr, rho"),
    ):
        run = samar.watch(network, build(network), quiet=True)
        with run, pytest.raises(ConfigError, match=can):
            jobs.change(str(run.id), **wrong)
        assert not jobs.store.orders.after(0, jobs.get(str(run.id)).key)


def test_of_an_order_that_fits_in_part_that_part_is_obeyed(samar_home: Path) -> None:
    """Another samar may have given it."""
    network = Network()
    optimizer = sgd(network)
    jobs = Jobs()
    with samar.watch(network, optimizer, quiet=True) as run:
        key = jobs.get(str(run.id)).key
        jobs.store.orders.post(key, "change", rho=0.2, lr=0.3, lam_held=0.5, by="browser")
        until(lambda: run.step(1.0) or optimizer.param_groups[0]["lr"] == 0.3)  # type: ignore[func-returns-value]
    job = jobs.get(str(run.id))
    (edit,) = jobs.edits(job)
    assert (edit.before, edit.values, edit.by) == ({"lr": 0.1}, {"lr": 0.3}, "browser")
    (refused,) = (e for e in jobs.store.records.events(key) if e.kind == "refused")
    assert refused.detail["reason"] == "change: the script's optimizer has no rho or lam_held."
    (order,) = jobs.store.orders.after(0, key)
    assert refused.detail["order"] == order.key, "so that a control knows"


@pytest.mark.usefixtures("eager")
def test_a_full_disk_leaves_out_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    found, job = watched(plain, sgd)
    assert all(map(torch.equal, found, trained(plain, sgd)))
    assert job is not None
    assert job.status == "finished"
    assert any("not kept" in note for note in job.notes)
    assert len(Store().records.steps(job.key)["step"]) == 6


@pytest.mark.usefixtures("eager")
def test_a_store_that_is_lost_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(plain, sgd)
    taken = 0

    def losing(network: Any, optimizer: Any, told: Any) -> None:
        def lose(loss: Tensor | None) -> None:
            nonlocal taken
            taken += 1
            if taken == 3:
                for path in home().glob("*.db*"):
                    path.write_bytes(b"nonsense" * 1000)
            told(loss)

        plain(network, optimizer, lose)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.manual_seed(1)
        network = Network()
        optimizer = sgd(network)
        with samar.watch(network, optimizer, sample=data(), quiet=True) as run:
            losing(network, optimizer, run.step)
    assert all(map(torch.equal, state_of(network, optimizer), expected))
    assert 1 <= len([each for each in told if "The training goes on" in str(each.message)]) <= 1


def test_a_store_that_cannot_be_opened_is_a_warning(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_STORE", "mysql://nowhere/none")
    expected = trained(plain, sgd)
    with pytest.warns(RuntimeWarning, match="The training goes on"):
        found, job = watched(plain, sgd)
    assert job is None
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("mine"), "failed", "ValueError: mine"),
        (ValueError(), "failed", "ValueError"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
        (SystemExit(), "finished", ""),
        (SystemExit(0), "finished", ""),
        (SystemExit(2), "failed", "SystemExit: 2"),
        (SystemExit("no data"), "failed", "SystemExit: no data"),
    ],
)
def test_an_end_by_an_exception_is_told(
    samar_home: Path, error: BaseException, status: str, told: str
) -> None:
    def raising(network: Any, optimizer: Any, told: Any) -> None:
        told(torch.tensor(1.0))
        raise error

    with pytest.raises(type(error)):
        watched(raising, sgd)
    (job,) = Jobs().all("watch")
    assert (job.status, job.message) == (status, told)
    assert len(Store().records.steps(job.key)["step"]) == 1


def test_a_loss_that_is_not_finite_is_told(samar_home: Path) -> None:
    network = Network()
    with samar.watch(network, sgd(network), quiet=True) as run:
        for value in (1.0, float("inf"), float("nan")):
            run.step(torch.tensor(value))
    job = Jobs().get(str(run.id))
    assert (job.status, job.message) == ("finished", "The loss is not finite from step 2 on.")


def test_epochs_are_recorded(samar_home: Path) -> None:
    network = Network()
    with samar.watch(network, sgd(network), quiet=True) as run:
        run.step(0.5)
        run.epoch(train_accuracy=0.75, test_accuracy=torch.tensor(0.5))
        run.step(0.4)
        run.epoch(train_loss=None)
    job = Jobs().get(str(run.id))
    epochs = Store().records.epochs(job.key)
    assert epochs["epoch"].tolist() == [1, 2]
    assert epochs["gap"][0] == 0.25
    assert epochs["test_loss"].tolist() == pytest.approx([float("nan")] * 2, nan_ok=True)
    assert Store().records.steps(job.key)["epoch"].tolist() == [1, 2]
    assert job.last_epoch is not None


def in_thread(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def running(samar_home: Path) -> Iterator[dict[str, Any]]:
    """A loop in a thread that goes on until somebody stops it."""
    shared: dict[str, Any] = {"steps": 0}

    def loop() -> None:
        network = Network()
        optimizer = around_adamw(network)
        shared["optimizer"] = optimizer
        with samar.watch(network, optimizer, sample=data(), quiet=True) as run:
            shared["id"] = run.id
            while not run.stopping:
                twice_once(network, optimizer)
                run.step()
                shared["steps"] += 1

    thread = in_thread(loop)
    until(lambda: shared["steps"] > 5)
    yield shared
    jobs = Jobs()
    if jobs.get(shared["id"]).active:
        jobs.stop(shared["id"])
    thread.join(60)
    assert not thread.is_alive()


def twice_once(network: nn.Module, optimizer: Any) -> None:
    (x, y) = next(batches(1))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), y)
        loss.backward()
        return loss

    optimizer.step(closure)


def test_it_is_paused_stepped_edited_and_stopped(running: dict[str, Any]) -> None:
    jobs, job_id = Jobs(), running["id"]
    jobs.pause(job_id)
    until(lambda: jobs.get(job_id).status == "paused")
    time.sleep(0.2)
    held = running["steps"]
    time.sleep(0.6)
    assert running["steps"] == held
    jobs.step(job_id)
    until(lambda: running["steps"] == held + 1)
    jobs.change(job_id, rho=0.3, lr=0.002)
    jobs.change(job_id, lam_held=0.0)
    until(lambda: running["optimizer"].held == 0.0)
    group = running["optimizer"].param_groups[0]
    assert (group["rho"], group["lr"]) == (0.3, 0.002)
    jobs.measure(job_id)
    key = jobs.get(job_id).key
    until(lambda: bool(jobs.store.records.artifacts(key, "film_plane")))
    until(lambda: any(e.detail.get("images") == 64 for e in jobs.store.records.events(key)))
    jobs.resume(job_id)
    until(lambda: running["steps"] > held + 5)
    job = jobs.get(job_id)
    assert job.edits == 2
    assert [edit.values for edit in jobs.edits(job)] == [
        {"rho": 0.3, "lr": 0.002},
        {"lam_held": 0.0},
    ]
    jobs.stop(job_id)
    until(lambda: not jobs.get(job_id).active)
    assert jobs.get(job_id).status == "stopped"


def test_what_a_script_does_nobody_else_starts(running: dict[str, Any]) -> None:
    jobs, job_id = Jobs(), running["id"]
    queued = jobs.store.create(samar.TrainSettings())
    claimed = jobs.store.claim_next("long", 1)
    assert claimed is not None, "it takes nobody's place"
    assert claimed.id == queued
    jobs.store.move(claimed, "finished")
    jobs.stop(job_id)
    until(lambda: not jobs.get(job_id).active)
    job = jobs.get(job_id)
    for act in (lambda: jobs.again(job), lambda: jobs.resume(job_id)):
        with pytest.raises(RunError, match="run the script again"):
            act()
    assert "run the script again" in jobs.cannot_start(job.settings)
    assert job.command.startswith(("python ", "# run"))


def test_the_stage_shows_it(running: dict[str, Any]) -> None:
    page = AppTest.from_file(str(SHIPPED / "pages/experiment/train.py"), default_timeout=60)
    page.query_params["run"] = running["id"]
    page.run()
    assert not page.exception
    told = " ".join(each.value for each in (*page.markdown, *page.caption))
    assert "A run of your own script" in told
    assert "SAMAR around AdamW" in told
    rate = page.number_input(key=f"lr_{running['id']}")
    assert (rate.value, rate.disabled) == (0.01, False)
    rate.set_value(0.005).run()
    until(lambda: running["optimizer"].param_groups[0]["lr"] == 0.005)
    assert page.text_input(key=f"optimizer_{running['id']}").value == "SAMAR around AdamW"
    Jobs().stop(running["id"])
    until(lambda: not Jobs().get(running["id"]).active)
    page.run()
    assert not page.exception
    assert page.button(key="button_start").disabled


SCRIPT = """
import os, signal, torch, samar
network = torch.nn.Linear(3, 2)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
with samar.watch(network, optimizer) as run:
    for step in range(3):
        network(torch.randn(4, 3)).mean().backward()
        optimizer.step()
        run.step(1.0)
    run._recorder.write()
    run._recorder.work.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_script_is_noticed(samar_home: Path, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, script, "--epochs", "3"],
        env={**os.environ, "PYTHONPATH": str(SHIPPED)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert "samar watches this run as" in ended.stderr
    (job,) = Jobs().all("watch")
    assert job.status == "interrupted"
    assert job.message == "The script that trained this run is gone."
    assert job.command == f"python {script} --epochs 3"
    assert len(Store().records.steps(job.key)["step"]) == 3


def test_of_several_processes_only_the_first_is_watched(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "gathered", lambda: (1, 2))
    network = Network()
    with samar.watch(network, sgd(network), sample=data()) as run:
        run.step(1.0)
        run.epoch(test_loss=1.0)
    assert run.id is None
    assert not Jobs().all()


def test_several_processes_obey_no_order_that_one_alone_hears(
    running: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_several", lambda: True)
    jobs, job_id = Jobs(), running["id"]
    jobs.change(job_id, rho=0.3)
    jobs.pause(job_id)
    jobs.measure(job_id)
    key = jobs.get(job_id).key
    until(lambda: bool(jobs.store.records.artifacts(key, "film_plane")))
    events = [e for e in jobs.store.records.events(key) if e.kind == "refused"]
    assert [event.detail["reason"].partition(":")[0] for event in events] == ["change", "pause"]
    assert events[0].detail["order"] == jobs.store.orders.after(0, key)[0].key
    assert running["optimizer"].param_groups[0]["rho"] == 0.1
    assert jobs.get(job_id).status == "running"
    assert jobs.get(job_id).edits == 0
    assert "No pause: several processes" in jobs.get(job_id).notes[0]


def test_a_notebook_has_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/ipykernel_launcher"])
    settings = module._described(nn.Linear(2, 2), sgd(nn.Linear(2, 2)), "", 0.1)
    assert settings.script == ""
    assert settings.command.startswith("#")
    assert settings == WatchSettings.stored(settings.model_dump_json())
    assert settings.described == "SGD · Linear"


def test_its_network_is_the_scripts(samar_home: Path) -> None:
    _, job = watched(plain, sgd, sample=None)
    assert job is not None
    for name in (job.id, f"{job.id}@3"):
        with pytest.raises(RunError, match="only the script has; measure it there"):
            Jobs().submit(LandscapeJobSettings(network=name))
