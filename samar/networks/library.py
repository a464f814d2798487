"""Imported models: trained networks that came from a file, kept under ``SAMAR_HOME``.

Each has a folder ``models/ID`` with ``weights.safetensors`` and ``model.json``. Looking at them
does not import torch. Ids start with "m", which no run's id does, so an id names a run or a model.
"""

import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from samar.errors import CheckpointError, shown
from samar.home import home
from samar.networks.inspection import Inspection
from samar.settings.paths import FOLDER_PREFIX, expanded

MAX_TITLE = 80
SHORTEST_BEGINNING = 4
KEPT_UPLOADS = 8
ID = r"m[0-9a-f]{8}"
PURPOSE = ("sha256", "model", "normalize", "dataset")
"""What makes two imports the same."""
MEASURED = ("correct", "images", "loss", "of", "mean", "std")
"""What was measured on the images."""


@dataclass(frozen=True)
class ImportedModel:
    """One model of the library.

    Attributes:
        id: "m" and eight hexadecimal digits.
        title: for people; text, never markup.
        model: key in :data:`samar.models.catalog.MODELS`.
        classes, channels: of the network.
        normalize: key in :data:`samar.data.catalog.NORMALIZATIONS`, or "auto".
        dataset: the images it is measured on; a folder is absolute.
        file: name of the file it came from.
        sha256: of that file, hexadecimal.
        size: of that file in bytes.
        created: seconds since 1970.
        correct, images, loss: measured on the test images when it was imported; None where the
            images were not there.
        of: how many test images there were.
        reason: how it was recognized.
        mean, std: per channel, where its normalization was measured on its data set.
    """

    id: str
    title: str
    model: str
    classes: int
    channels: int
    normalize: str
    dataset: str
    file: str
    sha256: str
    size: int
    created: float
    correct: int | None = None
    images: int | None = None
    loss: float | None = None
    of: int | None = None
    reason: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Fraction of the test images classified correctly; None where it was not measured."""
        return None if self.correct is None or not self.images else self.correct / self.images

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return _folder(self.id) / "weights.safetensors"


def imported_models() -> list[ImportedModel]:
    """All imported models, newest first; a folder that cannot be read is passed over."""
    found = [_read(path) for path in models_folder().glob("*/model.json")]
    return sorted((m for m in found if m is not None), key=lambda m: (-m.created, m.id))


def find_model(what: str) -> ImportedModel | None:
    """One model by its id, its title, or a unique beginning of its id; None if there is none.

    Raises:
        CheckpointError: there is more than one.
    """
    models = imported_models()
    for fitting in (
        [model for model in models if model.id == what],
        [model for model in models if model.title == what],
        [
            model
            for model in models
            if len(what) >= SHORTEST_BEGINNING and model.id.startswith(what)
        ],
    ):
        if len(fitting) > 1:
            ids = ", ".join(model.id for model in fitting[:5])
            raise CheckpointError(
                f"{what!r} fits {len(fitting)} models ({ids}); give one of these ids."
            )
        if fitting:
            return fitting[0]
    return None


def get_model(what: str) -> ImportedModel:
    """One model, as :func:`find_model`.

    Raises:
        CheckpointError: there is none, or more than one.
    """
    found = find_model(what)
    if found is None:
        raise CheckpointError(
            f"There is no imported network {what!r}; see the list of imported networks for ids."
        )
    return found


def add_model(
    found: Inspection, title: str, write_weights: Callable[[Path], object]
) -> ImportedModel:
    """Keep an inspected network; the same file for the same purpose again replaces it.

    Of two accuracies the one on more of the same images stays.

    Args:
        found: what the inspection found; it fits a network.
        title: the one it has, or the file's name without its ending, where empty.
        write_weights: writes the safetensors file.

    Raises:
        CheckpointError: it cannot be written.
    """
    same, facts = model_like(found), _in_common(found)
    if same and found.of in (None, same.of) and (found.images or 0) < (same.images or 0):
        facts |= {name: getattr(same, name) for name in MEASURED}
    kept = ImportedModel(
        id=same.id if same else f"m{secrets.token_hex(4)}",
        title=clean_title(title or (same.title if same else Path(found.file).stem)),
        created=time.time(),
        **facts,
    )
    try:
        kept.weights.parent.mkdir(parents=True, exist_ok=True)
        write_weights(kept.weights)
        _write(kept)
    except OSError as error:
        raise CheckpointError(
            f"The model cannot be kept in {_folder(kept.id)} ({error.strerror}); make room or "
            "choose another SAMAR_HOME."
        ) from None
    return kept


def model_like(found: Inspection) -> ImportedModel | None:
    """The model that was kept of the same file for the same purpose."""
    wanted = {name: _in_common(found)[name] for name in PURPOSE}
    same = (m for m in imported_models() if {n: getattr(m, n) for n in PURPOSE} == wanted)
    return next(same, None)


def _in_common(found: Inspection) -> dict[str, Any]:
    """What an inspection says about a model."""
    same = ("classes", "channels", "normalize", "dataset", "file", "sha256", "size", *MEASURED)
    return {
        "model": found.fit.model,
        "reason": found.fit.reason,
        **{name: getattr(found, name) for name in same},
    }


def rename_model(model_id: str, title: str) -> None:
    """Give a model another title.

    Raises:
        CheckpointError: there is no such model, or the title is empty.
    """
    model = get_model(model_id)
    if not title.strip():
        raise CheckpointError("The title is empty; give the model a name.")
    _write(replace(model, title=clean_title(title)))


def delete_model(model_id: str) -> None:
    """Remove a model with its weights.

    Raises:
        CheckpointError: there is no such model.
    """
    shutil.rmtree(_folder(get_model(model_id).id), ignore_errors=True)


def clean_title(text: str) -> str:
    """Text on one line, without hidden characters, at most :data:`MAX_TITLE` long.

    Example:
        >>> clean_title(" my\\tnetwork ")
        'my network'
    """
    return " ".join(shown(text).split())[:MAX_TITLE].strip() or "model"


def keep_upload(name: str, content: bytes | memoryview) -> Path:
    """Write an uploaded file to a place of its own; only the newest few uploads are kept.

    Args:
        name: what the person called it, whatever it holds.

    Raises:
        CheckpointError: it cannot be written.
    """
    uploads = models_folder() / "uploads"
    folder = uploads / hashlib.sha256(content).hexdigest()[:16]
    given = Path(name.replace("\\", "/"))
    stem = re.sub(r'[<>:"|?*]', "_", clean_title(given.stem)).lstrip(".") or "model"
    path = folder / f"{stem}{given.suffix.lower()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            part = folder / ".part"
            part.write_bytes(content)
            part.replace(path)
    except OSError as error:
        raise CheckpointError(
            f"The upload cannot be kept in {uploads} ({error.strerror}); make room."
        ) from None
    for old in sorted(uploads.iterdir(), key=lambda each: -each.stat().st_mtime)[KEPT_UPLOADS:]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def absolute(dataset: str) -> str:
    """A data set's name that means the same from every folder."""
    path = dataset.removeprefix(FOLDER_PREFIX)
    if path == dataset or not path.strip():
        return dataset
    return f"{FOLDER_PREFIX}{expanded(path).resolve()}"


def models_folder() -> Path:
    """Where imported models are kept."""
    return home() / "models"


def _folder(model_id: str) -> Path:
    return models_folder() / model_id


def _read(path: Path) -> ImportedModel | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name: values[f.name] for f in fields(ImportedModel) if f.name in values}
        known |= {name: tuple(known.get(name, ())) for name in ("mean", "std")}
        return ImportedModel(**{**known, "id": path.parent.name})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(model: ImportedModel) -> None:
    path = _folder(model.id) / "model.json"
    part = path.with_name(".model.json.part")
    part.write_text(json.dumps(asdict(model), indent=2, ensure_ascii=False), encoding="utf-8")
    part.replace(path)
