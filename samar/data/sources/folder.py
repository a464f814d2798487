"""The user's own images: ``train/CLASS/*`` and ``test/CLASS/*``, the layout of ImageFolder.

Classes are the sub-folders of ``train`` in alphabetical order, and ``test`` must have the same.
Images are read as RGB in the order of torchvision's ImageFolder and resized to 32×32 pixels where
they have another size (bilinear, antialiased, without keeping the aspect ratio). Files and folders
whose names start with a dot, and files that are no images by their extension, are passed over.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from samar.data.catalog import LAYOUT
from samar.data.dataset import ImageSet, Splits
from samar.data.presence import EXTENSIONS, image_files
from samar.errors import DataError
from samar.settings.paths import expanded, is_folder

SIZE = 32


def load_folder(path: str) -> Splits:
    """Read all images under ``path``.

    Raises:
        DataError: the folder or a part of it is missing, the classes of both parts differ, a class
            is empty, or a file cannot be read.
    """
    root = expanded(path)
    if not is_folder(root):
        raise DataError(f"The folder {root} does not exist; check the path after folder:.")
    classes = _class_names(root / "train")
    differing = sorted(set(classes) ^ set(_class_names(root / "test")))
    if differing:
        raise DataError(
            f"The folders train and test in {root} differ in the classes {_some(differing)}; "
            "give both the same sub-folders."
        )
    if len(classes) < 2:
        raise DataError(
            f"The folder {root / 'train'} has only the class {classes[0]}; use at least 2 classes."
        )
    return Splits(_read(root / "train", classes), _read(root / "test", classes), tuple(classes))


def _class_names(part: Path) -> list[str]:
    if not part.is_dir():
        raise DataError(f"The folder {part.parent} has no folder {part.name}; {LAYOUT}.")
    names = sorted(p.name for p in part.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise DataError(f"The folder {part} has no class folders; {LAYOUT}.")
    return names


def _read(part: Path, classes: list[str]) -> ImageSet:
    images, labels = [], []
    for label, name in enumerate(classes):
        files = image_files(part / name)
        if not files:
            raise DataError(
                f"The folder {part / name} has no images; "
                f"add some ({' '.join(sorted(EXTENSIONS))}) or remove the folder."
            )
        images += [_pixels(file) for file in files]
        labels += [label] * len(files)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return ImageSet(stacked, torch.tensor(labels))


def _pixels(file: Path) -> np.ndarray:
    """One image as uint8 (32, 32, 3)."""
    try:
        with Image.open(file) as image:
            rgb = _with_eight_bits(image).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(
            f"The image {file} cannot be read ({reason}); replace or remove it."
        ) from error
    if rgb.size != (SIZE, SIZE):
        rgb = rgb.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def _with_eight_bits(image: Image.Image) -> Image.Image:
    """The image with 0 to 255 for grey values; where they need 16 bits, without the lower eight.

    Raises:
        ValueError: its numbers are floating-point or need more than 16 bits.
    """
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    grey = np.asarray(image)
    if image.mode == "F" or grey.min() < 0 or grey.max() >= 2**16:
        raise ValueError("its grey values are no numbers of 8 or 16 bits")
    return Image.fromarray((grey // (256 if grey.max() >= 256 else 1)).astype(np.uint8))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
