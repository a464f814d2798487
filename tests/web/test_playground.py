"""The Playground page without a browser: what a link restores, what is told, what is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.playground.presets import PRESETS
from samar.playground.settings import PlaygroundSettings
from samar.web.pages import PAGES
from samar.web.playground import page as playground_page

APP = Path(__file__).parents[2] / "samar/web/main.py"


@pytest.fixture
def app(samar_home: Path) -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=60)


def playground(app: AppTest, **query: Any) -> AppTest:
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(PAGES["playground"].path).run()
    assert not app.exception
    return app


def told(app: AppTest) -> str:
    return " ".join(element.value for element in app.markdown)


def figure(app: AppTest) -> dict[str, Any]:
    (chart, _) = app.get("bidi_component")
    return json.loads(json.loads(chart.proto.json)["figure"])


def start_of(app: AppTest) -> tuple[float, float]:
    start = next(trace for trace in figure(app)["data"] if trace.get("meta") == "start")
    return start["x"][0], start["y"][0]


def test_tells_what_happened(app: AppTest) -> None:
    text = told(playground(app))
    assert "SGD ended at the bottom of the **sharp** valley (curvature 40)." in text
    assert "SAM, VaSSO and SAMAR ended at the bottom of the **flat** valley (curvature 1)." in text
    assert "SAMAR's λ moved between" in text


def test_a_link_restores_every_control(app: AppTest) -> None:
    playground(
        app, p_rho="0.1", p_x="-1.4", p_seed="3", p_rule="power", p_gamma="0.5", p_sharp="60"
    )
    assert start_of(app)[0] == -1.4
    assert "(curvature 60)" in told(app)
    assert app.slider(key="p_gamma").value == 0.5
    assert app.number_input(key="p_seed").value == 3
    assert app.slider(key="p_rho").value == 0.1


def test_a_setting_in_the_link_that_does_not_fit_is_said(app: AppTest) -> None:
    playground(app, p_rho="9", p_optimizers="SAM")
    assert "rho is '9', but it must be at most 2" in app.warning[0].value.replace("\\", "")
    assert app.slider(key="p_rho").value == 0.7


def test_a_link_may_name_a_preset(app: AppTest) -> None:
    playground(app, p_preset="large_rho")
    assert "**diverged** after" in told(app)
    assert app.slider(key="p_walls").value == 2.0


def test_own_settings_have_no_preset(app: AppTest) -> None:
    playground(app, p_rho="0.55")
    assert app.selectbox(key="p_preset").value is None
    assert "Two round valleys side by side" in told(app)
    app.button(key="playground_reset").click().run()
    assert app.slider(key="p_rho").value == 0.7


def test_presets_fill_and_reset_puts_back(app: AppTest) -> None:
    playground(app)
    for name in PRESETS:
        app.selectbox(key="p_preset").select(name).run()
        assert not app.exception
        assert not app.error
        assert PRESETS[name].help in told(app)
    app.slider(key="p_rho").set_value(1.3).run()
    app.button(key="playground_reset").click().run()
    assert app.slider(key="p_rho").value == 0.1


def test_another_loss_moves_the_start(app: AppTest) -> None:
    playground(app)
    app.selectbox(key="p_landscape").select("ravine").run()
    assert start_of(app) == (-1.2, 1.6)
    assert app.slider(key="p_bend").value == 10.0


def test_contradictions_are_answered_in_a_sentence(app: AppTest) -> None:
    playground(app)
    app.slider(key="p_lam_min").set_value(2.0).run()
    assert not app.exception
    shown = app.error[0].value.replace("\\", "")
    assert "λ starts at 1, outside its bounds 2 to 3" in shown


def test_no_optimizer_is_answered(app: AppTest) -> None:
    playground(app)
    app.button_group(key="p_optimizers").set_value([]).run()
    assert not app.exception
    assert "Choose at least one optimizer" in app.info[0].value


def test_messages_stay_small(app: AppTest) -> None:
    playground(app)
    sizes = [chart.proto.ByteSize() for chart in app.get("bidi_component")]
    assert sum(sizes) < 160_000


def test_only_what_concerns_an_optimizer_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    one = PlaygroundSettings(steps=10)
    playground_page._path.clear()
    monkeypatch.setattr(
        "samar.web.playground.page.descend_with", lambda settings, name: moved.append(name)
    )
    for changes in ({}, {"theta": 0.5}, {}, {"rule": "power"}, {"rho": 0.2}):
        playground_page.compute(one.changed(**changes))
    playground_page._path.clear()
    assert moved == [
        *("sgd", "sam", "vasso", "samar"),
        "vasso",
        "samar",
        *("sam", "vasso", "samar"),
    ]
