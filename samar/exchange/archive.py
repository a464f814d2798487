"""A whole run as one zip: settings, records, weights, film, and a manifest with checksums.

=====================  =========================================================================
``config.json``        settings
``steps``, ``epochs``  ``.csv`` (read back exactly) and ``.parquet``
``events.json``        what happened: starts, changes by hand, looks at the Hessian
``curvature.json``     the looks at the Hessian alone
``weights.safetensors``  the network, if the run has ended
``film/*.npz``         pictures of the landscape between epochs
``snapshots/*``        weights kept on the way, as safetensors
``manifest.json``      versions, device, data, command line, SHA-256 of every other member
=====================  =========================================================================

The state from which a run resumes is left out: it is large and belongs to one machine.
"""

import hashlib
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from samar.exchange.manifest import manifest_of
from samar.exchange.tables import table
from samar.jobs.files import job_dir, weights_path
from samar.jobs.job import Job
from samar.jobs.records import Event
from samar.jobs.store import Store
from samar.networks.load import SNAPSHOT

CHUNK = 1 << 20
EARLIEST = 315532800.0  # zip knows no time before 1980


def write_run(store: Store, run: Job, target: Path | BinaryIO) -> dict[str, Any]:
    """Write the zip of a run; an active run as far as it has come.

    Returns:
        The manifest.
    """
    stamp = time.gmtime(max(run.finished or time.time(), EARLIEST))[:6]
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, content: bytes | Path) -> None:
            info = zipfile.ZipInfo(name, stamp)
            stored = isinstance(content, Path)  # weights and npz do not get smaller
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

        put("config.json", run.settings.model_dump_json(indent=2).encode())
        for name, columns in (
            ("steps", store.records.steps(run.key)),
            ("epochs", store.records.epochs(run.key)),
        ):
            frame = table(columns)
            put(f"{name}.csv", frame.to_csv(index=False).encode())
            put(f"{name}.parquet", frame.to_parquet(index=False))
        events = store.records.events(run.key)
        put("events.json", _json([vars(event) for event in events]))
        put("curvature.json", _json(_looks(events)))
        if weights_path(run.id).is_file():
            put("weights.safetensors", weights_path(run.id))
        for artifact in store.records.artifacts(run.key):
            path = job_dir(run.id) / artifact.path
            if artifact.kind in ("film_plane", "film_line", SNAPSHOT) and path.is_file():
                put(artifact.path, path)
        manifest = manifest_of(store, run) | {"files": files.copy()}
        put("manifest.json", _json(manifest))
    return manifest


def run_zip(store: Store, run: Job) -> bytes:
    """The zip of a run in memory."""
    content = io.BytesIO()
    write_run(store, run, content)
    return content.getvalue()


def _looks(events: list[Event]) -> list[dict[str, Any]]:
    return [{"step": e.step, **e.detail} for e in events if e.kind == "curvature"]


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode()
