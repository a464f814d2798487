"""A measured accuracy beside the published one of the same checkpoint, and why they may differ."""

from samar.data.catalog import DATASETS, FOLDER_PREFIX, NORMALIZATIONS, dataset_info
from samar.networks.inspection import Inspection
from samar.networks.library import ImportedModel
from samar.networks.public import PUBLIC, PublicCheckpoint

POINT = 0.01
"""Below this a difference from the published accuracy needs no explanation."""
DEVIATIONS = 2.0
"""Standard errors within which chance alone usually leaves a result."""

Measured = Inspection | ImportedModel


def published(sha256: str) -> PublicCheckpoint | None:
    """The public checkpoint that a file is, by its checksum."""
    return next((each for each in PUBLIC.values() if sha256.startswith(each.sha256)), None)


def difference(measured: Measured) -> str:
    """How far the accuracy is from the published one, in a sentence.

    Empty where that is less than a point, or where nothing was measured or published.
    """
    entry, accuracy = published(measured.sha256), measured.accuracy
    if entry is None or accuracy is None or abs(accuracy - entry.accuracy) <= POINT:
        return ""
    points = 100 * abs(accuracy - entry.accuracy)
    side = "below" if accuracy < entry.accuracy else "above"
    return f"{accuracy:.2%} is {points:.1f} points {side} the published {entry.accuracy:.2%}."


def reasons(measured: Measured) -> list[str]:
    """Why the accuracy may be another than the published one: one sentence or two on each of
    images, their number, normalization and precision; empty where :func:`difference` is.
    """
    entry = published(measured.sha256)
    if entry is None or not difference(measured):
        return []
    return [
        f"Images: {_which(measured, entry)}",
        f"How many: {_how_many(measured, entry)}",
        f"Normalization: {_normalization(measured, entry)}",
        "Precision: fp32. Another number format would change the result by far less than a point.",
    ]


def _which(measured: Measured, entry: PublicCheckpoint) -> str:
    original, title = DATASETS[entry.dataset].title, dataset_info(measured.dataset).title
    folder = "the folder " * measured.dataset.startswith(FOLDER_PREFIX)
    if measured.dataset == entry.dataset:
        return f"the test images of {original}, as published."
    return (
        f"{folder}{title}. The published accuracy is that on the original "
        f"test images of {original}. Copies that were saved as JPEG or resized cost accuracy, "
        "other photographs cost more."
    )


def _how_many(measured: Measured, entry: PublicCheckpoint) -> str:
    accuracy, images = measured.accuracy, measured.images
    assert accuracy is not None
    assert images is not None
    if measured.of is None:
        share = f"{images:,}"
    elif images < measured.of:
        share = f"{images:,} of {measured.of:,} test images"
    else:
        share = f"all {images:,} test images"
    chance = DEVIATIONS * (accuracy * (1 - accuracy) / images) ** 0.5
    return (
        f"{share}, published on {DATASETS[entry.dataset].test:,}. With {images:,} images chance "
        f"moves the result by up to about {100 * chance:.1f} points."
    )


def _normalization(measured: Measured, entry: PublicCheckpoint) -> str:
    right = NORMALIZATIONS[entry.normalize].title
    if measured.normalize == entry.normalize:
        return f"{right}, as in its training."
    known = NORMALIZATIONS.get(measured.normalize)
    used = known.title if known else "measured on these images"
    return f"{used}, but it was trained with {right}. That alone can cost many points."
