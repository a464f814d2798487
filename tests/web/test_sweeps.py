"""The Sweeps page without a browser: the form, the list, the buttons, the results."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.settings.command import json_line
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec
from samar.web.pages import PAGES
from samar.web.service import service
from tests.web.measuring import bars

APP = Path(__file__).parents[2] / "samar/web/main.py"


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: 1)
    monkeypatch.setattr("samar.jobs.store.Store.mark_interrupted", lambda self: None)
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60)


def page(app: AppTest, **query: str | list[str]) -> AppTest:
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(PAGES["sweeps"].path).run()


def text(app: AppTest) -> str:
    kinds = ("markdown", "caption", "success", "info")
    rows = [f"{row['title']} · {row['words']}" for row in bars(app)]
    return "\n".join([*(m.value for kind in kinds for m in app.get(kind)), *rows])


@pytest.fixture
def finished(app: AppTest) -> str:
    """A sweep whose every member ended."""
    return ended(SweepSpec(grid={"optimizer": ("sgd", "sam"), "rho": (0.1, 0.2)}))


def ended(spec: SweepSpec) -> str:
    """Submit a sweep and bring every member to its end."""
    sweeps = Sweeps()
    sweep_id = sweeps.jobs.submit(spec)
    store = Jobs().store
    for run in store.all("train"):
        sam = run.settings.optimizer == "sam"
        val = 0.5 + 0.1 * sam * run.settings.rho + run.settings.seed / 100
        val = val if run.settings.validation else math.nan
        record = EpochRecord(60, 9, 18, 2.0, 0.1, 0.9, 9, 0.2, 0.8, 0.1, 0.3, val)
        store.records.append(run.key, epochs=[record])
        store.move(run, "running", only=("queued",))
        store.beat(run, summary=json_line({"epoch": asdict(record)}))
        store.move(run, "finished")
    sweeps.jobs.look_after()
    return sweep_id


def test_the_form_says_what_a_sweep_amounts_to_and_starts_it(app: AppTest) -> None:
    page(app)
    assert not app.exception
    assert "**30 runs**: 10 settings × 3 seeds" in text(app)
    app.text_input(key="s_in_rho").set_value("0.1, 0.3").run()
    app.number_input(key="s_seeds").set_value(2).run()
    app.toggle(key="s_equal_gradients").set_value(True).run()
    assert "**16 runs**: 8 settings × 2 seeds" in text(app)
    command = app.code[0].value
    assert "--grid optimizer=sgd,sam,vasso,samar --grid rho=0.1,0.3 --seeds 2" in command
    app.button(key="sweep_start_button").click().run()
    assert not app.exception
    (sweep,) = Sweeps().all()
    assert sweep.spec.grid["rho"] == (0.1, 0.3)
    assert sweep.spec.base == {"validation": 0.2}
    assert app.query_params["sweep"] == sweep.id
    assert "running · 0 of 16 runs" in text(app)
    assert app.button(key="sweep_pause")


def test_settings_that_vary_leave_the_side_and_those_without_effect_too(app: AppTest) -> None:
    page(app)
    assert "rho" not in app.session_state
    assert app.selectbox(key="rule")
    app.multiselect(key="s_in_optimizer").set_value(["sgd", "vasso"]).run()
    assert not [w for w in app.selectbox if w.key == "rule"]
    assert app.select_slider(key="lr")
    app.multiselect(key="s_vary").set_value(["lr"]).run()
    assert not [w for w in app.select_slider if w.key == "lr"]
    assert app.text_input(key="s_in_lr").value == "0.02, 0.05, 0.1"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("0.1, 9", "rho is '9', but it must be at most 5"),
        ("", "radius ρ has no values"),
        ("0.1:1", "rho is a range, which a grid cannot try out"),
        ("0,05, 0,1", "a comma ends a value; write decimals with a point"),
    ],
)
def test_a_bad_value_is_said_and_cannot_be_started(app: AppTest, value: str, sentence: str) -> None:
    page(app)
    app.text_input(key="s_in_rho").set_value(value).run()
    assert not app.exception
    assert sentence in app.warning[0].value.replace("\\", "")
    assert app.button(key="sweep_start_button").disabled


def test_a_search_over_a_range(app: AppTest) -> None:
    page(app)
    app.selectbox(key="s_sampler").set_value("tpe").run()
    app.text_input(key="s_in_rho").set_value("0.01:1:log").run()
    app.number_input(key="s_trials").set_value(5).run()
    assert "Up to **15 runs**: 5 settings × 3 seeds" in text(app)
    assert not [w for w in app.toggle if w.key == "s_equal_gradients"]
    app.button(key="sweep_start_button").click().run()
    assert not app.exception
    (sweep,) = Sweeps().all()
    assert (sweep.spec.sampler, sweep.members, sweep.total) == ("tpe", 3, 15)


def test_presets_fill_the_form(app: AppTest) -> None:
    page(app)
    app.selectbox(key="s_preset").select("paper").run()
    assert not app.exception
    assert "**84 runs**: 28 settings × 3 seeds" in text(app)
    assert "has not been run by us" in text(app).replace("\\", "")
    assert "--when dataset=cifar100:rho=0.2" in app.code[0].value
    assert "--weight-decay 0.001" in app.code[0].value
    app.button(key="sweep_start_button").click().run()
    assert "CIFAR-10 is not on this machine" in app.error[0].value.replace("\\", "")
    app.selectbox(key="s_preset").select("noisy_digits").run()
    assert "**33 runs**" in text(app)
    assert "--label-noise 0.4" in app.code[0].value


@pytest.mark.parametrize(
    ("vary", "optimizer", "rule"),
    [
        (["optimizer", "rule"], ["sgd", "samar"], ["trend_power", "fixed"]),
        (["Optimizer", "λ rule"], ["SGD", "SAMAR"], ["Trend, power law", "Fixed"]),
    ],
    ids=["keys", "titles"],
)
def test_a_link_holds_choices_by_their_keys_or_titles(
    app: AppTest, vary: list[str], optimizer: list[str], rule: list[str]
) -> None:
    page(app, s_vary=vary, s_in_optimizer=optimizer, s_in_rule=rule)
    assert not app.exception
    command = app.code[0].value
    assert "--grid optimizer=sgd,samar --grid rule=trend_power,fixed" in command
    assert app.multiselect(key="s_in_optimizer").options[:2] == ["SGD", "SAM"]


def test_a_link_restores_a_preset_and_what_was_changed_in_it(app: AppTest) -> None:
    page(app, sweep_preset="paper", s_seeds="1", epochs="3")
    assert not app.exception
    assert "**28 runs**: 28 settings × 1 seed" in text(app)
    command = app.code[0].value
    assert "--grid model=resnet18,wrn-28-10 --grid dataset=cifar10,cifar100" in command
    assert "--epochs 3" in command
    assert "--weight-decay 0.001" in command


def test_a_preset_and_its_conditions_outlive_another_page(app: AppTest) -> None:
    page(app)
    app.selectbox(key="s_preset").set_value("paper").run()
    before, command = text(app), app.code[0].value
    assert "Where optimizer is sgd" in before.replace("\\", "")
    app.switch_page(PAGES["runs"].path).run()
    app.query_params.clear()  # as a browser does with the address
    app.switch_page(PAGES["sweeps"].path).run()
    assert not app.exception
    assert app.selectbox(key="s_preset").value == "paper"
    assert (text(app), app.code[0].value) == (before, command)
    assert app.query_params["sweep_preset"] == "paper"
    app.selectbox(key="s_preset").set_value(None).run()
    assert "sweep_preset" not in app.query_params
    assert "--when" not in app.code[0].value


def test_results_name_the_best_by_validation(app: AppTest, finished: str) -> None:
    page(app, sweep=finished)
    assert not app.exception
    shown = text(app).replace("\\", "")
    assert "finished · 9 of 9 runs" in shown
    assert "Best by validation: **SAM · radius ρ 0.2**, validation 53.00 ± 1.00 %" in shown
    arms = next(d.value for d in app.dataframe if "setting" in d.value)
    assert list(arms["setting"]) == ["SGD", "SAM · radius ρ 0.2"]
    app.selectbox(key="sweep_reference").select("SAM · radius ρ 0.2").run()
    assert not app.exception


def test_without_held_out_images_the_charts_show_the_test_images(app: AppTest) -> None:
    grid = {"optimizer": ("sam", "vasso"), "rho": (0.1, 0.2)}
    page(app, sweep=ended(SweepSpec(grid=grid, base={"validation": 0.0}, seeds=1)))
    assert not app.exception
    blocks = [json.loads(block.proto.json) for block in app.get("bidi_component")]
    drawn = {block["name"]: json.loads(block["figure"]) for block in blocks if "figure" in block}
    title = drawn["sweep_heat_map"]["layout"]["title"]["text"]
    assert title == "<b>Test accuracy</b>"
    assert drawn["sweep_heat_map"]["data"]
    assert "Accuracy on" not in [group.label for group in app.get("button_group")]
    assert "by validation" not in text(app)


def test_pause_resume_back_and_delete(app: AppTest) -> None:
    sweep_id = Jobs().submit(SweepSpec(grid={"rho": (0.1, 0.2)}, name="<b>*mine*</b>"))
    page(app, sweep=sweep_id)
    assert app.subheader[0].value == r"\<b\>\*mine\*\</b\> · \#1"
    app.button(key="sweep_pause").click().run()
    assert Sweeps().get(sweep_id).status == "paused"
    app.button(key="sweep_resume").click().run()
    assert Sweeps().get(sweep_id).status == "running"
    app.button(key="sweep_stop").click().run()
    assert Sweeps().get(sweep_id).status == "stopped"
    run = next(run for run in Jobs().all("train") if run.status == "running")
    Jobs().store.move(run, "stopped")
    app.run()
    app.button(key="sweep_really_delete").click().run()
    assert not app.exception
    assert Sweeps().all() == []
    assert Jobs().all() == []
    assert "Sweeps" in [header.value for header in app.header]


def test_a_sweep_that_failed_says_why_and_resumes(app: AppTest) -> None:
    jobs = Jobs()
    sweep_id = jobs.submit(SweepSpec(grid={"rho": (0.1, 0.2)}))
    assert jobs.store.move(jobs.get(sweep_id), "failed", "ValueError: no <such> value")
    page(app)
    assert "× failed" in text(app)
    page(app, sweep=sweep_id)
    assert app.error[0].value.replace("\\", "") == "ValueError: no <such> value"
    app.button(key="sweep_resume").click().run()
    assert not app.exception
    assert Sweeps().get(sweep_id).status == "running"


def test_the_list_opens_a_sweep(app: AppTest, finished: str) -> None:
    page(app)
    app.button(key=f"open_{finished}").click().run()
    assert "finished · 9 of 9 runs" in text(app)
    app.button(key="sweep_back").click().run()
    assert app.button(key="sweep_start_button")


def test_an_unknown_sweep_is_answered_in_a_sentence(app: AppTest) -> None:
    page(app, sweep="nothing")
    assert not app.exception
    assert "There is no sweep 'nothing'" in app.error[0].value.replace("\\", "")
