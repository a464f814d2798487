"""Images. The catalogue is at hand at once; what needs torch is loaded on first use."""

from typing import TYPE_CHECKING

from samar.data.catalog import (
    AUGMENTATIONS,
    DATASETS,
    NORMALIZATIONS,
    AugmentationInfo,
    DatasetInfo,
    NormalizationInfo,
    dataset_info,
)
from samar.lazy import lazily

if TYPE_CHECKING:
    from samar.data.augment import Augmentation, augmentation_for
    from samar.data.batches import Batches
    from samar.data.dataset import Dataset, ImageSet
    from samar.data.download import default_root
    from samar.data.load import load_dataset
    from samar.data.normalization import Normalization
    from samar.data.presence import is_present, require_data

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "NORMALIZATIONS",
    "Augmentation",
    "AugmentationInfo",
    "Batches",
    "Dataset",
    "DatasetInfo",
    "ImageSet",
    "Normalization",
    "NormalizationInfo",
    "augmentation_for",
    "dataset_info",
    "default_root",
    "is_present",
    "load_dataset",
    "require_data",
]

_LAZY = {
    "Augmentation": "augment",
    "Batches": "batches",
    "Dataset": "dataset",
    "ImageSet": "dataset",
    "Normalization": "normalization",
    "augmentation_for": "augment",
    "default_root": "download",
    "is_present": "presence",
    "require_data": "presence",
    "load_dataset": "load",
}

__getattr__ = lazily(__name__, _LAZY)
