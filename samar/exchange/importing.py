"""Importing the zip of a job from elsewhere: everything about it is checked, then all is kept."""

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import sqlalchemy as sa

from samar.curvature.result import Report
from samar.errors import DataError, SamarError
from samar.exchange import checked_zip
from samar.exchange.archive import FORMAT, FORMAT_VERSION
from samar.exchange.checked_zip import copy_member, opened_zip
from samar.exchange.foreign import artifacts_from, events_from, row_from, settings_from
from samar.exchange.tables import read_table
from samar.home import home
from samar.jobs import schema
from samar.jobs.edits import count_edits
from samar.jobs.files import job_dir
from samar.jobs.records import EPOCH_COLUMNS, STEP_COLUMNS, Artifact, Columns, insert_events
from samar.jobs.store import Store, new_row
from samar.kinds.curvature import REPORT
from samar.kinds.landscape import LEVEL, PARTIAL, PREVIEW
from samar.landscape.result import Landscape
from samar.settings.command import json_line

FORMATS = {"samar run": 1, FORMAT: FORMAT_VERSION}
"""What can be read: the archives of version 0.1, which hold training runs, and today's."""
MB = 1 << 20
SAFE = r"(?:[a-z0-9_]{1,40}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,80}"
MEMBER = r"members/[0-9a-f]{8}\.zip"
MEMBERS = {
    r"manifest\.json": 16 * MB,
    r"config\.json": MB,
    r"(steps|epochs)\.(csv|parquet)": 4096 * MB,
    MEMBER: 4096 * MB,
    rf"{SAFE}\.json": 256 * MB,
    rf"{SAFE}\.npz": 64 * MB,
    rf"{SAFE}\.safetensors": 4096 * MB,
}
TABLES = {"steps.csv": STEP_COLUMNS, "epochs.csv": EPOCH_COLUMNS}
NEEDED = ("config.json", "events.json")
OTHERS = ("curvature.json", "steps.parquet", "epochs.parquet")
ARRAYS = {r"[A-Za-z_0-9]{1,40}\.npy": 32 * MB}
"""What an artifact's own archive may hold."""
MOST_ARRAYS = 512 * MB
LANDSCAPES = (LEVEL, PREVIEW, PARTIAL, "film_plane", "film_line")


def import_job(
    source: Path | BinaryIO,
    store: Store | None = None,
    *,
    parent: str | None = None,
    most: int | None = None,
) -> str:
    """Put the job of a zip into the store, tagged ``imported``; all of it, or nothing.

    Its id is kept if no job here has it. Every member is compared with its checksum. It never
    stands as the answer to a question asked here.

    Args:
        source: a file, or its content.
        store: the default one if None.
        parent: the job that owns it.
        most: bytes that it may unpack to; the usual limit if None.

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
    folder = home() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".import-", dir=folder))
    try:
        with opened_zip(source, MEMBERS, what, most) as archive:
            manifest = _manifest(archive, what)
            members = [n for n in archive.namelist() if re.fullmatch(MEMBER, n) and not parent]
            artifacts = artifacts_from(manifest, what)
            _unpack(archive, manifest["files"], artifacts, members, staged, what)
        (staged / "members").rename(inner := staged.with_name(f"{staged.name}.members"))
        try:
            job_id = _adopt(manifest, artifacts, staged, what, store, parent)
            # In the order of the archive, which is that of their creation.
            _import_members([inner / Path(name).name for name in members], store, job_id)
        finally:
            shutil.rmtree(inner)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return job_id


def _import_members(files: Sequence[Path], store: Store, owner: str) -> None:
    try:
        for path in files:
            most = checked_zip.MOST_BYTES // len(files)
            import_job(path, store, parent=owner, most=most)
    except BaseException:
        for gone in store.delete(owner):
            shutil.rmtree(job_dir(gone), ignore_errors=True)
        raise


def _manifest(archive: zipfile.ZipFile, what: str) -> dict[str, Any]:
    other = f"{what} is a zip file, but not of a job; give one that samar's export has written."
    try:
        content = json.loads(archive.read("manifest.json"))
    except (KeyError, ValueError, RecursionError):
        raise DataError(other) from None
    if not isinstance(content, dict) or content.get("format") not in (*FORMATS,):
        raise DataError(other)
    known = FORMATS[content["format"]]
    if content.get("format_version") != known:
        raise DataError(
            f"{what} has format {content.get('format_version')!r}, but this samar reads {known}; "
            "update samar."
        )
    files = content.get("files")
    if not isinstance(content.get("run"), dict) or not isinstance(files, dict):
        raise DataError(f"The manifest of {what} is incomplete; export the job again.")
    content["run"].setdefault("kind", "train")
    needed = (*NEEDED, *TABLES) if content["run"]["kind"] == "train" else NEEDED
    missing = [name for name in needed if name not in files]
    odd = set(files) ^ (set(archive.namelist()) - {"manifest.json"})
    if missing or odd:
        names = ", ".join(missing or sorted(odd)[:3])
        raise DataError(f"{what} and its manifest disagree about {names}; export the job again.")
    return content


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
    if absent := [path for path in kinds if path not in files or path in (*fixed, *OTHERS)]:
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
        if not isinstance(facts, dict) or digest != facts.get("sha256"):
            raise DataError(
                f"{name} in {what} does not have the checksum of the manifest: it was changed or "
                "damaged; export or copy it again."
            )
        if name in kinds:
            _check(path, kinds[name], f"{name} in {what}")


def _check(path: Path, kind: str, what: str) -> None:
    """An artifact must be what its name and its kind say; an archive of arrays may be a bomb."""
    if path.suffix == ".safetensors":
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                if not file.keys():
                    raise DataError(f"{what} holds no tensors; export it again.")
        except (safetensors.SafetensorError, OSError):
            raise DataError(
                f"{what} is not a readable safetensors file; export it again."
            ) from None
    elif path.suffix == ".npz":
        with opened_zip(io.BytesIO(path.read_bytes()), ARRAYS, what, MOST_ARRAYS):
            pass
        try:
            if kind in LANDSCAPES:
                Landscape.load(path)
            else:
                with np.load(path, allow_pickle=False) as arrays:
                    [arrays[name] for name in arrays.files]
        except (SamarError, ValueError, EOFError, OSError, MemoryError):
            missing = "landscape" if kind in LANDSCAPES else "readable arrays"
            raise DataError(f"{what} holds no {missing}; export the job again.") from None
    else:
        content = _json(path, what)
        if kind == REPORT:
            try:
                found = Report.from_json(content).spectrum
                sum((*found.values, *found.residuals, *found.lowest, *found.lowest_residuals))
            except (SamarError, LookupError, TypeError, AttributeError):
                raise DataError(f"{what} holds no curvature; export the job again.") from None


def _adopt(
    manifest: dict[str, Any],
    artifacts: Sequence[Artifact],
    staged: Path,
    what: str,
    store: Store,
    parent: str | None,
) -> str:
    """Insert a job whose files are staged, with its records, under an id that is free."""
    kind = str(manifest["run"]["kind"])
    events = events_from(_json(staged / "events.json", f"events.json in {what}"), what)
    settings = settings_from(kind, (staged / "config.json").read_bytes(), events, what)
    row = new_row(settings, parent) | row_from(manifest["run"], settings, what)
    row["fingerprint"] = None
    tables = {}
    if kind == "train":
        for name, columns in TABLES.items():
            with (staged / name).open("rb") as file:
                tables[name] = read_table(file, columns, f"{name} in {what}")
        row |= _progress(tables["steps.csv"], tables["epochs.csv"])
    for name in (*NEEDED, *TABLES):
        (staged / name).unlink(missing_ok=True)
    row["summary"] = count_edits(row["summary"], events)
    inputs, summary = json_line(row["inputs"]), json_line(row["summary"])
    with store.database.write() as db:
        table = schema.jobs
        if db.execute(sa.select(table.c.key).where(table.c.id == row["id"])).first():
            row["id"] = new_row(settings)["id"]
        target = job_dir(row["id"])
        shutil.rmtree(target, ignore_errors=True)  # left behind by a deleted job
        values = row | {"inputs": inputs, "summary": summary}
        db.execute(table.insert().values(**values))
        key = db.execute(sa.select(table.c.key).where(table.c.id == row["id"])).scalar_one()
        for rows_of, name in ((schema.steps, "steps.csv"), (schema.epochs, "epochs.csv")):
            if rows := _rows(key, tables.get(name, {})):
                db.execute(rows_of.insert(), rows)
        insert_events(db, key, events)
        if artifacts:
            files = [{"job": key, **vars(a), "summary": json_line(a.summary)} for a in artifacts]
            db.execute(schema.artifacts.insert(), files)
        staged.chmod(0o755)
        staged.rename(target)
    return str(row["id"])


def _progress(steps: Columns, epochs: Columns) -> dict[str, Any]:
    """How far a training run came, from its own records."""
    last = {n: column[-1].item() for n, column in epochs.items()} if len(epochs["step"]) else None
    counts = ("epoch", "step", "grad_evals", "train_images")
    whole = {n: int(v) if n in counts else v for n, v in last.items()} if last else None
    return {
        "done": int(max([0, *steps["step"][-1:]])),
        "summary": {"epoch": whole} if whole else {},
    }


def _rows(key: int, columns: Columns) -> list[dict[str, Any]]:
    """NaN is stored as NULL; whole numbers in their columns are exact in float64."""
    lists = [
        [None if missing else value for value, missing in zip(c.tolist(), np.isnan(c), strict=True)]
        for c in columns.values()
    ]
    return [{"job": key, **dict(zip(columns, r, strict=True))} for r in zip(*lists, strict=True)]


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise DataError(f"{what} is no JSON; export the job again.") from None
