"""Imported models: trained networks that came from a file, kept under ``SAMAR_HOME``.

Each has a folder ``models/ID`` with ``weights.safetensors`` and ``model.json``. Looking at them
does not import torch. Ids start with "m", which no run's id does, so an id names a run or a model.
"""

import json
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from samar.errors import CheckpointError
from samar.home import home

MAX_TITLE = 80
SHORTEST_BEGINNING = 4


@dataclass(frozen=True)
class ImportedModel:
    """One model of the library.

    Attributes:
        id: "m" and eight hexadecimal digits.
        title: for people; text, never markup.
        model: key in :data:`samar.models.MODELS`.
        classes, channels: of the network.
        normalize: key in :data:`samar.data.NORMALIZATIONS`, or "auto".
        dataset: the images it is measured on; a folder is absolute.
        file: name of the file it came from.
        sha256: of that file, hexadecimal.
        size: of that file in bytes.
        created: seconds since 1970.
        correct, images, loss: measured on the test images when it was imported; None where the
            images were not there.
        reason: how it was recognized.
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
    reason: str = ""

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
    known = imported_models()
    for wish in (
        [m for m in known if m.id == what],
        [m for m in known if m.title == what],
        [m for m in known if len(what) >= SHORTEST_BEGINNING and m.id.startswith(what)],
    ):
        if len(wish) > 1:
            ids = ", ".join(m.id for m in wish[:5])
            raise CheckpointError(
                f"{what!r} fits {len(wish)} models ({ids}); give one of these ids."
            )
        if wish:
            return wish[0]
    return None


def get_model(what: str) -> ImportedModel:
    """One model, as :func:`find_model`.

    Raises:
        CheckpointError: there is none, or more than one.
    """
    found = find_model(what)
    if found is None:
        raise CheckpointError(
            f"There is no imported model {what!r}; see the list of models for ids."
        )
    return found


def add_model(wanted: ImportedModel, write_weights: Callable[[Path], None]) -> ImportedModel:
    """Keep a model; the same file for the same purpose again replaces what was measured.

    Args:
        wanted: its ``id`` and ``created`` are given here.
        write_weights: writes the safetensors file.

    Raises:
        CheckpointError: it cannot be written.
    """
    same = next((m for m in imported_models() if _purpose(m) == _purpose(wanted)), None)
    kept = replace(
        wanted,
        id=same.id if same else f"m{secrets.token_hex(4)}",
        title=clean_title(wanted.title),
        created=time.time(),
    )
    try:
        write_weights(kept.weights)
        _write(kept)
    except OSError as error:
        raise CheckpointError(
            f"The model cannot be kept in {_folder(kept.id)} ({error.strerror}); make room or "
            "choose another SAMAR_HOME."
        ) from None
    return kept


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
    """Text on one line, without control characters, at most :data:`MAX_TITLE` long.

    Example:
        >>> clean_title(" my\\tnetwork ")
        'my network'
    """
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:MAX_TITLE].strip() or "model"


def models_folder() -> Path:
    """Where imported models are kept."""
    return home() / "models"


def _folder(model_id: str) -> Path:
    return models_folder() / model_id


def _purpose(model: ImportedModel) -> tuple[str, ...]:
    return model.sha256, model.model, model.normalize, model.dataset


def _read(path: Path) -> ImportedModel | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name: values[f.name] for f in fields(ImportedModel) if f.name in values}
        return ImportedModel(**{**known, "id": path.parent.name})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(model: ImportedModel) -> None:
    path = _folder(model.id) / "model.json"
    part = path.with_name(".model.json.part")
    part.write_text(json.dumps(asdict(model), indent=2, ensure_ascii=False), encoding="utf-8")
    part.replace(path)
