"""Hostile files: checkpoints and archives of jobs, made here by the hundred.

Each must be refused in one sentence, or be imported and then shown without a surprise; no code in
it runs, nothing hidden in it reaches the terminal, and it takes neither seconds nor gigabytes.

    python -m tests.campaign.files
"""

import builtins
import collections
import contextlib
import copy
import hashlib
import io
import json
import os
import pickle
import random
import resource
import stat
import struct
import subprocess
import tempfile
import time
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from samar.charts.curvature import convergence_figure, density_figure, eigenvalue_figure
from samar.charts.html.report import report_html
from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.charts.stage.feed import Feed, Mislabelled, Plane, StageRun
from samar.cli import main
from samar.errors import HIDDEN, DataError, SamarError
from samar.exchange.archive import job_zip
from samar.jobs.engine.worker import run as work_at
from samar.jobs.job import Job, job_dir, moment, weights_path
from samar.jobs.kind import kind_of
from samar.jobs.store import Store
from samar.jobs.summary import progress
from samar.kinds.curvature import ESTIMATE, CurvatureJobSettings, report_of
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.inspect import InspectSettings, inspection_of
from samar.kinds.landscape import LandscapeJobSettings
from samar.landscapes.result import Landscape
from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.networks.checkpoint import read_checkpoint
from samar.networks.importing import inspect_file
from samar.networks.inspection import Inspection
from samar.training.settings import TrainSettings
from tests.campaign.outcome import Outcome

SECONDS, MEGABYTES = 5.0, 500
"""For one file: processor time, and growth of this process."""
SEED = 7
NASTY = "\x1b[31m\x1b]0;title\x07\u202egnp\u2066\u200b\r\n\x9b2J"
Parts = dict[str, bytes]
Made = Iterator[tuple[str, Any]]


def campaign(short: bool) -> Outcome:
    """Make the files, give each to the importer, and look at what came of it.

    Args:
        short: a fixed sample of every class, in seconds.
    """
    outcome = Outcome("files")
    before = {name: os.environ.get(name) for name in ("SAMAR_HOME", "SAMAR_SPARE")}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ |= {"SAMAR_HOME": str(Path(folder) / "home"), "SAMAR_SPARE": "0"}
        try:
            _campaign(Path(folder), short, outcome)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
    return outcome


def _campaign(folder: Path, short: bool, outcome: Outcome) -> None:
    mark = folder / "executed"
    watch = _Watch(outcome, mark)
    archives = _archives(folder)
    every = 15 if short else 1
    for number, (what, content) in enumerate(_checkpoints(mark)):
        if number % every == 0:
            watch.checkpoint(folder, what, content)
    for kind, parts in archives.items():
        for number, (what, content) in enumerate(_broken(kind, parts, 3 if short else 16)):
            if number % every == 0:  # the first is sound
                watch.archive(folder, f"{kind}: {what}", content)
    for number, (what, content) in enumerate(_checkpoints(mark)):
        if number in ((6,) if short else (0, 6, 20, 40, 41, 60, 80)):
            watch.command(folder, what, content)
    outcome.figures = watch.figures()


class _Watch:
    """Gives files to the importer and notes every surprise."""

    def __init__(self, outcome: Outcome, mark: Path) -> None:
        self.outcome, self.mark = outcome, mark
        self.refused = self.taken = 0
        self.slowest = self.largest = (0.0, "")

    def checkpoint(self, folder: Path, what: str, content: Any) -> None:
        """Read a checkpoint and recognize its network, in this process."""

        def look(path: Path) -> str:
            read_checkpoint(path)
            found, _ = inspect_file(path, measure=False)
            kept = folder / "inspection.json"
            kept.write_bytes(found.as_json())
            Inspection.load(kept)
            return f"{found.file} {found.problem} {found.fit.reason}"

        self._watched(f"checkpoint: {what}", _written(folder, what, content), look)

    def archive(self, folder: Path, what: str, content: Any) -> None:
        """Import an archive by the command, and look at the job as pages do."""

        def look(path: Path) -> str:
            store = Store()
            known = {job.id for job in store.all()}
            told = _said(["import", str(path)])
            for job in store.all():
                if job.id not in known:
                    told += page_data(store, job)
            return told

        self._watched(f"archive: {what}", _written(folder, f"{what}.zip", content), look)

    def command(self, folder: Path, what: str, content: Any) -> None:
        """Import a checkpoint by the command, whose job has a process of its own."""
        path = _written(folder, what, content)
        look = lambda path: _said(["import", str(path), "--quick", "--dataset", "digits"])  # noqa: E731
        self._watched(f"command: {what}", path, look, 120.0, time.perf_counter)

    def _watched(
        self,
        what: str,
        path: Path,
        look: Callable[[Path], str],
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.outcome.tried += 1
        began, before = clock(), _megabytes()
        told, fault = "", ""
        try:
            told = look(path)
            self.taken += 1
        except SamarError as error:
            told = str(error)
            self.refused += 1
            if len(told) > 1200 or not told.rstrip().endswith((".", ")")):
                fault = f"is refused in no short sentence: {told[:200]!r}"
        except Exception as error:  # that there is none is what is tested
            fault = f"ended with {type(error).__name__}: {str(error)[:200]!r}"
        spent, grown = clock() - began, _megabytes() - before
        self.slowest = max(self.slowest, (spent, what))
        self.largest = max(self.largest, (grown, what))
        if "Traceback" in told:
            fault = "printed a traceback"
        hidden = {c for c in told if unicodedata.category(c) in HIDDEN and c != "\n"}
        if hidden:
            fault = f"printed {sorted(map(ascii, hidden))}"
        if self.mark.exists():
            self.mark.unlink()
            fault = "was executed"
        if spent > seconds:
            fault = f"took {spent:.1f} s"
        if grown > MEGABYTES:
            fault = f"took {grown:.0f} MB"
        if fault:
            self.outcome.faults.append(f"{what} {fault}")
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def figures(self) -> dict[str, str]:
        """For the table."""
        return {
            "refused in a sentence": str(self.refused),
            "imported and shown": str(self.taken),
            "slowest": f"{self.slowest[0]:.1f} s ({self.slowest[1]})",
            "most memory": f"{self.largest[0]:.0f} MB ({self.largest[1]})",
        }


def _megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _written(folder: Path, what: str, content: Any) -> Path:
    suffix = what.rpartition(".")[2] if "." in what else "pt"
    path = folder / f"file.{suffix}"
    if isinstance(content, _Placed):
        content.put(path)
    else:
        path.write_bytes(content() if callable(content) else content)
    return path


def _said(words: list[str]) -> str:
    """What a command printed; one that fails must do so in a sentence."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    told = err.getvalue().strip()
    if status == 2 and told.startswith("samar: ") and "\n" not in told:
        raise SamarError(told)
    if status != 0:
        raise AssertionError(f"status {status}: {told[:300]}")
    return out.getvalue() + told


def page_data(store: Store, job: Job) -> str:
    """What pages and commands make of an imported job; returns the words among it."""
    records = store.records
    steps, epochs, events = records.steps(job.key), records.epochs(job.key), records.events(job.key)
    told = [_said(["show", job.id]), job.label, job.long_label, progress(job), moment(job.created)]
    told.append(_said(["jobs"]))
    kept = records.artifacts(job.key)
    if job.kind == "train":
        shown = StageRun(
            id=job.id,
            label=job.label,
            settings=job.settings,
            steps=steps,
            epochs=epochs,
            events=events,
            optimizer=job.settings.optimizer,
            planes=[
                Plane(each.step, each.at, found)
                for each in kept
                if each.kind == "film_plane" and (found := _landscape(job, each.path))
            ],
            mislabelled=_mislabelled(
                job, [each.path for each in kept if each.kind == "mislabelled"]
            ),
        )
        json.dumps(Feed("x").message([shown]))
        report_html(store, [job])
    for each in kept:
        if each.kind in ("level", "preview", "partial") and (found := _landscape(job, each.path)):
            told += _drawn(found)
    if job.kind == "curvature":
        with contextlib.suppress(DataError):  # a page says so
            named = [(job.label, report_of(store, job))]
            eigenvalue_figure(named)
            density_figure(named)
            json.dumps(named[0][1].as_json())
        estimates = [{"product": e.step, **e.detail} for e in events if e.kind == ESTIMATE]
        convergence_figure(estimates)
    if job.kind == "inspect" and (inspection := inspection_of(job)) is not None:
        told += [inspection.file, inspection.problem, str(inspection.accuracy)]
        told += [MODELS[inspection.fit.model].title]
    from samar.web.jobs.table import _row, result_of

    _row(job, job.kind in ("train", "race"))
    return " ".join([*told, result_of(job)])


def _landscape(job: Job, path: str) -> Landscape | None:
    try:
        return Landscape.load(job_dir(job.id) / path)
    except DataError:
        return None


def _drawn(landscape: Landscape) -> list[str]:
    from samar.web.measuring.landscape import _manifest, _numbers, _reading

    scale = shared_scale([landscape], "loss", False)
    if landscape.is_plane:
        surface_figure(landscape, scale, "x")
        contour_figure(landscape, scale, "x")
    slices_figure([("x", landscape)], scale)
    return [_manifest(landscape), _numbers(landscape), *_reading(landscape)]


def _mislabelled(job: Job, paths: list[str]) -> Mislabelled | None:
    if not paths:
        return None
    with np.load(job_dir(job.id) / paths[0]) as file:
        return Mislabelled(file["images"], file["given"], file["true"], file["classes"])


# Checkpoints


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
        "Path.touch": _Runs(Path.touch, mark),
        "subprocess": _Runs(subprocess.call, ["touch", str(mark)]),
        "torch.load": _Runs(torch.load, str(mark)),
        "getattr": _Runs(builtins.getattr, "x", "upper"),
        "np.load": _Runs(np.load, str(mark)),
        "numpy scalar": np.float64(1.5),
        "numpy array": np.zeros(3),
        "bytearray": _Runs(builtins.bytearray, 10**10),
        "storage": _Runs(torch.FloatStorage, 10**10),
        "tensor": _Runs(torch.Tensor, 10**10),
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
        ("float8e5", torch.float8_e5m2),
        ("complex", torch.complex64),
        ("half", torch.float16),
        ("int", torch.int64),
        ("bool", torch.bool),
    ):
        other = good | {first: good[first].to(dtype)}
        yield f"{name}.pt", partial(_saved, other)
        yield f"{name}.legacy.pt", partial(_saved, other, legacy=True)
        if dtype != torch.complex64:
            yield f"{name}.safetensors", partial(safetensors.torch.save, other)
    odd = {
        "sparse": torch.eye(3).to_sparse(),
        "sparse csr": torch.eye(3).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "meta": torch.ones(3, device="meta"),
        "empty": torch.empty(0),
        "scalar": torch.tensor(1.0),
        "many dimensions": torch.ones([1] * 60),
        "expanded": torch.ones(1).expand(1000, 1000, 1000),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    for name, tensor in odd.items():
        yield f"{name}.pt", partial(_saved, {"w": tensor})
        yield f"{name} beside.pt", partial(_saved, {**good, "w": tensor})
    for value in (float("nan"), float("inf"), float("-inf"), 1e300):
        wide = {name: t.double() if t.is_floating_point() else t for name, t in good.items()}
        wide[first].view(-1)[0] = value
        yield f"{value}.pt", partial(_saved, wide)
        yield f"{value}.safetensors", partial(safetensors.torch.save, wide)
    for key in (NASTY, "a\nb", "\u202eabc", "x" * 100_000, "", ".", "module." * 5000, "\x00"):
        yield f"key {key[:5]!a}.pt", partial(_saved, {**good, key: torch.ones(1)})
        yield f"key {key[:5]!a} alone.pt", partial(_saved, {key: torch.ones(1)})
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
        "None": None,
        "a number": 7,
        "an empty mapping": {},
        "wrapper of a tensor": {"state_dict": torch.ones(2)},
        "wrapper of nothing": {"state_dict": {}},
        "keys that are numbers": {1: torch.ones(2)},
        "four wrappers": {"model": {"net": {"network": {"weights": good}}}},
        "wrappers without end": deep,
        "lists without end": {"w": torch.ones(2), "x": lists},
        "many tensors": {f"w{n}": torch.ones(1) for n in range(21_000)},
        "one storage, many tensors": {f"w{n}": good[first][:] for n in range(3000)},
        "a long pickle": {"w": torch.ones(2), "x": [[] for _ in range(600_000)]},
    }
    for name, thing in wrong.items():
        yield f"{name}.pt", partial(_saved, thing)
    big = 10**10
    for name, claim in {
        "storage": _Claim(big, (big,), (1,)),
        "size": _Claim(4, (big,), (1,)),
        "offset": _Claim(4, (4,), (1,), big),
        "negative offset": _Claim(4, (4,), (1,), -8),
        "stride 0": _Claim(4, (big,), (0,)),
        "negative size": _Claim(4, (-4,), (1,)),
        "2**62": _Claim(4, (2**62, 4), (0, 0)),
        "not a number": _Claim(4, ("x",), (1,)),
    }.items():
        yield f"claim of {name}.pt", partial(_by_hand, {"w": claim})
    small = _Claim(4, (4,), (1,))
    yield "packed.pt", partial(_by_hand, {"w": small}, bytes(50_000_000), zipfile.ZIP_DEFLATED)
    yield "bomb of members.pt", partial(_zipped, {f"w/data/{n}": b"" for n in range(60_000)})
    yield "another zip.pt", partial(_zipped, {"a.txt": b"x"})
    yield "zip with a path.pt", partial(_zipped, {"../data.pkl": b"\x80\x02}."})
    yield (
        "torchscript.pt",
        partial(_zipped, {"w/constants.pkl": b"\x80\x02).", "w/data.pkl": b"\x80\x02)."}),
    )
    yield "endless pickle.pt", b"\x80\x02" + b"]" * 3_000_000
    yield "pickle that claims 2**40 bytes.pt", b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x"
    yield "pickle of deep tuples.pt", b"\x80\x02" + b")" + b"\x85" * 500_000 + b"."
    yield "empty.pt", b""
    yield "empty.safetensors", b""
    yield "text.pt", b"hello\n" * 100
    yield "noise.pt", chance.randbytes(10_000)
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
        "reversed": {"a": entry | {"data_offsets": [16, 0]}},
        "beyond": {"a": entry | {"data_offsets": [0, 1 << 60]}},
        "dtype": {"a": entry | {"dtype": "F4"}},
        "type of dtype": {"a": entry | {"dtype": 7}},
        "wrong shape": {"a": entry | {"shape": [5]}},
        "no offsets": {"a": {"dtype": "F32", "shape": [4]}},
        "a list": [1, 2],
        "nothing": {},
        "metadata of numbers": {"__metadata__": {"model": 7}, "a": entry},
        "metadata of escapes": {"__metadata__": {"model": NASTY}, "a": entry},
        "no JSON": b"{{{{",
        "no Unicode": b"\xff\xfe{",
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


def _zipped(members: Parts, *, way: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


# Archives


def _archives(folder: Path) -> dict[str, Parts]:
    """The members of a sound archive of every kind that keeps something."""
    store = Store()
    run = _done(store, TrainSettings(**RUN))
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights_path(run.id).read_bytes())
    jobs = [
        run,
        _done(store, LandscapeJobSettings(network=run.id, points=5, images=16)),
        _done(store, CurvatureJobSettings(network=run.id, top=2, tol=0.1, images=16)),
        _done(store, EvaluateSettings(network=run.id, images=32)),
        _done(store, InspectSettings(file=str(weights), dataset="digits", quick=True)),
    ]
    found = {}
    for job in jobs:
        with zipfile.ZipFile(io.BytesIO(job_zip(store, job))) as archive:
            found[job.kind] = {name: archive.read(name) for name in archive.namelist()}
    return found


RUN: dict[str, Any] = {
    "dataset": "digits",
    "model": "cnn",
    "optimizer": "samar",
    "epochs": 1,
    "batch_size": 250,
    "label_noise": 0.2,
    "film_every": 1,
    "curvature_every": 1,
    "probe_share": 0.5,
}


def _done(store: Store, settings: Any) -> Job:
    """A job of these settings, done in this process."""
    prepare = kind_of(settings.kind).prepare
    inputs = prepare(store, settings) if prepare else {}
    made = store.create(settings, inputs=inputs)
    claimed = store.claim_next(kind_of(settings.kind).lane or "", 9)
    assert claimed is not None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        work_at(store, claimed)
    job = store.get(made)
    assert job.status == "finished", job.message
    return job


def _packed(parts: Parts, **facts: Any) -> bytes:
    """A zip of these members, with a manifest that fits them."""
    manifest = json.loads(parts["manifest.json"]) | facts
    made: Any = {name: c() if callable(c) else c for name, c in parts.items()}
    others = {name: content for name, content in made.items() if name != "manifest.json"}
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in others.items()
    }
    return _zipped(others | {"manifest.json": json.dumps(manifest).encode()})


def _values() -> list[Any]:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    return [
        *(10**400, -1, 2**63, 2**53, 1e300, -1e300, 0, 1.5, float("nan"), float("inf")),
        *(True, None, "", NASTY, "x" * 100_000, "<b>*x*</b>", "../../x", "/etc/x"),
        *([], {}, [[]], [None], {"": {}}, deep, ["x"] * 1000, {NASTY: NASTY}, "folder:/none"),
    ]


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be replaced in JSON."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value[:3])
    for name, each in inner:
        yield (*before, name)
        yield from _places(each, (*before, name))


def _replaced(content: Any, chance: random.Random) -> tuple[str, Any]:
    """A copy of JSON with one value replaced, or gone, or one more."""
    changed = copy.deepcopy(content)
    places = list(_places(changed))
    if not places:
        return "nothing", _values()[chance.randrange(len(_values()))]
    *way, last = chance.choice(places)
    target = changed
    for name in way:
        target = target[name]
    choice = chance.randrange(10)
    if choice == 0:
        del target[last]
        return f"{last!a:.40} gone", changed
    value = chance.choice(_values())
    if choice == 1 and isinstance(target, dict):
        target[NASTY] = value
    else:
        target[last] = value
    return f"{'.'.join(map(str, way))}.{last!a:.40} = {value!a:.30}", changed


def _broken(kind: str, parts: Parts, each: int) -> Made:
    """An archive, broken in many ways.

    Args:
        each: how many random changes of every part.
    """
    chance = random.Random(f"{SEED} {kind}")
    manifest = json.loads(parts["manifest.json"])
    whole = _packed(parts)
    yield "as it was", whole
    for _ in range(each):
        what, run = _replaced(manifest["run"], chance)
        yield f"manifest: run: {what}", partial(_packed, parts, run=run)
    for _ in range(each // 2):
        what, listed = _replaced(manifest["artifacts"], chance)
        yield f"manifest: artifacts: {what}", partial(_packed, parts, artifacts=listed)
    jsons = [
        n for n in parts if n.endswith(".json") and n not in ("manifest.json", "curvature.json")
    ]
    for name in jsons:
        for _ in range(each if name != "config.json" else each // 3):
            what, content = _replaced(json.loads(parts[name]), chance)
            yield f"{name}: {what}", partial(_packed, parts | {name: json.dumps(content).encode()})
        for what, raw in {
            "deep": b"[" * 100_000 + b"]" * 100_000,
            "digits": b'{"a": ' + b"9" * 5000 + b"}",
            "many values": b"[" + b"0," * 2_000_000 + b"0]",
            "no JSON": b"{",
            "no Unicode": b"\xff\xfe",
            "empty": b"",
        }.items():
            yield f"{name}: {what}", partial(_packed, parts | {name: raw})
    for name in (n for n in parts if n.endswith(".npz")):
        for what, content in _arrays(parts[name], chance, each // 3):
            yield f"{name}: {what}", partial(_packed, parts | {name: content})
    for name in ("steps.csv", "epochs.csv"):
        if name in parts:
            for what, content in _tables(parts[name]):
                yield f"{name}: {what}", partial(_packed, parts | {name: content})
    yield from _containers(parts, whole, chance, each)


def _arrays(content: bytes, chance: random.Random, each: int) -> Iterator[tuple[str, bytes]]:
    """An archive of arrays, broken."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}

    def saved(**changed: Any) -> bytes:
        target = io.BytesIO()
        np.savez_compressed(
            target, **{n: a for n, a in (arrays | changed).items() if a is not None}
        )
        return target.getvalue()

    for name, array in arrays.items():
        if array.ndim:
            yield f"{name} shorter", partial(saved, **{name: array[:-1]})
            yield f"{name} flat", partial(saved, **{name: array.ravel()})
            yield f"{name} deeper", partial(saved, **{name: array[None]})
            yield f"{name} of words", partial(saved, **{name: array.astype("U9")})
            yield f"{name} complex", partial(saved, **{name: np.full(array.shape, 1j)})
            yield f"{name} empty", partial(saved, **{name: array[:0]})
            if array.dtype.kind == "f":
                yield f"{name} not finite", partial(saved, **{name: np.full_like(array, np.nan)})
                yield f"{name} enormous", partial(saved, **{name: np.full_like(array, 1e308)})
        yield f"{name} gone", partial(saved, **{name: None})
        yield f"{name} pickled", partial(saved, **{name: np.array([{}], dtype=object)})
    if "text" in arrays:
        for _ in range(each):
            what, text = _replaced(json.loads(str(arrays["text"])), chance)
            with contextlib.suppress(ValueError):
                yield f"text: {what}", partial(saved, text=np.array(json.dumps(text)))
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**11,)}
    np.lib.format.write_array_header_1_0(header, shape)
    yield "a claim of 800 GB", partial(_zipped, {"loss.npy": header.getvalue() + bytes(80)})
    yield "a bomb", partial(saved, more=np.zeros((2000, 2000)))
    yield "another zip", partial(_zipped, {"x.txt": b"x"})
    yield "no zip", b"x" * 100


def _tables(content: bytes) -> Iterator[tuple[str, bytes]]:
    """A table, broken."""
    head, *rows = content.splitlines()
    width = head.count(b",") + 1

    def with_first(value: bytes, column: int = 0) -> bytes:
        values = rows[0].split(b",")
        values[column] = value
        return b"\n".join([head, b",".join(values), *rows[1:], b""])

    for value in (
        b"1e300",
        b"9" * 400,
        b"-1",
        b"0",
        b"nan",
        b"inf",
        b"1.5",
        b"x",
        b"",
        b'"1',
        b"1\x00",
    ):
        yield f"step {value[:10]!a}", with_first(value)
    for value in (b"1e300", b"9" * 400, b"1e-400", b"1e400", b"inf", b"\xff", b"\x1b[31m"):
        yield f"last value {value[:10]!a}", with_first(value, width - 1)
    many = b",".join(b"c%d" % n for n in range(200_000))
    yield "many columns", b"\n".join([head + b"," + many, *rows, b""])
    yield "many columns, one name", b"\n".join([b",".join([head] * 500), *rows, b""])
    yield "many values in a row", b"\n".join([head, rows[0] + b",1" * 300_000, *rows[1:], b""])
    yield "few values in a row", b"\n".join([head, b"1", *rows[1:], b""])
    yield "an endless line", head + b"\n" + b"1" * 9_000_000
    yield "no rows", head + b"\n"
    yield "nothing", b""
    yield "names only of escapes", NASTY.encode().replace(b"\n", b"") + b"\n"
    yield "carriage returns", b"\r".join([head, *rows])
    yield "lines of Windows", b"\r\n".join([head, *rows, b""])
    yield "a mark at the beginning", b"\xef\xbb\xbf" + content
    yield "rows upside down", b"\n".join([head, *rows[::-1], b""])
    yield "a row twice", b"\n".join([head, rows[0], *rows, b""])
    yield "empty lines", b"\n\n".join([head, *rows])


def _containers(parts: Parts, whole: bytes, chance: random.Random, each: int) -> Made:
    """The zip itself, broken."""
    for _ in range(each // 3):
        broken, at = bytearray(whole), chance.randrange(len(whole))
        broken[at] ^= 1 << chance.randrange(8)
        yield f"bit {at} flipped", bytes(broken)
        yield f"cut off at {at}", whole[:at]
    for name in (
        "../x.json",
        "/etc/x.json",
        "a/../../x.json",
        "C:\\x.json",
        f"{NASTY}.json",
        "x.pkl",
    ):
        yield f"a member {name!a}", partial(_packed, parts | {name: b"{}"})
        kept = [*json.loads(parts["manifest.json"])["artifacts"]]
        kept.append({"kind": "x", "step": 0, "path": name, "at": 0.0, "summary": {}})
        yield f"an artifact {name!a}", partial(_packed, parts | {name: b"{}"}, artifacts=kept)
    for name in ("members/00000001.zip", "members/x.json"):
        kept = [{"kind": "x", "step": 0, "path": name, "at": 0.0, "summary": {}}]
        yield f"an artifact {name}", partial(_packed, parts | {name: whole}, artifacts=kept)
    yield "members within members", partial(_nested, parts)
    yield (
        "the same member often",
        _packed(parts | {f"members/0000000{n}.zip": whole for n in range(3)}),
    )
    for name in parts:
        yield (
            f"{name} gone",
            _packed({n: c for n, c in parts.items() if n != name} | _manifest(parts)),
        )
        yield f"{name} without its checksum", partial(_zipped, parts | {name: parts[name] + b" "})
        yield (
            f"{name} empty",
            _packed(parts | {name: b"" if name != "manifest.json" else parts[name]}),
        )
    target = io.BytesIO(whole)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("config.json", "{}")
    yield "two members of one name", target.getvalue()
    link = zipfile.ZipInfo("weights.safetensors")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    target = io.BytesIO(_packed({n: c for n, c in parts.items() if n != link.filename}))
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    yield "a symbolic link", target.getvalue()
    yield "a bomb by ratio", partial(_packed, parts | {"big.json": b"0" * 30_000_000})
    yield "many members", partial(_zipped, {f"a{n}.json": b"" for n in range(60_000)})
    yield "format 99", partial(_packed, parts, format_version=99)
    yield "a format of escapes", partial(_packed, parts, format_version=NASTY)
    yield "another format", partial(_packed, parts, format=[NASTY])
    yield "no zip", b"PK\x03\x04" + chance.randbytes(1000)
    yield "empty", b""
    yield "a directory", _Placed(lambda path: path.mkdir())


def _nested(parts: Parts) -> bytes:
    inner = _packed(parts)
    for _ in range(6):
        inner = _packed(parts | {"members/00000001.zip": inner})
    return inner


def _manifest(parts: Parts) -> Parts:
    return {"manifest.json": parts["manifest.json"]}


if __name__ == "__main__":
    found = campaign(short=False)
    print(f"{found.tried} files, {len(found.faults)} faults")
    for name, figure in found.figures.items():
        print(f"{name}: {figure}")
    for fault in found.faults:
        print(ascii(fault))
