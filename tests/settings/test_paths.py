"""Where a person's paths lead, and where a result can be written."""

from pathlib import Path

import pytest

from samar.errors import ConfigError
from samar.settings.paths import expanded, out_file, out_folder

LONG = "a" * 5000


def test_a_home_folder_is_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/x.csv") == tmp_path / "x.csv"
    monkeypatch.chdir(tmp_path)
    assert expanded("x.csv") == tmp_path / "x.csv"
    with pytest.raises(ConfigError, match="'~nouser/x' begins in a folder that is not known"):
        expanded("~nouser/x")


def test_a_file_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert out_file("x.csv", (".csv",)) == tmp_path / "x.csv"
    (tmp_path / "x.csv").touch()
    assert out_file(tmp_path / "x.csv", (".npz", ".csv")) == tmp_path / "x.csv"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("x.doc", "--out is 'x.doc', but it must end in .csv or .npz."),
        ("none/x.csv", "There is no folder .*none; make it, or choose another --out."),
        ("file/x.csv", "There is no folder .*file; make it"),
        ("folder.csv", "--out is 'folder.csv', which is no file; choose another name."),
        ("~nouser/x.csv", "begins in a folder that is not known"),
    ],
)
def test_a_file_that_cannot_be_written(
    path: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match=sentence):
        out_file(path, (".csv", ".npz"))


def test_a_folder_is_made_where_that_can_be(tmp_path: Path) -> None:
    assert out_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(ConfigError, match="file is a file, not a folder; choose another --out"):
            out_folder(path)
    with pytest.raises(ConfigError, match="--out names no folder"):
        out_folder("")
