import pickle
from pathlib import Path

import pytest

from samar.errors import CheckpointError, shown, shown_values
from samar.settings.job import JobSettings
from samar.settings.paths import told_apart


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ρ 0.1 · été 数据", "ρ 0.1 · été 数据"),
        ("two\nlines\r\n\tthree", "two lines three"),
        ("\x1b[31mred\x1b[0m", " [31mred [0m"),
        ("\x9b31m", " 31m"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("\u2066a\u2069\u200b\ufeff", "a"),
        ("half \ud800", "half "),
        ("\u0645\u06cc\u200c\u062e\u06a9 \U0001f468\u200d\U0001f4bb",) * 2,
        ("\U000e0041tag", "tag"),
        ("\u2028line\u2029", " line "),
    ],
)
def test_nothing_hidden_is_left(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert shown(expected) == expected


def test_it_is_shortened() -> None:
    assert shown("x" * 100_000, 10) == "x" * 9 + "…"
    assert len(shown("x" * 100_000)) == 2000


def test_plain_values_keep_their_numbers() -> None:
    values = {"a\n": ["\x07", 1, 2.5, None, True], "b": ({"c": "\u202e"},)}
    assert shown_values(values) == {"a ": [" ", 1, 2.5, None, True], "b": [{"c": ""}]}


def test_every_sentence_is_safe_and_survives_pickling() -> None:
    error = CheckpointError("bad\n\x1b]0;title\x07 file \u202e")
    assert str(error) == "bad ]0;title  file "
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_names_are_plain() -> None:
    assert JobSettings(name=" a\x1b[31m\u202e b\n").name == "a [31m b"


def test_two_files_of_one_name_are_told_apart() -> None:
    assert told_apart("/a/one.pth", "/a/two.pth") == ["one.pth", "two.pth"]
    assert told_apart("/a/b/w.pth", "/a/c/w.pth") == [str(Path(each, "w.pth")) for each in "bc"]
    assert told_apart("a/x/w.pth", "b/x/w.pth") == [str(Path(n, "x/w.pth")) for n in "ab"]
    assert told_apart("w.pth", "b/w.pth") == ["w.pth", str(Path("b/w.pth"))]
    assert told_apart("a/w.pth", "a/w.pth") == ["w.pth", "w.pth"]
