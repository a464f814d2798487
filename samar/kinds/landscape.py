"""A landscape: the loss on a line or a plane through a network's weights, by levels.

Every level that is complete is an artifact, and so is what was measured of the next one when the
job was stopped: a job that is started again goes on from there.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from samar.device.catalog import BF16, FP32
from samar.errors import ConfigError, DataError
from samar.jobs.kind import Kind, importing
from samar.jobs.store import Store
from samar.jobs.work import Stopped, Work
from samar.landscapes.result import ERRORS, Landscape
from samar.landscapes.settings import LandscapeSettings
from samar.networks.load import belongs_to, load_pinned, path_of, pinned, snapshots_before
from samar.networks.settings import NetworkSettings
from samar.settings.declare import setting

if TYPE_CHECKING:
    from samar.landscapes.frame import Frame
    from samar.landscapes.sampler import Sampler
    from samar.networks.load import Network

LEVEL, PREVIEW, PARTIAL = "landscape", "preview", "partial"
"""Kinds of artifacts: a level of the picture, of its rough form, or part of a level."""
PREVIEW_POINTS, FIRST_POINTS = 17, 9
PARTIAL_SECONDS = 10.0


class LandscapeJobSettings(LandscapeSettings, NetworkSettings):
    """Which landscape of which network."""

    kind: ClassVar[str] = "landscape"

    others: tuple[str, ...] = setting(
        (),
        "Further networks: the other ends for between, earlier snapshots in order for pca (those "
        "that the run itself kept, if left out).",
        group="network",
        label="further networks",
        word="with",
        pinned=True,
    )
    preview: bool = setting(
        False,
        "Measure a rough picture in bf16 first, good to about 1 %. Left out where the processor "
        "does not multiply bf16 natively, since it would be slower.",
        group="more",
        label="quick preview first",
    )

    @property
    def described(self) -> str:
        """The network and the directions."""
        return f"landscape of {self.network}, {self.directions}"

    @property
    def first(self) -> "LandscapeJobSettings | None":
        """The same picture from few images, at few points, without the ball's edge."""
        plain = {"name": "", "rho": 0.0, "preview": False, "precision": FP32, "sampling": "grid"}
        plain["points"] = min(FIRST_POINTS, self.points)
        return self.from_few(*type(self).model_fields, **plain)


def prepare(store: Store, settings: LandscapeJobSettings) -> Mapping[str, Any]:
    """Find every network, and check that there are as many as the directions need.

    Raises:
        SamarError: a network does not fit, or two settings do not go together.
    """
    if settings.precision != FP32 and settings.allowed_error is not None:
        raise ConfigError(
            f"sampling is 'adaptive' and precision {settings.precision!r}, whose own error no "
            "estimate holds; choose precision fp32, or sampling grid."
        )
    everything = (settings.network, *settings.others)
    own_path = settings.directions == "pca" and not settings.others
    if not own_path:
        settings.require_others(len(settings.others))
    found = [pinned(store, settings, what) for what in everything]
    require_joinable(store, settings, found)
    if own_path:
        settings.require_others(len(snapshots_before(store, found[0]["network"])))
    return {"networks": found, "title": " to ".join(each["title"] for each in found)}


def require_joinable(
    store: Store, settings: NetworkSettings, networks: Sequence[Mapping[str, str]]
) -> None:
    """Check that further networks can be joined with the first, as far as that is known already.

    Args:
        networks: as they are pinned.

    Raises:
        ConfigError: one is of another architecture, or of another data set.
    """
    first, *others = networks
    kinds = [belongs_to(store, settings.changed(network=n["network"]))[0] for n in networks]
    for other, kind in zip(others, kinds[1:], strict=True):
        if None not in (kinds[0], kind) and kinds[0] != kind:
            raise ConfigError(
                f"{first['title']} is a {kinds[0]} and {other['title']} a {kind}; choose two "
                "networks of one architecture."
            )
        if first["dataset"] != other["dataset"]:
            raise ConfigError(
                f"{first['title']} was trained on {first['dataset']} and {other['title']} on "
                f"{other['dataset']}; choose two networks of the same images."
            )


def compared(network: "Network", others: "Sequence[Network]") -> str:
    """What to know of networks that were not trained on the same images; empty where they were.

    Raises:
        ConfigError: they see the same image differently.
    """
    for other in others:
        if network.dataset.normalization != other.dataset.normalization:
            raise ConfigError(
                f"{network.title} and {other.title} normalize images differently, so that no "
                "network between them fits both; choose two with the same normalization."
            )
    if all(network.dataset.checksum == other.dataset.checksum for other in others):
        return ""
    return (
        "The networks were trained on different images or labels; those of the first, "
        f"{network.title}, are the ones used here."
    )


def work(settings: LandscapeJobSettings, work: Work) -> None:
    """Measure what is missing, and keep each level as it is complete."""
    from samar.device.placement import described, is_gpu, use_fitting_threads
    from samar.device.precision import has_bf16, multiplies_bf16
    from samar.landscapes.sampler import sampler_of

    network, *others = load_pinned(work, settings)
    note = compared(network, others)
    use_fitting_threads(network.macs * settings.images)
    device = next(network.model.parameters()).device
    ends: list[tuple[str, Mapping[str, Any]]]
    ends = [(other.title, other.model.state_dict()) for other in others]
    # A run's own snapshots: pca is taken of them, on any other plane they are shown.
    path: list[tuple[str, Mapping[str, Any]]] = []
    if settings.directions == "pca":
        ends = ends or path_of(work.store, network)
    elif settings.path and settings.applies("path"):
        path = path_of(work.store, network)

    def tell(sentence: str) -> None:
        work.progress(0, doing=sentence)
        work.check()

    facts = {"title": work.job.inputs["title"], **network.facts}
    if note:
        facts["note"] = note

    def sampler(wanted: LandscapeJobSettings, frame: "Frame | None" = None) -> "Sampler":
        return sampler_of(
            wanted,
            network.model,
            network.dataset,
            others=ends,
            path=path,
            frame=frame,
            facts=facts,
            tell=tell,
            check=work.check,
        )

    exact = sampler(settings)
    take_up(exact, work, LEVEL, PARTIAL)
    work.note(device=described(device, exact.evaluator.precision))
    if note or exact.evaluator.note:
        work.summarize(note=" ".join(filter(None, (note, exact.evaluator.note))))
    pays = is_gpu(device) or multiplies_bf16()
    rough = settings.preview and settings.precision == FP32
    if rough and has_bf16(device) and pays and not exact.grid.finest:
        points = min(PREVIEW_POINTS, settings.points)
        coarse = settings.changed(precision=BF16, points=points, sampling="grid")
        preview = sampler(coarse, exact.frame)
        _measure(preview, work, PREVIEW)
    try:
        _measure(exact, work, LEVEL)
    except Stopped:
        _keep_partial(exact, work)
        raise


def _measure(sampler: "Sampler", work: Work, kind: str) -> None:
    refinement = sampler.refinement
    words = "Quick preview" if kind == PREVIEW else "Measuring points"
    kept = time.monotonic()
    if refinement is not None:
        work.note(total=None)  # nobody knows how many there will be; that of a preview is another

    def progress(done: int, total: int) -> None:
        nonlocal kept
        if refinement is None:
            work.progress(done, total, words)
        else:
            work.progress(done, doing=f"{done:,} of at most {total:,} points; {refinement}")
        if kind == LEVEL and time.monotonic() - kept > PARTIAL_SECONDS:
            _keep_partial(sampler, work)
            kept = time.monotonic()

    for level in sampler.levels(progress=progress):
        keep_level(work, level, kind)


def keep_level(work: Work, level: Landscape, kind: str = LEVEL) -> None:
    """Keep a whole level, and its numbers on the job's row."""
    numbers, points = level.summary(), len(level.loss)
    work.keep_saved(kind, level, f"{kind}-{points}.npz", step=points, summary=numbers)
    work.summarize(**numbers, points=points)


def _keep_partial(sampler: "Sampler", work: Work) -> None:
    """Keep what is measured beyond the last level, so that no end of the process loses it."""
    if sampler.grid.done.sum() > sampler.grid.finest**sampler.grid.done.ndim:
        points = sampler.grid.points
        work.keep_saved(PARTIAL, sampler.at_level(points), f"{PARTIAL}.npz", step=points)


def take_up(sampler: "Sampler", work: Work, *kinds: str) -> None:
    """Put what an earlier process measured, and kept as artifacts of some kinds, into the grid."""
    import numpy as np

    seconds, forwards = 0.0, 0
    for artifact in (each for kind in kinds for each in work.kept(kind)):
        try:
            known = Landscape.load(work.folder / artifact.path)
        except DataError:
            continue
        cut = sampler.grid.part(len(known.loss))
        places = [axis[cut[0]] for axis in sampler.grid.axes]
        if not np.allclose(known.axes, places):
            continue  # of another plane: its bend had to be trained anew
        for name in ("loss", "accuracy", "done", *ERRORS):
            theirs = getattr(known, name)
            if theirs is not None:
                getattr(sampler.grid, name)[cut][known.done] = theirs[known.done]
        seconds = max(seconds, known.manifest["seconds"])
        forwards = max(forwards, known.manifest["forwards"])
    sampler.seconds += seconds
    sampler.evaluator.forwards += forwards


KIND = Kind(
    "landscape",
    "Landscape",
    "Loss and accuracy on a line or a plane through a network's weights.",
    LandscapeJobSettings,
    work,
    prepare=prepare,
    reused=True,
    resumable=True,
    rehearse=importing("samar.landscapes.sampler"),
)
