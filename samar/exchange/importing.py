"""Importing the zip of a job: checksums, limits and the loader of each result decide."""

import hashlib
import json
import re
import shutil
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import safetensors
import sqlalchemy as sa
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from samar.connectivity.result import Connection
from samar.curvature.result import Report
from samar.data.sources.download import digest_of
from samar.errors import DataError, SamarError, shown, shown_values
from samar.exchange import checked_zip
from samar.exchange.archive import COUNTS, FORMAT, FORMAT_VERSION
from samar.exchange.checked_zip import copy_member, opened_zip
from samar.home import jobs_folder
from samar.jobs.edits import count_edits
from samar.jobs.job import ARCHIVE, PERSON, RANKS, RESUMABLE, job_dir, unnumbered
from samar.jobs.kind import kind_of, trains
from samar.jobs.records import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    Artifact,
    Event,
    insert_epochs,
    insert_events,
)
from samar.jobs.sql import blocks, schema
from samar.jobs.store import Store, new_row
from samar.jobs.training_records import EpochRecord
from samar.kinds.connectivity import PATHS, PLANES
from samar.kinds.curvature import REPORT
from samar.kinds.inspect import FOUND
from samar.kinds.landscape import LEVEL, PARTIAL, PREVIEW
from samar.landscapes.result import Landscape
from samar.networks.inspection import Inspection
from samar.settings.command import json_line
from samar.settings.job import JobSettings

SAFE = r"(?:[a-z0-9_]{1,40}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,80}"
MEMBER = r"members/[0-9a-f]{8}\.zip"
NAMES = (MEMBER, rf"{SAFE}\.(?:json|csv|parquet|npz|safetensors)")
ARRAYS = (r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,39}/){0,3}[A-Za-z_0-9]{1,40}\.npy",)
MOST_ARRAYS = 640 << 20
MOST_JSON, MOST_TABLE = 32 << 20, 1 << 30
NEEDED, TABLES = ("config.json", "events.json"), ("steps.csv", "epochs.csv")
COPIES = ("curvature.json", "steps.parquet", "epochs.parquet")
"""Members for people; what they hold stands elsewhere in the archive too."""
IMPORTED = "imported"
_LANDSCAPES = (LEVEL, PREVIEW, PARTIAL, *PLANES.values())
LOADERS: Mapping[str, Callable[[Path], Any]] = {
    **dict.fromkeys(_LANDSCAPES, Landscape.load),
    PATHS: Connection.load,
    REPORT: lambda path: Report.from_json(json.loads(path.read_bytes())),
    FOUND: Inspection.load,
}
"""By the kind of an artifact, the function that the pages read it with."""


class _Run(BaseModel):
    """The part of a manifest that becomes a row of jobs."""

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    kind: str
    status: str
    message: str
    created: FiniteFloat
    started: FiniteFloat | None
    finished: FiniteFloat | None
    steps: int = Field(ge=0)
    total_steps: int | None = Field(ge=0)
    device: str | None
    tags: list[str]
    inputs: dict[str, Any]
    summary: dict[str, Any]


class _File(BaseModel):
    sha256: str


class _Manifest(BaseModel):
    format: Literal["samar job"]
    format_version: int
    run: _Run
    files: dict[str, _File]
    artifacts: list[Artifact]


@dataclass(frozen=True, eq=False)
class _Content:
    """Settings and records of a job; ``steps`` None where it is no training run."""

    settings: JobSettings
    events: list[Event]
    steps: np.ndarray | None = None
    epochs: Sequence[EpochRecord] = ()


def import_job(
    source: Path | BinaryIO,
    store: Store | None = None,
    *,
    parent: str | None = None,
    most: int | None = None,
    mark: Mapping[str, Any] | None = None,
) -> str:
    """Put the job of a zip into the store, tagged ``imported``; all of it, or nothing.

    Its id is kept if no job here has it. Every member is compared with its checksum. It never
    stands as the answer to a question asked here.

    Args:
        source: a file, or its content.
        store: the default one if None.
        parent: the job that owns it.
        most: bytes that it may unpack to; the usual limit if None.
        mark: entries for its inputs that say who imported it, as
            :func:`samar.jobs.roles.mark_of` gives them.

    Returns:
        The job's id here.

    Raises:
        DataError: the file is not such a zip, is damaged or refused, or its settings do not fit
            this samar.
    """
    store = store or Store()
    what = source.name if isinstance(source, Path) else "The uploaded file"
    if isinstance(source, Path) and not source.is_file():
        raise DataError(f"There is no file {source}; check the path.")
    folder = jobs_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=folder) as scratch:
        files, inner = Path(scratch, "files"), Path(scratch, "members")
        files.mkdir()
        inner.mkdir()
        with opened_zip(source, NAMES, what, most) as archive:
            manifest = _manifest(archive, what)
            members = [n for n in archive.namelist() if re.fullmatch(MEMBER, n) and not parent]
            _unpack(archive, manifest, members, files, what)
        try:
            content = _read(manifest, files)
        except (
            *(ArithmeticError, LookupError, TypeError, ValueError, EOFError),
            *(OSError, MemoryError, RecursionError, SamarError),
        ) as error:
            raise DataError(
                f"{what} does not fit this samar ({shown(error, 300)}); export the job again."
            ) from None
        inputs = {**(mark or {}), ARCHIVE: _digest(source)}
        job_id = _adopt(manifest, content, files, store, parent, inputs)
        # In the order of the archive, which is that of their creation.
        _import_members([inner / Path(name).name for name in members], store, job_id)
    return job_id


def _digest(source: Path | BinaryIO) -> str:
    """The SHA-256 of a file or of its content."""
    if isinstance(source, Path):
        return digest_of(source, "sha256")
    source.seek(0)
    return hashlib.sha256(source.read()).hexdigest()


def _import_members(files: Sequence[Path], store: Store, owner: str) -> None:
    """Import the jobs that a job owns; together they may unpack to what one archive may."""
    left = checked_zip.MOST_BYTES
    try:
        for path in files:
            import_job(path, store, parent=owner, most=left)
            with zipfile.ZipFile(path) as archive:
                left -= sum(member.file_size for member in archive.infolist())
    except BaseException:
        for gone in store.delete(owner):
            shutil.rmtree(job_dir(gone), ignore_errors=True)
        raise


def _manifest(archive: zipfile.ZipFile, what: str) -> _Manifest:
    other = f"{what} is a zip file, but not of a job; give one that samar's export has written."
    try:
        if archive.getinfo("manifest.json").file_size > MOST_JSON:
            raise DataError(other)
        content = _plain_json(archive.read("manifest.json"))
    except (KeyError, ValueError, RecursionError):
        raise DataError(other) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(other)
    if (version := content.get("format_version")) != FORMAT_VERSION:
        raise DataError(
            f"{what} has format {version!r:.20}, but this samar reads {FORMAT_VERSION}; "
            "update samar, or export the job with this version."
        )
    try:
        manifest = _Manifest.model_validate(content)
        needed = (*NEEDED, *TABLES) if trains(manifest.run.kind) else NEEDED
        listed = {artifact.path for artifact in manifest.artifacts}
        if absent := {*needed, *listed} - set(manifest.files):
            raise ValueError(f"it lacks {min(absent)!r}")
        if set(manifest.files) != set(archive.namelist()) - {"manifest.json"}:
            raise ValueError("it lists other files than there are")
    except ValueError as error:
        raise DataError(
            f"The manifest of {what} is not sound ({shown(error, 200)}); export the job again."
        ) from None
    return manifest


def _unpack(
    archive: zipfile.ZipFile, manifest: _Manifest, members: Sequence[str], target: Path, what: str
) -> None:
    """Copy what is kept into a folder, members into the one beside it, comparing checksums."""
    listed = {artifact.path for artifact in manifest.artifacts}
    for name, facts in manifest.files.items():
        if name not in {*NEEDED, *TABLES, *COPIES, *members, *listed}:
            raise DataError(f"{what} holds {name!r}, which does not belong there, and is refused.")
        most = {".json": MOST_JSON, ".csv": MOST_TABLE}.get(Path(name).suffix)
        if most and archive.getinfo(name).file_size > most:
            raise DataError(f"{name} in {what} is larger than {most >> 20} MB and is refused.")
        path = target.parent / name if name in members else target / name
        path.parent.mkdir(exist_ok=True)
        if copy_member(archive, name, path) != facts.sha256:
            raise DataError(
                f"{name} in {what} does not have the checksum of the manifest: it was changed or "
                "damaged; export or copy it again."
            )


def _read(manifest: _Manifest, files: Path) -> _Content:
    """Settings and records from the files of an archive; raises what their loaders raise."""
    for artifact in manifest.artifacts:
        _check_artifact(files / artifact.path, artifact.kind)
    config = json.dumps(_plain_json((files / "config.json").read_bytes()))
    settings = kind_of(manifest.run.kind).settings.stored(config)
    happened = _plain_json((files / "events.json").read_bytes())
    events = TypeAdapter(list[Event]).validate_python(happened)
    if not trains(manifest.run.kind):
        return _Content(settings, events)
    steps = _table(files / "steps.csv", STEP_COLUMNS)
    rows = _table(files / "epochs.csv", EPOCH_COLUMNS).tolist()
    named = [dict(zip(EPOCH_COLUMNS, row, strict=True)) for row in rows]
    epochs = [EpochRecord(**row | {name: int(row[name]) for name in COUNTS}) for row in named]
    return _Content(settings, events, steps, epochs)


def _table(path: Path, names: Sequence[str]) -> np.ndarray:
    """The rows of a table of an archive, the same float64 bit for bit."""
    with path.open(encoding="utf-8") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no rows
        header = file.readline().rstrip().split(",")
        if header != list(names):
            raise ValueError(f"{path.name} has other columns than a run's")
        rows = np.loadtxt(file, delimiter=",", comments=None, ndmin=2).reshape(-1, len(names))
    if not (np.diff(rows[:, 0], prepend=-1) > 0).all():
        raise ValueError(f"{path.name} holds steps that do not ascend")
    return rows


def _adopt(
    manifest: _Manifest,
    content: _Content,
    files: Path,
    store: Store,
    parent: str | None,
    inputs: Mapping[str, Any],
) -> str:
    """Insert a job with its records under an id that is free, and move its files there."""
    row = new_row(content.settings, parent) | _row(manifest.run) | {"fingerprint": None}
    row["inputs"] = json_line({**_inputs_from(manifest.run.inputs), **inputs})
    summary = count_edits(manifest.run.summary, content.events)
    if content.steps is not None:
        row["done"] = int(content.steps[-1, 0]) if len(content.steps) else 0
        # It does not go on here, in however many processes.
        summary = {n: v for n, v in summary.items() if n not in ("epoch", RANKS)}
        if content.epochs:
            summary["epoch"] = asdict(content.epochs[-1])
    row["summary"] = json_line(summary)
    with store.database.write() as db:
        table = schema.jobs
        if db.execute(sa.select(table.c.key).where(table.c.id == row["id"])).first():
            row["id"] = new_row(content.settings)["id"]
        (key,) = db.execute(table.insert().values(**row)).inserted_primary_key or (0,)
        if content.steps is not None:
            blocks.append(db, key, content.steps)
        insert_epochs(db, key, content.epochs)
        insert_events(db, key, content.events)
        if manifest.artifacts:
            lines = [
                {"job": key, **vars(each), "summary": json_line(each.summary)}
                for each in manifest.artifacts
            ]
            db.execute(schema.artifacts.insert(), lines)
        for name in (*NEEDED, *TABLES, *COPIES):
            (files / name).unlink(missing_ok=True)
        target = job_dir(row["id"])
        shutil.rmtree(target, ignore_errors=True)  # left behind by a deleted job
        files.rename(target)
    return str(row["id"])


def _row(facts: _Run) -> dict[str, Any]:
    """Columns of a job's row, from its manifest; one that had not ended does not go on here."""
    ended = facts.status in (*RESUMABLE, "finished", "diverged")
    words = [word for word in " ".join(facts.tags).split() if word != IMPORTED]
    return {
        **facts.model_dump(include={"id", "message", "created", "started", "device"}),
        "status": facts.status if ended else "stopped",
        "finished": facts.finished or time.time(),
        "done": facts.steps,
        "total": facts.total_steps,
        "tags": " ".join((*words, IMPORTED)),
    }


def _inputs_from(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs without the person that the job belonged to and the numbers of the other store."""

    def unnumbered_in(values: Any) -> Any:
        if isinstance(values, list):
            return [unnumbered_in(value) for value in values]
        if not isinstance(values, dict):
            return values
        titled = values | ({"title": unnumbered(str(values["title"]))} if "title" in values else {})
        return {name: unnumbered_in(value) for name, value in titled.items()}

    kept: dict[str, Any] = unnumbered_in({n: v for n, v in inputs.items() if n != PERSON})
    return kept


def _check_artifact(path: Path, kind: str) -> None:
    """Read a file that a job kept, as the pages read it; raises what its loader raises."""
    if path.suffix == ".npz":
        with opened_zip(path, ARRAYS, path.name, MOST_ARRAYS):
            pass
    if path.suffix == ".safetensors":
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                file.keys()
        except safetensors.SafetensorError as error:
            raise DataError(f"{path.name} holds no weights: {error}") from None
    elif kind in LOADERS:
        LOADERS[kind](path)
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            dict(arrays)


def _plain_json(content: bytes) -> Any:
    """JSON from somebody else, its texts safe to show; NaN, which JSON lacks, is None."""
    return shown_values(json.loads(content, parse_constant=lambda _: None))
