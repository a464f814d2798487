"""Importing the zip of a job from elsewhere: everything about it is checked, then all is kept."""

import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import sqlalchemy as sa

from samar.data.sources.download import digest_of
from samar.errors import DataError
from samar.exchange import checked_zip
from samar.exchange.archive import FORMAT, FORMAT_VERSION
from samar.exchange.artifacts import check_artifact
from samar.exchange.checked_zip import copy_member, opened_zip
from samar.exchange.contents import Manifest, Member, fitting
from samar.exchange.foreign import artifacts_from, events_from, row_from, settings_from
from samar.exchange.plain_json import plain_json
from samar.exchange.tables import WHOLE, read_table
from samar.home import jobs_folder
from samar.jobs.edits import count_edits
from samar.jobs.files import job_dir
from samar.jobs.job import ARCHIVE, RANKS, Job
from samar.jobs.kind import kind_of, trains
from samar.jobs.records import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    Artifact,
    insert_epochs,
    insert_events,
)
from samar.jobs.sql import blocks, schema
from samar.jobs.store import MEMBER as RACER
from samar.jobs.store import Store, new_row
from samar.settings.command import json_line
from samar.training.records import EpochRecord

FORMATS = {"samar run": 1, FORMAT: FORMAT_VERSION}
"""What can be read: the archives of version 0.1, which hold training runs, and today's."""
MB = 1 << 20
SAFE = r"(?:[a-z0-9_]{1,40}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,80}"
MEMBER = r"members/[0-9a-f]{8}\.zip"
MEMBERS = {
    r"manifest\.json": 16 * MB,
    r"config\.json": MB,
    r"(steps|epochs)\.(csv|parquet)": 1024 * MB,
    MEMBER: 4096 * MB,
    rf"{SAFE}\.json": 32 * MB,
    rf"{SAFE}\.npz": 512 * MB,
    rf"{SAFE}\.safetensors": 4096 * MB,
}
TABLES = ("steps.csv", "epochs.csv")
NEEDED = ("config.json", "events.json")
OTHERS = ("curvature.json", "steps.parquet", "epochs.parquet")


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
        mark: whose it is here, as :func:`samar.jobs.access.roles.mark_of` tells.

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
    staged = Path(tempfile.mkdtemp(prefix=".import-", dir=folder))
    try:
        with opened_zip(source, MEMBERS, what, most) as archive:
            manifest = _manifest(archive, _digest(source), what)
            members = [n for n in archive.namelist() if re.fullmatch(MEMBER, n) and not parent]
            artifacts = artifacts_from(manifest, what)
            _unpack(archive, manifest["files"], artifacts, members, staged, what)
        (staged / "members").rename(inner := staged.with_name(f"{staged.name}.members"))
        try:
            job_id = _adopt(manifest, artifacts, staged, what, store, parent, mark or {})
            # In the order of the archive, which is that of their creation.
            _import_members([inner / Path(name).name for name in members], store, job_id)
        finally:
            shutil.rmtree(inner)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return job_id


def _digest(source: Path | BinaryIO) -> str:
    """The SHA-256 of a file, or of its content; the place in that stays."""
    if isinstance(source, Path):
        return digest_of(source, "sha256")
    place = source.tell()
    source.seek(0)
    digest = hashlib.sha256()
    while piece := source.read(MB):
        digest.update(piece)
    source.seek(place)
    return digest.hexdigest()


def _import_members(files: Sequence[Path], store: Store, owner: str) -> None:
    left = checked_zip.MOST_BYTES
    try:
        for path in files:
            import_job(path, store, parent=owner, most=left)
            with zipfile.ZipFile(path) as archive:
                left -= checked_zip.unpacked(archive.infolist())
        _check_members(store, store.get(owner))
    except BaseException:
        for gone in store.delete(owner):
            shutil.rmtree(job_dir(gone), ignore_errors=True)
        raise


def _check_members(store: Store, owner: Job) -> None:
    """The jobs that the process of another one does are called as its settings call them."""
    list_members = kind_of(owner.kind).members
    if list_members is not None:
        known = list_members(owner.settings)
        for member in store.all(parent=owner.id):
            if member.kind != "train" or member.inputs.get(RACER) not in known:
                raise DataError(f"{member.label} is no member of {owner.label}; export it again.")


def _manifest(archive: zipfile.ZipFile, digest: str, what: str) -> dict[str, Any]:
    other = f"{what} is a zip file, but not of a job; give one that samar's export has written."
    try:
        content = plain_json(archive.read("manifest.json"), f"The manifest of {what}")
    except KeyError:
        raise DataError(other) from None
    if not isinstance(content, dict) or content.get("format") not in (*FORMATS,):
        raise DataError(other)
    known = FORMATS[content["format"]]
    if content.get("format_version") != known:
        raise DataError(
            f"{what} has format {content.get('format_version')!r}, but this samar reads {known}; "
            "update samar."
        )
    found = fitting(Manifest, content, f"The manifest of {what} is incomplete")
    files, run = found.files, found.run
    run.setdefault("kind", "train")
    run[ARCHIVE] = digest
    needed = (*NEEDED, *TABLES) if trains(run["kind"]) else NEEDED
    missing = [name for name in needed if name not in files]
    odd = set(files) ^ (set(archive.namelist()) - {"manifest.json"})
    if missing or odd:
        names = ", ".join(missing or sorted(odd)[:3])
        raise DataError(f"{what} and its manifest disagree about {names}; export the job again.")
    return content | {"run": run}


def _unpack(
    archive: zipfile.ZipFile,
    files: dict[str, Any],
    artifacts: Sequence[Artifact],
    members: Sequence[str],
    staged: Path,
    what: str,
) -> None:
    """Copy what is kept into the staging folder, comparing checksums."""
    kinds = {artifact.path: artifact.kind for artifact in artifacts}
    fixed = (*NEEDED, *TABLES)
    others = (*fixed, *OTHERS)
    if absent := [p for p in kinds if p not in files or p in others or p.startswith("members/")]:
        raise DataError(f"{what} lacks {absent[0]!r}, which its manifest lists; export it again.")
    (staged / "members").mkdir()
    for name, facts in files.items():
        if name not in (*kinds, *fixed, *OTHERS, *members):
            raise DataError(f"{what} holds {name!r}, which does not belong there, and is refused.")
        path = staged / name
        if name in OTHERS:
            digest = copy_member(archive, name, None)
        else:
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                digest = copy_member(archive, name, file)
        if digest != fitting(Member, facts, f"The manifest of {what} is incomplete").sha256:
            raise DataError(
                f"{name} in {what} does not have the checksum of the manifest: it was changed or "
                "damaged; export or copy it again."
            )


def _adopt(
    manifest: dict[str, Any],
    artifacts: Sequence[Artifact],
    staged: Path,
    what: str,
    store: Store,
    parent: str | None,
    mark: Mapping[str, Any],
) -> str:
    """Insert a job whose files are staged, with its records, under an id that is free."""
    kind = str(manifest["run"]["kind"])
    events = events_from(_json(staged / "events.json", f"events.json in {what}"), what)
    settings = settings_from(kind, (staged / "config.json").read_bytes(), events, what)
    for artifact in artifacts:
        told = f"{artifact.path} in {what}"
        check_artifact(staged / artifact.path, artifact.kind, settings, told)
    row = new_row(settings, parent) | row_from(manifest["run"], settings, what)
    row["fingerprint"] = None
    row["inputs"] = json_line({**row["inputs"], **mark, ARCHIVE: manifest["run"][ARCHIVE]})
    summary = count_edits(row["summary"], events)
    row["summary"] = json_line(summary)
    with store.database.write() as db:
        table = schema.jobs
        if db.execute(sa.select(table.c.key).where(table.c.id == row["id"])).first():
            row["id"] = new_row(settings)["id"]
        target = job_dir(row["id"])
        shutil.rmtree(target, ignore_errors=True)  # left behind by a deleted job
        db.execute(table.insert().values(**row))
        key = db.execute(sa.select(table.c.key).where(table.c.id == row["id"])).scalar_one()
        if trains(kind):
            write = partial(blocks.append, db, key)
            steps = _insert(staged / "steps.csv", STEP_COLUMNS, what, write)
            write = partial(_insert_epochs, db, key)
            epochs = _insert(staged / "epochs.csv", EPOCH_COLUMNS, what, write)
            progress = _progress(steps, epochs, summary)
            db.execute(table.update().where(table.c.key == key).values(**progress))
        for name in (*NEEDED, *TABLES):
            (staged / name).unlink(missing_ok=True)
        insert_events(db, key, events)
        if artifacts:
            files = [{"job": key, **vars(a), "summary": json_line(a.summary)} for a in artifacts]
            db.execute(schema.artifacts.insert(), files)
        staged.chmod(0o755)
        staged.rename(target)
    return str(row["id"])


def _insert(
    path: Path, names: Sequence[str], what: str, write: Callable[[np.ndarray], None]
) -> dict[str, float]:
    """Copy a table of a training run, some rows at a time; returns its last row."""
    last: dict[str, float] = {}
    with path.open("rb") as file:
        for columns in read_table(file, names, f"{path.name} in {what}"):
            write(np.column_stack([columns[name] for name in names]))
            last = {name: column[-1].item() for name, column in columns.items()}
    return last


def _insert_epochs(db: sa.Connection, key: int, rows: np.ndarray) -> None:
    insert_epochs(db, key, [EpochRecord(*row) for row in rows.tolist()])


def _progress(
    step: Mapping[str, float], epoch: Mapping[str, float], summary: Mapping[str, Any]
) -> dict[str, Any]:
    """How far a training run came, from its own last records, whatever its summary says of them.

    It does not go on here, in however many processes.
    """
    whole = {name: int(v) if name in WHOLE else v for name, v in epoch.items()}
    kept = {name: value for name, value in summary.items() if name not in ("epoch", RANKS)}
    return {
        "done": int(step.get("step", 0)),
        "summary": json_line(kept | ({"epoch": whole} if whole else {})),
    }


def _json(path: Path, what: str) -> Any:
    return plain_json(path.read_bytes(), what)
