"""The pages without a browser: what they draw, what a link restores, what bad values answer."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.training.presets import PRESETS
from samar.training.settings import TrainSettings
from samar.web.controls import SETTINGS
from samar.web.pages import PAGES
from samar.web.service import service

APP = Path(__file__).parents[2] / "samar/web/main.py"


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=30)
    return app


def train_page(app: AppTest, **query: str) -> AppTest:
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(PAGES["train"].path).run()


def at_work(app: AppTest) -> Job:
    """Show a run that is training, and return it."""
    runs = Jobs()
    run_id = runs.submit(TrainSettings())
    run = runs.store.claim_next("long", 1)
    assert run is not None
    train_page(app, run=run_id)
    return run


def command(app: AppTest) -> str:
    return app.code[0].value


def test_start_page_starts_the_preset(app: AppTest) -> None:
    app.run()
    assert not app.exception
    app.button(key="train_now").click().run()
    (run,) = Jobs().all()
    assert run.settings == PRESETS["noisy_digits"].config()
    assert run.status == "queued"


def test_a_link_restores_every_setting(app: AppTest) -> None:
    link = {"optimizer": "vasso", "lr": "0.123", "rho": "0.07", "theta": "0.5", "seed": "11"}
    train_page(app, **link)
    words = command(app)
    for word in ("--optimizer vasso", "--lr 0.123", "--rho 0.07", "--theta 0.5", "--seed 11"):
        assert word in words


def test_settings_that_do_not_apply_are_hidden(app: AppTest) -> None:
    def keys() -> set[str]:
        kinds = ("selectbox", "select_slider", "slider", "toggle", "number_input", "text_input")
        return {w.key for kind in kinds for w in app.get(kind) if w.key in SETTINGS}

    train_page(app)
    assert {"rho", "rule", "gain", "lam_max"} <= keys()
    assert "theta" not in keys()
    app.selectbox(key="optimizer").select("sgd").run()
    assert not {"rule", "gain", "lam_max", "theta"} & keys()
    assert app.select_slider(key="rho").disabled  # over the stage everything keeps its place
    assert {"lr", "momentum", "batch_size"} <= keys()


def test_a_preset_fills_the_controls(app: AppTest) -> None:
    train_page(app)
    app.selectbox(key="preset").select("cifar10").run()
    assert "--model resnet20" in command(app)
    assert app.selectbox(key="preset").value == "cifar10"
    assert "CIFAR-10 is not on this machine yet" in app.warning[0].value
    app.selectbox(key="optimizer").select("sgd").run()
    assert app.selectbox(key="preset").value is None
    app.selectbox(key="optimizer").select("samar").run()
    assert app.selectbox(key="preset").value == "cifar10"


def test_nothing_moves_when_a_run_ends(app: AppTest) -> None:
    """No box appears."""
    run, store = at_work(app), Jobs().store

    def buttons() -> list[tuple[str, bool]]:
        found = [b for b in app.button if b.key and b.key.startswith("button_")]
        return [(button.label, button.disabled) for button in found]

    def boxes() -> int:
        return len(app.error) + len(app.warning) + len(app.info)

    assert buttons() == [("Race", True)]  # the others are the stage's
    captions, before = len(app.caption), boxes()
    store.move(run, "diverged", "It *blew* up.")
    app.run()
    assert buttons() == [("Start", False), ("Race", False)]
    assert (len(app.caption), boxes()) == (captions, before)


def test_settings_that_contradict_each_other_are_answered_in_a_sentence(app: AppTest) -> None:
    train_page(app)
    app.selectbox(key="model").select("vgg16-bn").run()
    app.button(key="button_start").click().run()
    assert not app.exception
    assert "needs images of at least 32 pixels, but digits has 8" in app.error[0].value
    assert app.session_state["model"] == "vgg16-bn"
    assert Jobs().all() == []


def test_an_unknown_run_is_answered_in_a_sentence(app: AppTest) -> None:
    train_page(app, run="nothing")
    assert not app.exception
    assert "There is no run 'nothing'" in app.error[0].value


def test_a_run_on_the_page_fills_the_controls_and_an_active_one_wins_over_the_link(
    app: AppTest,
) -> None:
    run_id = Jobs().submit(TrainSettings(rho=0.33, seed=5))
    train_page(app, run=run_id, rho="0.07")
    assert app.session_state["rho"] == 0.33
    assert app.session_state["seed"] == 5
    assert app.number_input(key="seed").disabled
    assert "lr" not in {slider.key for slider in app.select_slider}  # it is on the stage


def test_a_name_from_a_person_is_never_markup(app: AppTest) -> None:
    run_id = Jobs().submit(TrainSettings(name="<b>*x*</b> $y$"))
    train_page(app, run=run_id)
    assert app.subheader[0].value == r"\<b\>\*x\*\</b\> \$y\$"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("rho", "99", "rho is '99', but it must be at most 5"),
        ("seed", "-1", "seed is '-1', but it must be at least 0"),
        ("momentum", "1", "momentum is '1', but it must be below 1"),
        ("optimizer", "adam", "optimizer is 'adam', but it must be one of"),
    ],
)
def test_a_bad_value_in_the_link_is_said(
    app: AppTest, name: str, value: str, sentence: str
) -> None:
    train_page(app, **{name: value})
    assert not app.exception
    shown = app.error[0].value.replace("\\", "")
    assert "The link holds a setting that does not fit." in shown
    assert sentence in shown
    assert app.session_state[name] == getattr(TrainSettings(), name)


NO_FIT = "The link holds a setting that does not fit."
ODD_LINKS = [
    ("train", {"preset": "*no*"}, r"There is no preset '*no*'; choose one in the list."),
    (
        "sweeps",
        {"sweep_preset": "no"},
        "There is no preset 'no'; choose one in the list.",
    ),
    ("sweeps", {"rho": "99"}, f"{NO_FIT} rho is '99', but it must be at most 5"),
    ("sweeps", {"s_seeds": "0"}, f"{NO_FIT} seeds is '0', but it must be at least 1"),
    ("landscape", {"job": "no"}, "The link names a measurement that is not here."),
    ("curvature", {"job": "no"}, "The link names a measurement that is not here."),
    ("connectivity", {"job": "no"}, "The link names a measurement that is not here."),
    ("landscape", {"l_of": "no"}, "Networks: there is no choice 'no'; choose another."),
    ("train", {"seed": "inf"}, f"{NO_FIT} seed is 'inf', but it must be a whole number"),
    ("lessons", {"lesson": "9" * 5000}, "There is no lesson “99999999999999999999”"),
]


@pytest.mark.parametrize(("page", "link", "sentence"), ODD_LINKS)
def test_what_a_link_holds_and_no_page_has_is_said(
    app: AppTest, page: str, link: dict[str, str], sentence: str
) -> None:
    app.query_params.update(link)
    app.switch_page(PAGES[page].path).run()
    assert not app.exception
    told = " ".join(each.value for each in (*app.error, *app.warning, *app.caption))
    assert sentence in told.replace("\\", "")


def test_every_visit_keeps_a_process_warm(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    monkeypatch.setattr("samar.web.service.keep", lambda: kept.append(1))
    train_page(app)
    first = len(kept)
    assert first
    app.switch_page(PAGES["runs"].path).run()
    assert len(kept) > first


READING = ["train", "runs", "sweeps", "models", "landscape", "curvature", "compare", "connectivity"]


def test_every_page_says_what_is_wrong_with_the_store(app: AppTest, samar_home: Path) -> None:
    (samar_home / "samar.db").write_text("no database" * 99)
    app.run()
    for page in READING:
        app.switch_page(PAGES[page].path).run()
        assert not app.exception, page
        assert "file is not a database" in app.error[0].value, page
