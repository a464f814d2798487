"""Pages over a store with three short runs, for what is measured on trained networks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.cli import main
from samar.web.service import service

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with runs of SGD, SAM and SAMAR, called so, of three steps each."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMAR_HOME", str(home))
        for seed, optimizer in enumerate(("sgd", "sam", "samar")):
            words = f"train --epochs 3 --images-per-class 10 --seed {seed} --optimizer {optimizer}"
            assert main([*words.split(), "--name", optimizer]) == 0
    return home


@pytest.fixture
def trained_app(trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over that home."""
    monkeypatch.setenv("SAMAR_HOME", str(trained_home))
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60).run()
