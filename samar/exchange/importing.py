"""Importing the zip of a run that was trained elsewhere."""

import io
import json
import re
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from samar.errors import CheckpointError, DataError, SamarError
from samar.exchange.checked_zip import copy_member, opened_zip
from samar.exchange.foreign import FILM, KEPT, events_from, foreign_from
from samar.exchange.manifest import FORMAT, FORMAT_VERSION
from samar.exchange.tables import read_table
from samar.home import home
from samar.jobs.adopt import adopt, free_id
from samar.jobs.files import job_dir
from samar.jobs.records import EPOCH_COLUMNS, STEP_COLUMNS, Artifact
from samar.jobs.store import Store
from samar.networks.load import SNAPSHOT

MB = 1 << 20
MEMBERS = {
    r"manifest\.json": 16 * MB,
    r"config\.json": MB,
    r"(events|curvature)\.json": 256 * MB,
    r"(steps|epochs)\.(csv|parquet)": 4096 * MB,
    r"weights\.safetensors": 4096 * MB,
    FILM.pattern: 64 * MB,
    KEPT.pattern: 4096 * MB,
}
NEEDED = ("config.json", "steps.csv", "epochs.csv", "events.json")
ARRAYS = {r"[a-z_0-9]{1,40}\.npy": 32 * MB}
"""What a film's own archive may hold."""


def import_run(source: Path | BinaryIO, store: Store | None = None) -> str:
    """Put the run of a zip into the store, tagged ``imported``; all of it, or nothing.

    Its id is kept if no run here has it. Every member is compared with its checksum.

    Args:
        source: a file, or its content.
        store: the default one if None.

    Returns:
        The run's id here.

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
        with opened_zip(source, MEMBERS, what) as archive:
            return _import(archive, what, staged, store)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _import(archive: zipfile.ZipFile, what: str, staged: Path, store: Store) -> str:
    manifest = _manifest(archive, what)
    files = _unpack(archive, manifest["files"], staged, what)
    config = (staged / "config.json").read_bytes()
    events = events_from(_json(staged / "events.json", what), what)
    with (staged / "steps.csv").open("rb") as file:
        steps = read_table(file, STEP_COLUMNS, f"steps.csv in {what}")
    with (staged / "epochs.csv").open("rb") as file:
        epochs = read_table(file, EPOCH_COLUMNS, f"epochs.csv in {what}")
    run = foreign_from(manifest["run"], config, steps, epochs, events, what)
    artifacts = [Artifact(kind, step, name, time.time()) for kind, step, name in files]
    if (staged / "weights.safetensors").is_file():
        last = int(steps["step"][-1]) if len(steps["step"]) else 0
        artifacts.append(Artifact("weights", last, "weights.safetensors", time.time()))
    for name in ("steps.csv", "epochs.csv", "events.json"):
        (staged / name).unlink()
    run_id = free_id(store, run.id)
    target = job_dir(run_id)
    if target.exists():  # left behind by a deleted run
        shutil.rmtree(target)
    staged.chmod(0o755)
    staged.replace(target)
    try:
        adopt(store, run, run_id, artifacts)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return run_id


def _manifest(archive: zipfile.ZipFile, what: str) -> dict[str, Any]:
    other = f"{what} is a zip file, but not of a run; give one that samar's export has written."
    try:
        content = json.loads(archive.read("manifest.json"))
    except (KeyError, ValueError, RecursionError):
        raise DataError(other) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(other)
    if content.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{what} has format {content.get('format_version')!r}, but this samar reads "
            f"{FORMAT_VERSION}; update samar."
        )
    files = content.get("files")
    if not isinstance(content.get("run"), dict) or not isinstance(files, dict):
        raise DataError(f"The manifest of {what} is incomplete; export the run again.")
    missing = [name for name in NEEDED if name not in files]
    odd = set(files) ^ (set(archive.namelist()) - {"manifest.json"})
    if missing or odd:
        names = ", ".join(missing or sorted(odd)[:3])
        raise DataError(f"{what} and its manifest disagree about {names}; export the run again.")
    return content


def _unpack(
    archive: zipfile.ZipFile, files: dict[str, Any], staged: Path, what: str
) -> list[tuple[str, int, str]]:
    """Copy what is kept into the staging folder, comparing checksums.

    Returns:
        Kind, step and file name of every picture and snapshot, in order of step.
    """
    found: list[tuple[str, int, str]] = []
    for name, facts in files.items():
        picture, weights = re.fullmatch(FILM, name), re.fullmatch(KEPT, name)
        kept = picture or weights or name in (*NEEDED, "weights.safetensors")
        path = staged / name
        if kept:
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                digest = copy_member(archive, name, file)
        else:
            digest = copy_member(archive, name, None)
        if not isinstance(facts, dict) or digest != facts.get("sha256"):
            raise DataError(
                f"{name} in {what} does not have the checksum of the manifest: it was changed or "
                "damaged; export or copy it again."
            )
        if picture:
            _check_picture(path, f"{name} in {what}")
            found.append((f"film_{picture[1]}", int(picture[2]), name))
        elif path.suffix == ".safetensors":
            _check_weights(path, f"{name} in {what}")
            if weights:
                found.append((SNAPSHOT, int(weights[1]), name))
    return sorted(found, key=lambda each: (each[1], each[0]))


def _check_weights(path: Path, what: str) -> None:
    from samar.networks.checkpoint import load_weights

    try:
        load_weights(path)
    except CheckpointError:
        raise DataError(f"{what} is not a readable safetensors file; export it again.") from None


def _check_picture(path: Path, what: str) -> None:
    """A film's archive is a zip too, and may be a bomb."""
    from samar.landscape.result import Landscape

    content = path.read_bytes()
    with opened_zip(io.BytesIO(content), ARRAYS, what):
        pass
    try:
        Landscape.load(io.BytesIO(content))
    except SamarError:
        raise DataError(f"{what} holds no landscape; export the run again.") from None


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise DataError(f"{path.name} in {what} is no JSON; export the run again.") from None
