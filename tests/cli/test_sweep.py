"""Sweeps on the command line, over a store in which nothing trains."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from samar.cli import main, parser
from samar.cli.sweep import spec_from
from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.settings.command import json_line
from samar.sweeps.presets import SWEEP_PRESETS
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec

START = "sweep --grid optimizer=sgd,sam --grid rho=0.1,0.2 --seeds 2 --epochs 3 --detach"


@pytest.fixture(autouse=True)
def _no_workers(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: 1)
    monkeypatch.setattr("samar.jobs.store.Store.mark_interrupted", lambda self: None)


@pytest.fixture
def finish() -> Callable[[], None]:
    """End every member with accuracies that follow from its settings."""

    def finish() -> None:
        store = Jobs().store
        for run in store.all("train"):
            val = 0.5 + run.settings.rho / 10 + run.settings.seed / 100
            record = EpochRecord(3, 9, 18, 2.0, 0.1, 0.9, 9, 0.2, 0.8, 0.1, 0.3, val)
            store.records.append(run.key, epochs=[record])
            store.move(run, "running", only=("queued",))
            store.beat(run, summary=json_line({"epoch": asdict(record)}))
            store.move(run, "finished")

    return finish


def given(words: str) -> SweepSpec:
    return spec_from(parser().parse_args(words.split()))


def test_start_list_show_steer_and_delete(
    finish: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(START.split()) == 0
    sweep_id = capsys.readouterr().out.split()[0]
    assert main(["sweeps"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"#1 {sweep_id} optimizer × radius ρ running 0/6" in shown
    for verb, status in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert main(["sweep", verb, sweep_id, *(["--detach"] if verb == "resume" else [])]) == 0
        assert Sweeps().get(sweep_id).status == status
    assert main(["sweep", "pause", sweep_id]) == 2
    assert "is stopped; only one that is running can be paused" in capsys.readouterr().err
    finish()
    assert main(["sweep", "resume", sweep_id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["sweep"], found["status"]) == (sweep_id, "finished")
    assert found["counts"] == {"finished": 6}
    assert [row["setting"] for row in found["settings"]][:2] == ["SGD", "SAM · radius ρ 0.1"]
    assert [row["setting"] for row in found["best"]] == ["SAM · radius ρ 0.2"]
    assert main(["sweep", "show", sweep_id]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "SAM · radius ρ 0.2 2/2 52.50 ± 0.71 % 80.00 ± 0.00 %" in text
    assert "← best by validation" in text
    assert main(["sweep", "delete", sweep_id]) == 0
    assert main(["sweep", "show", sweep_id]) == 2
    assert f"There is no sweep '{sweep_id}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        START,
        "sweep --range rho=0.01:1:log --sampler tpe --trials 7 --no-skip-diverged --seed 4",
        "sweep --range lr=0.01234567:0.1 --range batch_size=16:64 --sampler random",
        "sweep --preset paper --weight-decay 0 --second-pass auto --dataset digits",
        "sweep --grid optimizer=sgd,sam --when optimizer=sgd:weight_decay=5e-4,lr=0.1 --lr 0.2",
        "sweep --grid nesterov=true,false --equal-gradients --validation 0.1",
        "sweep --grid optimizer=sgd,sam --when optimizer=sgd:dataset=folder:/images",
        "sweep --preset paper",
        "sweep --preset noisy_digits --name mine",
    ],
)
def test_the_equivalent_command_line_gives_the_same_sweep(words: str) -> None:
    spec = given(words)
    again = given(spec.command.removeprefix("python -m samar "))
    assert [c.model_dump() for c in configs(again)] == [c.model_dump() for c in configs(spec)]
    assert (again.seeds, again.sampler, again.name) == (spec.seeds, spec.sampler, spec.name)
    assert again.ranges == spec.ranges
    assert again.skip_diverged == spec.skip_diverged


def configs(spec: SweepSpec) -> list:
    return spec.settings() if spec.sampler == "grid" else [spec.config({"rho": 0.3})]


def test_options_go_before_a_preset() -> None:
    """A setting given on the command line is all members', also where the preset varies it."""
    spec = given("sweep --preset paper --dataset digits --lr 0.3 --grid model=cnn --epochs 2")
    assert {c.dataset for c in spec.settings()} == {"digits"}
    assert {(c.lr, c.model) for c in spec.settings()} == {(0.3, "cnn")}
    assert {c.epochs for c in spec.settings()} == {2, 4}
    assert {c.weight_decay for c in spec.settings()} == {5e-4, 1e-3}
    assert SWEEP_PRESETS["paper"].spec.grid["model"] == ("resnet18", "wrn-28-10")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("sweep --grid rho=7", "rho is '7', but it must be at most 5"),
        ("sweep --seeds many", "seeds is 'many', but it must be a whole number"),
        ("sweep --grid rho=0.1 --when rho=0.1:seed=3", "seed cannot vary within a sweep; the"),
        ("sweep --detach --name a", "The sweep has nothing to try; give --preset, or values such"),
        ("sweep --rho 0.1 --grid rho=0.2", "--rho is given, and --grid or --range of it"),
        ("sweep --grid rho=0.1 --grid rho=0.2", "rho is given twice; put its values into one list"),
        ("sweep --rho 0.1 show 1", "--rho has no effect with show; leave it out."),
        ("sweep --json stop 1", "--json has no effect with stop; leave it out."),
        ("sweep --preset paper", "CIFAR-10 is not on this machine"),
        ("sweep show nothing", "There is no sweep 'nothing'"),
    ],
)
def test_bad_input_is_one_sentence(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("samar: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert Sweeps().all() == []


def test_ctrl_c_leaves_the_sweep_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("samar.cli.sweep.time.sleep", interrupt)
    assert main(START.removesuffix(" --detach").split()) == 0
    assert "goes on in the background" in capsys.readouterr().err
    (sweep,) = Sweeps().all()
    assert sweep.state == "running"


def test_a_setting_that_no_member_uses_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--grid", "optimizer=sgd,sam", "--theta", "0.5", "--detach"]) == 0
    assert "--theta has no effect in any run of the sweep" in capsys.readouterr().err
    assert main(["sweep", "--grid", "optimizer=sgd,vasso", "--theta", "0.5", "--detach"]) == 0
    assert "no effect" not in capsys.readouterr().err
