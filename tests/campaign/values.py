"""Bad values on the command line: every one is refused in one sentence, before any work.

Most are made from the declarations of the settings, so that a new setting is attacked too; the rest
is a list of what once went wrong. Nothing is started: a job that is created ends the case.
"""

import io
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.campaign.outcome import Outcome

LONG = "a" * 5000
UNTEXT = ("\udcff", "a\x00b", "a\nb", "\x1b[31m")
NO_NUMBER = ("", "many", "nan", "inf", "-inf", "1e400", "1,2", "[1, 2]", "5 kg", "0x10", "½", LONG)
NO_CHOICE = ("", "nonsense", "None", "-1", "🦆", "a b", LONG)
NO_DATA = (
    *("", " ", "mnist", "DIGITS", "folder:", "folder: ", "folder:~nouser", "folder:/none"),
    *(f"folder:{LONG}", f"folder:/{LONG}", "folder:C:\\images", "folder:~", "~", "/tmp", LONG),
)
NO_JOB = ("", "nothing", "-1", "#", "999999", "٣", "' OR 1=1 --", "%", "*", "🦆", "../..", LONG)
RUN = "1"


class _StartedError(BaseException):
    """Work began that should not have."""


@dataclass(frozen=True)
class Case:
    """One command line.

    Attributes:
        said: it may go on, with a sentence that this option has no effect.
        variables: of the environment.
    """

    words: tuple[str, ...]
    said: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        set_before = [f"{name}={value}" for name, value in self.variables]
        text = " ".join(ascii(word)[1:-1] or "''" for word in (*set_before, *self.words))
        return text if len(text) <= 100 else f"{text[:100]}… ({len(text)} characters)"


def campaign(short: bool) -> Outcome:
    """Type every bad value; the short form takes some of those made from declarations."""
    outcome = Outcome("values")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, _prepared(Path(folder)) as store:
        made = list(dict.fromkeys(_made()))
        chosen = made[::40] if short else made
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            written = [*_written(), Case(("app", "--port", port))][:: 8 if short else 1]
            for case in (*chosen, *written):
                outcome.tried += 1
                outcome.faults += [f"{case}: {fault}" for fault in _faults(case, store)]
    outcome.figures = {
        "made from declarations": f"{len(chosen):,}",
        "written by hand": f"{len(written):,}",
        "seconds": f"{time.monotonic() - began:.1f}",
    }
    return outcome


@contextmanager
def _prepared(folder: Path) -> Iterator[Any]:
    """A home with one ended run, number 1, and a store in which a new job is the end."""
    from samar.cli import parser
    from samar.jobs.job import weights_path
    from samar.jobs.store import Store
    from samar.training.settings import TrainSettings

    home, before = folder / "home", Path.cwd()
    (folder / "weights.pt").write_bytes(b"no weights")
    (folder / "run.zip").write_bytes(b"no archive")
    (folder / "file").write_text("a file", encoding="utf-8")
    (folder / "folder.csv").mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SAMAR")}
    variables |= {"SAMAR_HOME": str(home), "SAMAR_SPARE": "0"}
    with patch.dict(os.environ, variables, clear=True):
        os.chdir(folder)
        try:
            store = Store()
            store.create(TrainSettings(name="known", epochs=1))
            run = store.claim_next("long", 1)
            assert run is not None
            weights_path(run.id).parent.mkdir(parents=True, exist_ok=True)
            weights_path(run.id).write_bytes(b"no weights")
            store.move(run, "finished")
            with (
                patch.object(Store, "create", _refuse),
                patch("runpy.run_module", _refuse),
                patch("samar.jobs.service.schedule", lambda store: None),
                patch("samar.cli.parser", cache(parser)),
            ):
                yield store
        finally:
            os.chdir(before)


def _refuse(*_: Any, **__: Any) -> None:
    raise _StartedError


def _faults(case: Case, store: Any) -> list[str]:
    from samar import cli
    from samar.jobs.kind import kinds

    out, err = io.StringIO(), io.StringIO()
    status: Any
    jobs = len(store.all())
    if case.variables:  # which are read once
        kinds.cache_clear()
        cli.parser.cache_clear()  # type: ignore[attr-defined]
    with patch.dict(os.environ, case.variables), redirect_stdout(out), redirect_stderr(err):
        try:
            status = cli.main(list(case.words))
        except SystemExit as error:
            status = error.code
        except _StartedError:
            status = "started"
        except BaseException as error:
            return [f"{type(error).__name__}: {str(error)[:200]}"]
    lines = err.getvalue().splitlines()
    if "Traceback" in err.getvalue() + out.getvalue():
        return ["a traceback"]
    if len(store.all()) != jobs:
        return ["a job was left in the store"]
    notes = [line for line in lines if " has no effect " in line and "leave it out" not in line]
    if case.said:
        told = any(note.startswith(f"samar: {case.said} ") for note in notes)
        return [] if told else [f"nothing said about {case.said}: {lines}"]
    if status != 2:
        return [f"status {status}: {lines}"]
    rest = [line for line in lines if line not in notes]
    if len(rest) != 1 or not rest[0].startswith("samar: ") or out.getvalue():
        return [f"not one sentence: {str(lines)[:300]}, {out.getvalue()[:100]!r}"]
    return []


def _made() -> Iterator[Case]:
    """Values that the declarations forbid."""
    from samar.jobs.kind import kinds
    from samar.settings.declare import settings_of

    for kind in kinds().values():
        known = settings_of(kind.settings)
        verb = kind.settings.verb or kind.name
        base = (verb, *_needed(verb))
        for each in known.values():
            if each.positional or (verb == "download" and each.name == "name"):
                continue
            if each.kind is bool:
                yield Case((*base, f"{each.option}=yes"))
                yield Case((*base, each.option, each.option.replace("--", "--no-", 1)))
                continue
            for value in _bad(verb, each):
                yield Case((*base, f"{each.option}={value}"))
            for value in ("", *UNTEXT):
                yield Case((*base, each.option, value))
            yield Case((*base, each.option))
            if each.option != "--seeds":  # which is --seed and more
                yield Case((*base, each.option[:-1], "1"))
            if each.kind is not tuple:
                given = str(each.default if each.default is not None else 1) or "a"
                yield Case((*base, each.option, given, each.option, given))


def _needed(verb: str) -> tuple[str, ...]:
    """What a command cannot do without."""
    by_file = {"import": "weights.pt", "download": "cifar10", "sweep": "--grid=rho=0.1"}
    if verb in ("landscape", "hessian", "evaluate"):
        return ("weights.pt", "--model=cnn")
    if verb == "path":
        return ("weights.pt", "other.pt", "--model=cnn")
    return (by_file[verb],) if verb in by_file else ()


def _bad(verb: str, known: Any) -> Sequence[str]:
    if known.kind in (int, float):
        values = [*NO_NUMBER, *(["1.5", "1e30"] if known.kind is int else [])]
        if known.low is not None:
            values.append(str(known.low if known.above_low else known.low - 1))
        if known.high is not None:
            values += [str(known.high if known.below_high else known.high + 1), "1" + "0" * 30]
        return values
    if known.open_ended:
        return NO_DATA
    if known.choices is not None:
        return NO_CHOICE
    if known.name == "name":
        return (LONG, "a" * 81)
    return ("", "nonsense", LONG)


def _written() -> Iterator[Case]:
    """What once went wrong, or may."""
    refused = [
        *("", "nonsense", "--nonsense", "train extra", "train --epo 3", "sweep", "sweep show"),
        *("sweep --grid =1", "sweep --grid nonsense=1", "sweep --rho 0.1 --grid rho=0.2"),
        *("sweep --sampler random --range rho=1:0.1", "sweep --sampler tpe --range rho=0:1:log"),
        *("sweep --grid rho=0.1 --when rho=1:nonsense=2", "sweep show nothing", "race sgd,sam"),
        *("race --optimizers sgd", "race --optimizers sgd,sam:rho=99", "train --lr 0"),
        *("train --warmup-epochs 3 --epochs 2", "train --lam-min 5 --lam-max 1", "evaluate"),
        *("landscape 1 --points 16", "landscape 1 --directions between", "landscape 1 2"),
        *("landscape 1 --out x.doc", "landscape 1 --out folder.csv", "landscape 1@x"),
        *("evaluate weights.pt", "evaluate ~nouser/x.pt", "hessian 1@-1", "export 1 --out x.doc"),
        *("compare nothing", "jobs --kind nonsense", "import missing.pt", "import run.zip"),
        *("models --get nonsense", "download mnist", "app --port 70000", "app --port abc"),
    ]
    for text in refused:
        yield Case(tuple(text.split(" ")) if text else ())
    for verb in ("show", "stop", "delete", "resume", "evaluate", "hessian", "landscape"):
        for word in (*NO_JOB, *UNTEXT):
            yield Case((verb, word))
    yield Case(("landscape", f"{RUN}@{'9' * 5000}"))
    yield Case(("app", "--port", "9" * 5000))
    for out in (f"{LONG}.csv", "\udcff.csv", "x.csv\n"):
        yield Case(("landscape", RUN, "--out", out))
    for out in ("a" * 300 + ".html", f"tb:{LONG}", "tb:a\x00b"):
        yield Case(("export", RUN, "--out", out))
    yield Case(("import", f"/{LONG}.pt"))
    for name in ("SAMAR_MAX_RUNS", "SAMAR_MAX_MEASUREMENTS"):
        for value in ("0", "-1", "many", "1.5", "²", "9" * 5000, " "):
            yield Case(("train",), variables=((name, value),))
    for value in ("nonsense", "os", ".", "samar.kinds", "a b", LONG):
        yield Case(("train",), variables=(("SAMAR_KINDS", value),))
    idle = [
        ("train --optimizer sgd --rho 0.3", "--rho"),
        ("train --optimizer sam --gain 0.3", "--gain"),
        ("race --optimizers sgd,sam --theta 0.5", "--theta"),
        ("sweep --grid rho=0.1,0.2 --trials 5", "--trials"),
        ("hessian 1 --trace-products 50", "--trace-products"),
    ]
    for text, option in idle:
        yield Case(tuple(text.split()), said=option)
    yield Case(("download", "cifar10", "--dataset", "digits"), said="--dataset")
