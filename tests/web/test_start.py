"""The start page: its sentence, and doors that lead somewhere."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.charts.stage.recorded import memorized
from samar.kinds.race import RaceSettings
from samar.recordings import recording
from samar.training.presets import PRESETS
from samar.web import start
from samar.web.service import service

APP = Path(__file__).parents[2] / "samar/web/main.py"


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60).run()


def test_every_door_leads_somewhere(app: AppTest) -> None:
    assert not app.exception
    pages = {link.proto.page for link in app.get("page_link")}
    assert {"lessons", "train", "compare", "glossary"} <= pages
    assert app.button(key="train_now")
    app.button(key="play_now").click().run()
    assert not app.exception
    assert any(heading.value == "Playground" for heading in [*app.title, *app.header])


def test_the_sentence_is_what_was_recorded(app: AppTest) -> None:
    samar = recording(start.RECORDING).runs[start.SAMAR]
    (sentence,) = (m.value for m in app.markdown if "wrong labels" in m.value)
    assert "SGD memorizes the wrong labels; SAMAR mostly does not" in sentence
    assert f"({memorized(samar):.0f} %)" in sentence
    assert f"{100 * samar.config['label_noise']:.0f} % of them with a wrong label" in sentence


def test_race_them_now_races_the_two_of_the_recording(app: AppTest) -> None:
    app.button(key="race_now").click().run()
    (race,) = service().all("race")
    assert isinstance(race.settings, RaceSettings)
    assert race.settings.entries == ("sgd", "samar")
    shown = recording(start.RECORDING).runs[start.SAMAR].config
    changes = PRESETS["noisy_digits"].changes | {"rho": shown["rho"]}
    assert changes == {name: getattr(race.settings, name) for name in changes}
    assert app.query_params["run"] == race.id
