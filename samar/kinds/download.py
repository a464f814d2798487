"""Download: a public data set, or a public checkpoint, which is then imported."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import field_validator

from samar.data.catalog import DATASETS, with_whole_path
from samar.data.presence import is_present, require_data
from samar.jobs.job import Job
from samar.jobs.kind import Kind
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds.inspect import keep_found, telling
from samar.networks.library import rename_model
from samar.networks.public import PUBLIC, fetch
from samar.settings.declare import setting, titles
from samar.settings.job import JobSettings

PUBLIC_DATA = {name: info.title for name, info in DATASETS.items() if info.download_bytes}

DOWNLOADING = "Downloading"


class DownloadSettings(JobSettings):
    """What to fetch."""

    kind: ClassVar[str] = "download"

    source: str = setting(
        "cifar10",
        "A public data set or a public checkpoint; see models --public.",
        group="download",
        label="name",
        choices=titles(PUBLIC_DATA | {name: name for name in PUBLIC}),
        positional=True,
    )
    dataset: str | None = setting(
        None,
        "Of a checkpoint: the images to measure it on; those it was trained on if left out.",
        group="download",
        choices=titles(DATASETS),
        open_ended=True,
        when=lambda s: s.source in PUBLIC,
    )

    _absolute_folder = field_validator("dataset")(with_whole_path)

    @property
    def described(self) -> str:
        """What is fetched."""
        return f"download of {PUBLIC_DATA.get(self.source, self.source)}"


def prepare(store: Store, settings: DownloadSettings) -> Mapping[str, Any]:
    """Make sure that images to measure on are there.

    A download that goes on is the answer to another press; one that has ended is not, since what it
    fetched may be gone: the newest that ended is part of the question.
    """
    if settings.dataset is not None:
        require_data(settings.dataset)
    newest = newest_download(store, settings.source, active=False)
    return {"title": settings.described, "after": newest.id if newest else ""}


def newest_download(store: Store, source: str, *, active: bool) -> Job | None:
    """The newest download of something that goes on, or that has ended."""
    found = store.all(DownloadSettings.kind)
    same = (job for job in found if getattr(job.settings, "source", None) == source)
    return next((job for job in same if job.active == active), None)


def progress_words(job: Job) -> str:
    """How far a download is."""
    if job.status == "queued":
        return "Queued"
    if job.doing != DOWNLOADING:
        return job.doing or "Connecting…"
    whole = f" of {job.total / 1e6:.1f}" if job.total else ""
    return f"{DOWNLOADING}: {job.done / 1e6:.1f}{whole} MB"


def work(settings: DownloadSettings, work: Work) -> None:
    """Fetch, verify, and import a checkpoint."""
    if settings.source in PUBLIC:
        _checkpoint(settings, work)
        return
    from samar.data.load import load_dataset

    tell = telling(work)
    data = load_dataset(
        settings.source,
        download=True,
        progress=lambda done, total: tell(DOWNLOADING, done, total),
    )
    work.summarize(train=len(data.train), test=len(data.test), checksum=data.checksum)


def _checkpoint(settings: DownloadSettings, work: Work) -> None:
    from samar.networks.importing import import_file

    entry, tell = PUBLIC[settings.source], telling(work)
    images = settings.dataset or entry.dataset
    file = fetch(entry, lambda done, total: tell(DOWNLOADING, done, total))
    model, found = import_file(
        file,
        model=entry.model,
        dataset=images,
        normalize=entry.normalize,
        measure=is_present(images),
        tell=tell,
    )
    if model.title == file.stem:  # nobody has named it
        rename_model(model.id, entry.name)
    keep_found(work, found)
    work.summarize(imported=model.id)


KIND = Kind(
    "download",
    "Download",
    "Fetches a public data set or a public checkpoint.",
    DownloadSettings,
    work,
    prepare=prepare,
    reused=True,
    fetches=True,
)
