"""Connectivity: paths of low loss between two networks, their barriers, and a plane through both.

Each path is kept as it is measured, with the bend that was trained for it, and so is each level of
a plane. A job that is started again goes on from there, also within a bend's training.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from samar.connectivity.catalog import SPLITS
from samar.connectivity.result import Connection, Path
from samar.connectivity.settings import NO_PLANE, ConnectivitySettings
from samar.errors import ConfigError, DataError
from samar.jobs.job import Job, job_dir, resume_path
from samar.jobs.kind import Kind, importing
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds.landscape import compared, require_joinable, take_up
from samar.landscapes.result import Landscape
from samar.networks.load import load_pinned, pinned
from samar.networks.settings import NetworkSettings
from samar.settings.declare import setting
from samar.settings.paths import told_apart

if TYPE_CHECKING:
    from samar.connectivity.measure import Connector, Saves
    from samar.networks.load import Network

PATHS = "paths"
BENDS = {False: "bend", True: "bend_aligned"}
PLANES = {False: "plane", True: "plane_aligned"}
"""Kinds of artifacts, the last two by whether the second network is aligned."""
FIRST_POINTS = 9


class ConnectivityJobSettings(ConnectivitySettings, NetworkSettings):
    """Which paths between which two networks."""

    kind: ClassVar[str] = "connectivity"
    verb: ClassVar[str] = "path"

    other: str = setting(
        "",
        "The second network: of the same architecture, on the same images.",
        group="network",
        label="second run or checkpoint",
        positional=True,
        pinned=True,
    )

    @property
    def described(self) -> str:
        """The two networks."""
        return f"paths from {self.network} to {self.other}"

    @property
    def first(self) -> "ConnectivityJobSettings | None":
        """The straight lines alone, from few images, at few points."""
        points = min(FIRST_POINTS, self.points)
        return self.from_few("other", "align", "split", "seed", curve="line", points=points)


def prepare(store: Store, settings: ConnectivityJobSettings) -> Mapping[str, Any]:
    """Find both networks, and check that they can be joined as far as that is known already."""
    first = pinned(store, settings)
    if not settings.other.strip():
        raise ConfigError("No second network was chosen; give another run, model or checkpoint.")
    second = pinned(store, settings, settings.other)
    if first["sha256"] == second["sha256"]:
        raise ConfigError(
            f"{first['title']} and {second['title']} have the same weights; choose two networks."
        )
    require_joinable(store, settings, (first, second))
    titles = [first["title"], second["title"]]
    if titles[0] == titles[1]:
        titles = told_apart(settings.network, settings.other)
    return {"networks": [first, second], "title": " to ".join(titles)}


def work(settings: ConnectivityJobSettings, work: Work) -> None:
    """Measure what is missing, and keep each path as it is there."""
    from samar.device.placement import described, use_fitting_threads

    network, other = load_pinned(work, settings)
    use_fitting_threads(network.macs * settings.images)
    note = compared(network, [other])
    if note:
        work.summarize(note=note)
    connector = _connector(settings, work, network, other)
    work.note(device=described(connector.device))
    for known in _kept_paths(work):
        _take_up(connector, work, known)
    paths: list[Path] = []
    facts = {"title": work.job.inputs["title"]}
    facts["networks"] = [dict(each.facts) for each in (network, other)]
    for curve, aligned in settings.paths:
        paths.append(connector.path(curve, aligned))
        if curve != "line":
            _keep_bend(connector, work, aligned)
        found = Connection(tuple(paths), connector.manifest() | facts)
        keep_paths(work, found)
    if settings.curve != "line" and settings.plane != NO_PLANE:
        for path in paths:
            if path.curve != "line" and not connector.same(path.curve, path.aligned):
                _measure_plane(connector, work, path, network)


def keep_paths(work: Work, found: Connection) -> None:
    """Keep the paths that are measured by now."""
    work.keep_saved(PATHS, found, "paths.npz", step=0, summary=found.summary())
    work.summarize(**found.summary())


def _connector(
    settings: ConnectivityJobSettings, work: Work, network: "Network", other: "Network"
) -> "Connector":
    from samar.connectivity.measure import Connector

    return Connector.on_images(
        network.model,
        other.model.state_dict(),
        ConnectivitySettings(**settings.model_dump(include=set(ConnectivitySettings.model_fields))),
        network.dataset,
        check=work.check,
        progress=lambda done, total, what: work.progress(done, total or None, what),
        saves=_saves(work),
    )


def _saves(work: Work) -> "Saves":
    """Keeps the state of a bend in training in the job's folder; without room the one before."""
    from samar.connectivity.measure import Saves
    from samar.errors import CheckpointError
    from samar.networks.checkpoint import load_resume_state, save_resume_state

    path = resume_path(work.job.id)

    class InFolder(Saves):
        def load(self, aligned: bool) -> Mapping[str, Any] | None:
            with suppress(CheckpointError):
                state = load_resume_state(path)
                return state if state["aligned"] == aligned else None
            return None

        def save(self, aligned: bool, state: Mapping[str, Any]) -> None:
            try:
                save_resume_state({**state, "aligned": aligned}, path)
            except OSError as error:
                work.miss(path.name, error)

    return InFolder()


def _kept_paths(work: Work) -> tuple[Path, ...]:
    """What an earlier process measured."""
    for artifact in work.kept(PATHS):
        try:
            return Connection.load(work.folder / artifact.path).paths
        except DataError:
            pass
    return ()


def _take_up(connector: "Connector", work: Work, path: Path) -> None:
    """Give the connector a path that was measured before, if its bend is there."""
    from samar.errors import CheckpointError
    from samar.landscapes.frame import parameters_in
    from samar.networks.checkpoint import load_weights

    if path.curve == "line":
        connector.know(path, None)
    for artifact in work.kept(BENDS[path.aligned]) if path.curve != "line" else ():
        with suppress(CheckpointError, KeyError):
            state = load_weights(work.folder / artifact.path)
            connector.know(path, parameters_in(connector.model, state))


def _keep_bend(connector: "Connector", work: Work, aligned: bool) -> None:
    import copy

    from samar.networks.checkpoint import save_weights

    kind = BENDS[aligned]
    if work.kept(kind):
        return
    network = copy.deepcopy(connector.model)
    network.load_state_dict(connector.bend_state(aligned))
    facts = {"bend": connector.settings.curve, "aligned": str(aligned)}
    work.keep(kind, lambda part: save_weights(network, part, facts), f"{kind}.safetensors")


def _measure_plane(connector: "Connector", work: Work, path: Path, network: "Network") -> None:
    kind = PLANES[path.aligned]
    points = connector.settings.plane
    if any(kept.step == points for kept in work.kept(kind)):
        return
    split = SPLITS[connector.settings.split][0]
    facts = {"title": f"{work.job.inputs['title']}: {path.title}"}
    facts["data_checksum"] = network.dataset.checksum
    sampler = connector.plane(path, split, facts)
    if sampler is None:
        return
    take_up(sampler, work, kind)
    words = "Measuring the plane, aligned" if path.aligned else "Measuring the plane"
    for level in sampler.levels(progress=lambda done, total: work.progress(done, total, words)):
        numbers = {"points": level.points, "min_loss": level.lowest}
        file = f"{kind}-{level.points}.npz"
        work.keep_saved(kind, level, file, step=level.points, summary=numbers)


def connection_of(store: Store, job: Job) -> Connection | None:
    """What a job has measured so far; None before its first path.

    Raises:
        DataError: its file is gone or damaged.
    """
    kept = store.records.artifacts(job.key, PATHS)
    if not kept:
        return None
    try:
        return Connection.load(job_dir(job.id) / kept[-1].path)
    except DataError:
        raise DataError(f"The paths of job {job.id} cannot be read; measure them anew.") from None


def planes_of(store: Store, job: Job) -> dict[bool, Landscape]:
    """The finest level of each plane that a job has kept, by whether the second is aligned."""
    found = {}
    for aligned, kind in PLANES.items():
        if kept := store.records.artifacts(job.key, kind):
            finest = max(kept, key=lambda artifact: artifact.step)
            with suppress(DataError):  # the file was deleted by hand
                found[aligned] = Landscape.load(job_dir(job.id) / finest.path)
    return found


KIND = Kind(
    "connectivity",
    "Connectivity",
    "Paths of low loss between two networks, before and after their neurons are aligned.",
    ConnectivityJobSettings,
    work,
    prepare=prepare,
    reused=True,
    resumable=True,
    rehearse=importing("samar.connectivity.measure", "scipy.optimize"),
)
