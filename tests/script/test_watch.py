"""A loop that is watched takes the same steps bit for bit, whatever happens to samar."""

import json
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
from samar.jobs.job import Job
from samar.jobs.records import CURVATURE, PLANE, Event
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.landscape import LandscapeJobSettings
from samar.script import recorder
from samar.script import watch as module
from samar.training.observing import Observing
from samar.web.live.stage import StageView
from samar.web.service import service
from tests.script.frameworks import until

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


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch, samar_home: Path) -> None:
    """Every step is observed: it waits until the observer is ready."""
    real = Observing.step_taken

    def step_taken(self: Observing, step: int) -> None:
        until(lambda: self._ready.is_set() or not self.alive)
        real(self, step)

    monkeypatch.setattr(Observing, "step_taken", step_taken)


def measured(job: Job, kind: str = PLANE) -> list[Event]:
    """The planes of a run, or what else was measured."""
    return [event for event in Store().records.events(job.key) if event.kind == kind]


def state_of(network: nn.Module, optimizer: Any) -> list[Tensor]:
    kept = [torch.get_rng_state(), *network.state_dict().values()]
    for each in (optimizer, getattr(optimizer, "base", optimizer)):
        kept += [v for s in each.state.values() for v in s.values() if isinstance(v, Tensor)]
    return kept


class Drawing(nn.Module):
    """Draws from every random state there is, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        factor = random.random() + np.random.rand() + torch.rand(()).item()
        out: Tensor = self.last(x) * factor
        return out


def compiled(network: nn.Module) -> nn.Module:
    return torch.compile(network, backend="eager")  # type: ignore[return-value]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process, which DistributedDataParallel needs."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def start(kind: type[nn.Module] = Network) -> nn.Module:
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(1)
    return kind()


def trained(loop: Any, build: Any, kind: Any = Network, wrap: Any = None) -> list[Tensor]:
    network = start(kind)
    optimizer = build(network)
    loop(wrap(network) if wrap else network, optimizer, lambda loss: None)
    return state_of(network, optimizer)


def watched(
    loop: Any, build: Any, kind: Any = Network, wrap: Any = None, **asked: Any
) -> tuple[list[Tensor], Job]:
    network = start(kind)
    optimizer, whole = build(network), wrap(network) if wrap else network
    with samar.watch(whole, optimizer, **{"sample": data(), "quiet": True, **asked}) as run:
        loop(whole, optimizer, run.step)
    return state_of(network, optimizer), Jobs().get(str(run.id))


@pytest.mark.usefixtures("eager", "alone")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("loop", "build", "kind", "wrap"),
    [
        pytest.param(plain, sgd, Network, None, id="schedule, clipping, accumulation"),
        pytest.param(mixed, adamw, Network, None, id="bf16"),
        pytest.param(twice, around_adamw, Network, None, id="two passes"),
        pytest.param(plain, sgd, Drawing, None, id="every random state"),
        pytest.param(plain, sgd, Network, compiled, id="compiled"),
        pytest.param(plain, sgd, Network, nn.DataParallel, id="data parallel"),
        pytest.param(plain, sgd, Network, nn.parallel.DistributedDataParallel, id="distributed"),
    ],
)
def test_watching_changes_no_bit(loop: Any, build: Any, kind: Any, wrap: Any) -> None:
    expected = trained(loop, build, kind, wrap)
    found, job = watched(loop, build, kind, wrap)
    assert (job.status, job.settings.network) == ("finished", kind.__name__), job.message
    # A network whose loss is another each time is measured in its own process, at both ends.
    assert len(measured(job)) >= (2 if kind is Drawing else job.done)
    assert ("start and at the end alone" in job.summary["observer"]) is (kind is Drawing)
    assert len(found) == len(expected)
    assert all(map(torch.equal, found, expected))


@pytest.mark.usefixtures("eager")
def test_a_graph_from_before_a_measurement_goes_backward() -> None:
    """As in a GAN, whose generator's graph is held while the discriminator steps."""
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = sgd(network[2])
    with samar.watch(network, optimizer, sample=data(), quiet=True) as run:
        for x, y in batches(4):
            loss = F.cross_entropy(network(x), y)
            run.step(loss)
            loss.backward()
            optimizer.step()
    job = Jobs().get(str(run.id))
    assert len(measured(job)) > 3


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
    steps = Store().records.steps(job.key)
    assert steps["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert steps["loss"].tolist() == pytest.approx(seen)
    assert steps["lam"].tolist() == pytest.approx(lams)
    assert steps["lr"].tolist() == [0.01] * 6
    assert (job.title, job.done, job.total) == ("mine", 6, 6)
    settings = job.settings
    assert (settings.optimizer, settings.base, settings.network) == ("samar", "AdamW", "Network")
    assert settings.optimizer_title == "SAMAR around AdamW"
    for kind in (PLANE, CURVATURE):
        assert [event.step for event in measured(job, kind)] == [0, 1, 2, 3, 4, 5, 6]
    plane = measured(job)[3].detail
    assert (plane["images"], len(plane["axis"]), len(plane["loss"])) == (64, 5, 5)


def test_the_gradient_and_the_rate_of_every_step_are_recorded(samar_home: Path) -> None:
    norms: list[float] = []

    def noting(network: Any, optimizer: Any, told: Any) -> None:
        def both(loss: Tensor | None) -> None:
            grads = [p.grad.flatten() for p in network.parameters()]
            norms.append(torch.cat(grads).norm().item())
            optimizer.zero_grad()
            told(loss)

        plain(network, optimizer, both)

    _, job = watched(noting, sgd, sample=None)
    steps = Store().records.steps(job.key)
    assert steps["grad_norm"].tolist() == pytest.approx(norms, rel=1e-5)
    assert steps["lr"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.05])
    assert not Store().records.artifacts(job.key)


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
    def once(network: Any, optimizer: Any, told: Any) -> None:
        loss = F.cross_entropy(network(data()[0]), data()[1])
        loss.backward()
        optimizer.step()
        told(loss)

    _, job = watched(once, sgd, **asked)
    assert measured(job)
    assert measured(job, CURVATURE)


def failing(after: int) -> Callable[[Any, Any], Tensor]:
    """A forward pass that fails when it is called once more than so often."""
    called: list[None] = []

    def forward(network: Any, batch: Any) -> Tensor:
        called.append(None)
        if len(called) > after:
            raise ValueError("no such layer")
        return network(batch).mean()

    return forward


def test_a_forward_that_fails_is_one_warning(samar_home: Path) -> None:
    expected = trained(plain, sgd)
    with pytest.warns(RuntimeWarning, match="no such layer") as told:
        found, job = watched(plain, sgd, sample=data()[0], forward=failing(0))
    assert len([each for each in told if "samar" in str(each.message)]) == 1
    assert all(map(torch.equal, found, expected))
    assert job.status == "finished"
    assert len(Store().records.steps(job.key)["step"]) == 6


@pytest.mark.usefixtures("eager")
def test_an_observer_that_fails_is_a_sentence_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "LAST_SECONDS", 0.5)
    expected = trained(plain, sgd)
    found, job = watched(plain, sgd, sample=data()[0], forward=failing(4))
    assert all(map(torch.equal, found, expected))
    assert job.status == "finished"
    assert "no such layer" in job.summary["observer"]
    assert not measured(job)
    assert len(Store().records.steps(job.key)["step"]) == 6


def test_a_network_that_cannot_be_sent_is_measured_at_both_ends(samar_home: Path) -> None:
    class Held:
        lock = None

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __deepcopy__(self, _: Any) -> "Held":
            return self

    class Holding(Network):
        def __init__(self) -> None:
            super().__init__()
            self.held = Held()

    expected = trained(plain, sgd, Holding)
    found, job = watched(plain, sgd, Holding)
    assert all(map(torch.equal, found, expected))
    assert [event.step for event in measured(job)] == [0, 6]
    assert "cannot pickle '_thread.lock' object" in job.summary["observer"]


@pytest.mark.parametrize(
    ("losses", "epoch", "asked", "sentence"),
    [
        ([1.0, torch.ones(2), 3.0], {}, {}, r"of shape \(2,\); it is not recorded: give one"),
        ([1.0], {"test_accuracy": 97.3}, {}, r"accuracy of 97\.3; it is not recorded"),
        ([1.0], {"accuracy": 0.5}, {}, "does not know accuracy; give train_loss"),
        ([1.0], {}, {"pace": "epoch"}, "not watched: pace is 'epoch'; a watched loop takes fast"),
    ],
)
def test_what_is_wrong_is_one_warning(
    samar_home: Path, losses: Any, epoch: Any, asked: Any, sentence: str
) -> None:
    network = Network()
    run = samar.watch(network, sgd(network), quiet=True, **asked)

    def loop() -> None:
        with run:
            for loss in losses:
                run.step(loss)
            if epoch:
                run.epoch(**epoch)

    with pytest.warns(RuntimeWarning, match=sentence) as told:
        loop()
    assert len([each for each in told if "samar" in str(each.message)]) == 1
    assert (run.id is None) == bool(asked)
    if run.id:
        recorded = Store().records.steps(Jobs().get(run.id).key)["loss"].tolist()
        expected = [float("nan") if isinstance(x, Tensor) else x for x in losses]
        assert recorded == pytest.approx(expected, nan_ok=True)


def test_an_edit_keeps_the_proportion_of_the_groups(samar_home: Path) -> None:
    network = Network()
    optimizer = torch.optim.Adam(
        [
            {"params": network.first.parameters(), "lr": 0.1},
            {"params": network.last.parameters(), "lr": 0.01},
        ]
    )
    jobs = Jobs()
    with samar.watch(network, optimizer, quiet=True) as run:
        run.step(1.0)
        jobs.change(str(run.id), lr=0.2)
        until(lambda: run.step(1.0) or optimizer.param_groups[0]["lr"] == 0.2)  # type: ignore[func-returns-value]
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.02)
    (edit,) = jobs.edits(jobs.get(str(run.id)))
    assert (edit.before, edit.values) == ({"lr": 0.1}, {"lr": 0.2})


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


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("mine"), "failed", "ValueError: mine"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
        (SystemExit(0), "finished", ""),
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

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
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
    job = jobs.get(job_id)
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
    jobs.set_pace(job_id, "epoch")  # of which a loop has none
    until(lambda: any("takes fast or off" in e.detail["reason"] for e in measured(job, "refused")))
    assert jobs.get(job_id).summary["pace"] == "fast"
    now = held + 2  # within which it waits; what stands still is measured ever more finely
    until(lambda: any(e.step == now and len(e.detail["axis"]) == 33 for e in measured(job)))
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
    (told,) = [json.loads(each.proto.json) for each in page.get("bidi_component")]
    names = [each["name"] for each in told["steer"]["controls"]]
    assert {"lr", "rho", "lam_held"} <= set(names)
    view = StageView([told["numbers"]])
    view.read()
    assert view.news()["job"]["live"]["lr"] == 0.01
    service().change(running["id"], lr=0.005)
    until(lambda: running["optimizer"].param_groups[0]["lr"] == 0.005)
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


def test_its_network_is_the_scripts(samar_home: Path) -> None:
    _, job = watched(plain, sgd, sample=None)
    for name in (job.id, f"{job.id}@3"):
        with pytest.raises(RunError, match="only the script has; measure it there"):
            Jobs().submit(LandscapeJobSettings(network=name))
