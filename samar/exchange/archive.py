"""A job of any kind as one zip: settings, records, the files that it kept, and a manifest.

=====================  =========================================================================
``config.json``        settings
``events.json``        what happened: starts, changes by hand, measurements
``steps``, ``epochs``  of a training run: ``.csv`` (read back exactly) and ``.parquet``
``curvature.json``     of a training run: what it measured of the Hessian
``members/*.zip``      the jobs that it owns, such as the runs of a sweep, each like this one
``manifest.json``      kind, status, summary and inputs of the job, what it was computed with, the
                       list of its artifacts, and the SHA-256 of every other member
=====================  =========================================================================

Every other member is an artifact, under the path that it has in the job's folder: weights,
landscapes, reports. The state from which a run resumes is left out: it is large and belongs to one
machine.
"""

import hashlib
import io
import json
import platform
import time
import zipfile
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from samar.jobs.branch import STATE
from samar.jobs.edits import edits_of
from samar.jobs.job import Job, job_dir
from samar.jobs.kind import trains
from samar.jobs.records import CURVATURE, measurements
from samar.jobs.store import Store
from samar.version import __version__

FORMAT, FORMAT_VERSION = "samar job", 2
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "safetensors")
COUNTS = ("step", "epoch", "grad_evals", "train_images")
"""Columns of the tables that hold whole numbers."""
EVENT = ("step", "kind", "detail", "at")
CHUNK = 1 << 20
EARLIEST = 315532800.0  # zip knows no time before 1980


def write_job(store: Store, job: Job, target: Path | BinaryIO) -> dict[str, Any]:
    """Write the zip of a job; an active one as far as it has come.

    Returns:
        The manifest.
    """
    stamp = time.gmtime(max(job.finished or time.time(), EARLIEST))[:6]
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, content: bytes | Path, *, stored: bool = False) -> None:
            info = zipfile.ZipInfo(name, stamp)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            digest, size = hashlib.sha256(), 0
            source = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
            with source, archive.open(info, "w", force_zip64=stored) as member:
                while piece := source.read(CHUNK):
                    digest.update(piece)
                    size += len(piece)
                    member.write(piece)
            files[name] = {"sha256": digest.hexdigest(), "bytes": size}

        put("config.json", job.settings.model_dump_json(indent=2).encode())
        events = store.records.events(job.key)
        put("events.json", _json([{name: vars(e)[name] for name in EVENT} for e in events]))
        if trains(job.kind):
            for name, columns in (
                ("steps", store.records.steps(job.key)),
                ("epochs", store.records.epochs(job.key)),
            ):
                whole = {column: "int64" for column in COUNTS if column in columns}
                frame = pd.DataFrame(columns).astype(whole)
                text = frame.to_csv(index=False, lineterminator="\n", na_rep="nan")
                put(f"{name}.csv", text.encode())
                put(f"{name}.parquet", frame.to_parquet(index=False))
            measured = [{"step": e.step, **e.detail} for e in measurements(events, CURVATURE)]
            put("curvature.json", _json(measured))
        artifacts = [
            artifact
            for artifact in store.records.artifacts(job.key)
            if artifact.kind != STATE and (job_dir(job.id) / artifact.path).is_file()
        ]
        for path in dict.fromkeys(artifact.path for artifact in artifacts):
            put(path, job_dir(job.id) / path, stored=True)  # weights and npz do not get smaller
        for member in reversed(store.all(parent=job.id)):
            put(f"members/{member.id}.zip", job_zip(store, member), stored=True)
        manifest = manifest_of(store, job) | {"artifacts": [vars(each) for each in artifacts]}
        manifest["files"] = files.copy()
        put("manifest.json", _json(manifest))
    return manifest


def job_zip(store: Store, job: Job) -> bytes:
    """The zip of a job in memory."""
    content = io.BytesIO()
    write_job(store, job, content)
    return content.getvalue()


def manifest_of(store: Store, job: Job) -> dict[str, Any]:
    """What a job was computed with, as plain values.

    ``trained_with`` is what a training run's worker noted when it last started: versions, device,
    and the SHA-256 of images and labels (``data``).
    ``written_with`` is this installation.
    """
    events = store.records.events(job.key)
    started = [event.detail for event in events if event.kind == "started"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "run": {
            "id": job.id,
            "kind": job.kind,
            "title": job.title,
            "status": job.status,
            "message": job.message,
            "created": job.created,
            "started": job.started,
            "finished": job.finished,
            "steps": job.done,
            "total_steps": job.total,
            "device": job.device,
            "tags": list(job.tags),
            "inputs": dict(job.inputs),
            "summary": dict(job.summary),
        },
        "command": job.command,
        "edits": [asdict(edit) for edit in edits_of(job.settings, events)],
        "dataset": getattr(job.settings, "dataset", None),
        "data_sha256": started[-1].get("data") if started else None,
        "trained_with": started[-1] if started else {},
        "written_with": {
            "samar": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{name: _version(name) for name in PACKAGES},
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode()
