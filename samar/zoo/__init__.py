"""Networks trained elsewhere: read, recognized, measured and kept. Lists come without torch."""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.zoo.library import (
    ImportedModel,
    clean_title,
    delete_model,
    find_model,
    get_model,
    imported_models,
    models_folder,
    rename_model,
)
from samar.zoo.public import PUBLIC, PublicCheckpoint, fetch, public_checkpoint
from samar.zoo.shapes import Mismatch, for_people

if TYPE_CHECKING:
    from samar.zoo.examining import Examined, absolute, examine, require_images, usual_dataset
    from samar.zoo.importing import Result, import_file, import_public, keep, try_on
    from samar.zoo.normalization import Trial, try_normalizations
    from samar.zoo.recognition import Fit, Recognition, fit_to, network_of, recognize

__all__ = [
    "PUBLIC",
    "Examined",
    "Fit",
    "ImportedModel",
    "Mismatch",
    "PublicCheckpoint",
    "Recognition",
    "Result",
    "Trial",
    "absolute",
    "clean_title",
    "delete_model",
    "examine",
    "fetch",
    "find_model",
    "fit_to",
    "for_people",
    "get_model",
    "import_file",
    "import_public",
    "imported_models",
    "keep",
    "models_folder",
    "network_of",
    "public_checkpoint",
    "recognize",
    "rename_model",
    "require_images",
    "try_normalizations",
    "try_on",
    "usual_dataset",
]

_LAZY = {
    "Examined": "examining",
    "Fit": "recognition",
    "Recognition": "recognition",
    "Result": "importing",
    "Trial": "normalization",
    "absolute": "examining",
    "examine": "examining",
    "fit_to": "recognition",
    "import_file": "importing",
    "import_public": "importing",
    "keep": "importing",
    "network_of": "recognition",
    "recognize": "recognition",
    "require_images": "examining",
    "try_normalizations": "normalization",
    "try_on": "importing",
    "usual_dataset": "examining",
}

__getattr__ = lazily(__name__, _LAZY)
