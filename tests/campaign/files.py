"""Hostile files: checkpoints and archives of jobs, made here by the hundred.

Each must be refused in one sentence or be imported; no code in it runs, nothing hidden in it
reaches the terminal, and it takes neither seconds nor gigabytes.
"""

import builtins
import collections
import contextlib
import io
import json
import os
import pickle
import random
import resource
import struct
import tempfile
import time
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import safetensors.torch
import torch

from samar.cli import main
from samar.errors import HIDDEN, SamarError
from samar.exchange.archive import job_zip
from samar.jobs.engine.worker import run as work_at
from samar.jobs.store import Store
from samar.models.build import build_model
from samar.networks.checkpoint import read_checkpoint
from samar.networks.importing import inspect_file
from samar.networks.inspection import Inspection
from samar.training.settings import TrainSettings
from tests.campaign.outcome import Outcome

SECONDS, MEGABYTES = 5.0, 500
"""For one file: processor time, and growth of this process."""
SEED = 7
NASTY = "\x1b[31m\x1b]0;title\x07\u202egnp\u2066\u200b\r\n\x9b2J"
Made = Iterator[tuple[str, Any]]


def campaign(short: bool) -> Outcome:
    """Make the files, give each to the importer, and look at what came of it.

    Args:
        short: a fixed sample, in seconds.
    """
    outcome = Outcome("files")
    every = 150 if short else 1
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        mark = folder / "executed"
        with patch.dict(os.environ, {"SAMAR_HOME": str(folder / "home"), "SAMAR_SPARE": "0"}):
            for number, (what, content) in enumerate(_checkpoints(mark)):
                if number % every == 0:
                    path = _written(folder, what, content)
                    _watched(outcome, mark, what, path, partial(_read, folder))
            for number, (what, content) in enumerate(_archives(folder)):
                if number % every == 0:
                    path = _written(folder, f"{what}.zip", content)
                    _watched(outcome, mark, what, path, _imported)
    return outcome


def _read(folder: Path, path: Path) -> str:
    """Read a checkpoint and recognize its network; returns the texts that a page shows."""
    read_checkpoint(path)
    found, _ = inspect_file(path, measure=False)
    kept = folder / "inspection.json"
    kept.write_bytes(found.as_json())
    Inspection.load(kept)
    return f"{found.file} {found.problem} {found.fit.reason if found.fit else ''}"


def _imported(path: Path) -> str:
    """Import an archive by the command; returns what it and the list of jobs print."""
    return _printed(["import", str(path)]) + _printed(["jobs"])


def _printed(words: list[str]) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    text = err.getvalue().strip()
    if status == 2 and text.startswith("samar: ") and "\n" not in text:
        raise SamarError(text)
    if status != 0:
        raise AssertionError(f"status {status}: {text[:300]}")
    return out.getvalue() + text


def _watched(
    outcome: Outcome, mark: Path, what: str, path: Path, look: Callable[[Path], str]
) -> None:
    """Give one file to its reader and note every surprise."""
    outcome.tried += 1
    began, before = time.process_time(), _megabytes()
    text, fault = "", ""
    try:
        text = look(path)
    except SamarError as error:
        text = str(error)
        if len(text) > 1200 or not text.rstrip().endswith((".", ")")):
            fault = f"is refused in no short sentence: {text[:200]!r}"
    except Exception as error:  # that there is none is what is tested
        fault = f"ended with {type(error).__name__}: {str(error)[:200]!r}"
    spent, grown = time.process_time() - began, _megabytes() - before
    if hidden := {c for c in text if unicodedata.category(c) in HIDDEN and c != "\n"}:
        fault = f"printed {sorted(map(ascii, hidden))}"
    if mark.exists():
        mark.unlink()
        fault = "was executed"
    if spent > SECONDS or grown > MEGABYTES:
        fault = f"took {spent:.1f} s and {grown:.0f} MB"
    if fault:
        outcome.faults.append(f"{what} {fault}")
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _written(folder: Path, what: str, content: Any) -> Path:
    path = folder / f"file.{what.rpartition('.')[2]}"
    if isinstance(content, _Placed):
        content.put(path)
    else:
        path.write_bytes(content() if callable(content) else content)
    return path


class _Placed:
    """Something that is put in the place of a file."""

    def __init__(self, put: Callable[[Path], object]) -> None:
        self.put = put


def _too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 * 10**9)


class _Runs:
    """A pickle that would do something if it were loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


class _Storage:
    def __init__(self, numbers: int) -> None:
        self.reference = ("storage", torch.FloatStorage, "0", "cpu", numbers)


class _Claim:
    """A tensor that may claim more than its storage holds."""

    def __init__(self, numbers: int, size: Any, stride: Any, offset: int = 0) -> None:
        self.arguments = (_Storage(numbers), offset, size, stride, False)

    def __reduce__(self) -> Any:
        rebuild = torch._utils._rebuild_tensor_v2
        return rebuild, (*self.arguments, collections.OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, thing: object) -> Any:
        return thing.reference if isinstance(thing, _Storage) else None


def _by_hand(content: Any, numbers: bytes = bytes(16), way: int = zipfile.ZIP_STORED) -> bytes:
    """A file of ``torch.save``."""
    pickled, target = io.BytesIO(), io.BytesIO()
    _Pickler(pickled, 2).dump(content)
    with zipfile.ZipFile(target, "w", way) as file:
        file.writestr("w/data.pkl", pickled.getvalue())
        file.writestr("w/byteorder", "little")
        file.writestr("w/data/0", numbers)
        file.writestr("w/version", "3\n")
    return target.getvalue()


def _saved(content: Any, *, legacy: bool = False) -> bytes:
    target = io.BytesIO()
    torch.save(content, target, _use_new_zipfile_serialization=not legacy)
    return target.getvalue()


def _tensors_of(header: Any, data: bytes = bytes(64), length: int | None = None) -> bytes:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _checkpoints(mark: Path) -> Made:
    """Every class several times; the first of each class are different from one another."""
    chance = random.Random(SEED)
    torch.manual_seed(SEED)
    good = build_model("cnn", classes=10, channels=1).state_dict()
    whole = {"pt": _saved(good), "legacy.pt": _saved(good, legacy=True)}
    whole["safetensors"] = safetensors.torch.save(good, {"model": "cnn", "normalize": NASTY})
    for name, content in whole.items():
        yield f"as it was.{name}", content
    for name, content in whole.items():
        for _ in range(12):
            broken, at = bytearray(content), chance.randrange(len(content))
            broken[at] ^= 1 << chance.randrange(8)
            yield f"bit {at} flipped.{name}", bytes(broken)
        for _ in range(8):
            end = chance.randrange(len(content))
            yield f"cut off at {end}.{name}", content[:end]
        at = chance.randrange(len(content) - 200)
        yield f"noise within.{name}", content[:at] + chance.randbytes(200) + content[at + 200 :]
    runs = {
        "os.system": _Runs(os.system, f"touch {mark}"),
        "eval": _Runs(builtins.eval, f"open({str(mark)!r}, 'w').close()"),
        "exec": _Runs(builtins.exec, f"open({str(mark)!r}, 'w').close()"),
        "open": _Runs(builtins.open, str(mark), "w"),
        "torch.load": _Runs(torch.load, str(mark)),
        "getattr": _Runs(builtins.getattr, "x", "upper"),
        "numpy array": np.zeros(3),
        "bytearray": _Runs(builtins.bytearray, 10**10),
        "module": torch.nn.Linear(2, 2),
    }
    for name, thing in runs.items():
        for legacy in (False, True):
            yield (
                f"{name} alone{'.legacy' * legacy}.pt",
                partial(_saved, {"w": thing}, legacy=legacy),
            )
            yield (
                f"{name} beside{'.legacy' * legacy}.pt",
                _saved({**good, "x": thing}, legacy=legacy),
            )
    first = next(iter(good))
    for name, dtype in (
        ("float8", torch.float8_e4m3fn),
        ("complex", torch.complex64),
        ("half", torch.float16),
    ):
        other = good | {first: good[first].to(dtype)}
        yield f"{name}.pt", partial(_saved, other)
        yield f"{name}.legacy.pt", partial(_saved, other, legacy=True)
        if dtype != torch.complex64:
            yield f"{name}.safetensors", partial(safetensors.torch.save, other)
    odd = {
        "sparse": torch.eye(3).to_sparse(),
        "sparse csr": torch.eye(3).to_sparse_csr(),
        "meta": torch.ones(3, device="meta"),
        "empty": torch.empty(0),
        "expanded": torch.ones(1).expand(1000, 1000, 1000),
    }
    for name, tensor in odd.items():
        yield f"{name}.pt", partial(_saved, {"w": tensor})
        yield f"{name} beside.pt", partial(_saved, {**good, "w": tensor})
    for value in (float("nan"), float("inf"), 1e300):
        wide = {name: t.double() if t.is_floating_point() else t for name, t in good.items()}
        wide[first].view(-1)[0] = value
        yield f"{value}.pt", partial(_saved, wide)
        yield f"{value}.safetensors", partial(safetensors.torch.save, wide)
    for key in (NASTY, "a\nb", "\u202eabc", "x" * 100_000, "", ".", "module." * 5000, "\x00"):
        yield f"key {key[:5]!a}.pt", partial(_saved, {**good, key: torch.ones(1)})
        yield f"key {key[:5]!a}.safetensors", partial(safetensors.torch.save, {key: torch.ones(1)})
    deep: Any = good
    for _ in range(400):
        deep = {"model": deep}
    lists: Any = []
    for _ in range(300):
        lists = [lists]
    wrong: dict[str, Any] = {
        "a list": [torch.ones(2)],
        "a tensor": torch.ones(2),
        "an empty mapping": {},
        "wrapper of a tensor": {"state_dict": torch.ones(2)},
        "wrappers without end": deep,
        "lists without end": {"w": torch.ones(2), "x": lists},
        "many tensors": {f"w{n}": torch.ones(1) for n in range(21_000)},
        "a long pickle": {"w": torch.ones(2), "x": [[] for _ in range(600_000)]},
    }
    for name, thing in wrong.items():
        yield f"{name}.pt", partial(_saved, thing)
    big = 10**10
    for name, claim in {
        "storage": _Claim(big, (big,), (1,)),
        "size": _Claim(4, (big,), (1,)),
        "offset": _Claim(4, (4,), (1,), big),
        "stride 0": _Claim(4, (big,), (0,)),
        "negative size": _Claim(4, (-4,), (1,)),
        "not a number": _Claim(4, ("x",), (1,)),
    }.items():
        yield f"claim of {name}.pt", partial(_by_hand, {"w": claim})
    small = _Claim(4, (4,), (1,))
    yield "packed.pt", partial(_by_hand, {"w": small}, bytes(50_000_000), zipfile.ZIP_DEFLATED)
    yield "bomb of members.pt", partial(_zipped, {f"w/data/{n}": b"" for n in range(60_000)})
    yield "zip with a path.pt", partial(_zipped, {"../data.pkl": b"\x80\x02}."})
    yield (
        "torchscript.pt",
        partial(_zipped, {"w/constants.pkl": b"\x80\x02).", "w/data.pkl": b"\x80\x02)."}),
    )
    yield "endless pickle.pt", b"\x80\x02" + b"]" * 3_000_000
    yield "pickle that claims 2**40 bytes.pt", b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x"
    yield "pickle of deep tuples.pt", b"\x80\x02" + b")" + b"\x85" * 500_000 + b"."
    yield "empty.pt", b""
    yield "text.pt", b"hello\n" * 100
    yield "noise after the mark.pt", b"PK\x03\x04" + chance.randbytes(10_000)
    yield "a directory.pt", _Placed(lambda path: path.mkdir())
    yield "unreadable.pt", _Placed(lambda path: (path.write_bytes(b"x"), path.chmod(0)))
    yield "sparse and too large.pt", _Placed(_too_large)
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    headers: dict[str, Any] = {
        "huge": {"a": entry | {"shape": [big], "data_offsets": [0, 4 * big]}},
        "overflow": {"a": entry | {"shape": [2**40, 2**40]}},
        "negative": {"a": entry | {"shape": [-4]}},
        "overlap": {"a": entry, "b": entry | {"data_offsets": [8, 24]}},
        "hole": {"a": entry, "b": entry | {"data_offsets": [32, 48]}},
        "dtype": {"a": entry | {"dtype": "F4"}},
        "wrong shape": {"a": entry | {"shape": [5]}},
        "nothing": {},
        "metadata of numbers": {"__metadata__": {"model": 7}, "a": entry},
        "metadata of escapes": {"__metadata__": {"model": NASTY}, "a": entry},
        "no JSON": b"{{{{",
        "deep": b'{"a":' + b"[" * 10_000,
        "many": {
            f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(30_000)
        },
    }
    for name, header in headers.items():
        yield f"header: {name}.safetensors", partial(_tensors_of, header)
    for length in (0, 1, 10**9, 2**63, 2**64 - 1):
        yield (
            f"header of {length} bytes.safetensors",
            partial(_tensors_of, {"a": entry}, length=length),
        )


def _zipped(members: dict[str, bytes], *, way: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def _archives(folder: Path) -> Made:
    """An archive of a run, whole and broken."""
    store, chance = Store(), random.Random(SEED)
    few = {"dataset": "digits", "model": "cnn", "epochs": 1, "images_per_class": 5}
    few |= {"batch_size": 10}
    store.create(TrainSettings.parse(few))
    claimed = store.claim_next("long", 9)
    assert claimed is not None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        work_at(store, claimed)
    whole = job_zip(store, store.get(claimed.id))
    yield "archive as it was", whole
    for _ in range(60):
        broken, at = bytearray(whole), chance.randrange(len(whole))
        broken[at] ^= 1 << chance.randrange(8)
        yield f"archive with bit {at} flipped", bytes(broken)
        yield f"archive cut off at {at}", whole[:at]
    for name in ("../x.json", "/etc/x.json", "a/../../x.json", f"{NASTY}.json", "x.pkl"):
        more = io.BytesIO(whole)
        with zipfile.ZipFile(more, "a") as archive:
            archive.writestr(name, "{}")
        yield f"archive with {name!a}", more.getvalue()
    yield "archive of many members", partial(_zipped, {f"a{n}.json": b"" for n in range(60_000)})
    yield "archive of noise", b"PK\x03\x04" + chance.randbytes(1000)
    yield "archive of nothing", b""
    yield "archive that is a directory", _Placed(lambda path: path.mkdir())
