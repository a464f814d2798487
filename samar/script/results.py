"""What an instrument found, for a notebook: shows itself, saves, exports, opens in the app."""

import html
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from typing_extensions import Self

from samar.connectivity.result import Connection
from samar.curvature.catalog import COVARIANCE, MEASURES
from samar.curvature.noise import noise_of
from samar.curvature.result import Estimate, Report
from samar.errors import DataError
from samar.landscapes.result import Landscape
from samar.landscapes.topology.merge_tree import MergeTree, topology_of
from samar.landscapes.topology.report import THRESHOLD, told
from samar.settings.paths import expanded

R = TypeVar("R", bound="_Shown")


def titled(kind: type[R], found: Any, title: str) -> R:
    """What was found, as a result of a kind below, with a title."""
    make: Any = kind
    names = [each.name for each in fields(make) if each.name != "title"]
    result: R = make(**{name: getattr(found, name) for name in names}, title=title)
    return result


class _Shown:
    """A result that a notebook shows as a figure."""

    title: str

    def figure(self) -> Any:
        """The plotly figure, to change or to keep."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a notebook shows: an interactive figure, or the numbers where there is none."""
        bundle: dict[str, Any] = self.figure()._repr_mimebundle_(include, exclude) or {}
        return {"text/plain": repr(self)} | bundle

    def open(self) -> str:
        """Keep it as a finished job, which the app shows on its Jobs page; returns the job's id.

        Raises:
            SamarError: the store cannot be written.
        """
        from samar.kinds.measured import keep_measured

        return keep_measured(self, self.title)  # type: ignore[arg-type]


class _Archived(_Shown):
    """One that :meth:`save` writes as a NumPy archive, which knows its title."""

    def save(self, target: str | Path | BinaryIO) -> None:
        """Write everything as a NumPy archive."""
        super().save(_place(target))  # type: ignore[misc]

    @classmethod
    def load(cls, source: str | Path | BinaryIO) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or not one of these.
        """
        found: Any = super().load(_place(source))  # type: ignore[misc]
        again: Self = replace(found, title=str(found.manifest.get("title") or cls.title))
        return again


@dataclass(frozen=True, eq=False, repr=False)
class LandscapeResult(_Archived, Landscape):
    """A line or a plane around a network; see :class:`samar.landscapes.result.Landscape`.

    Attributes:
        title: of the figure.
    """

    title: str = "landscape"

    def __repr__(self) -> str:
        shape = " × ".join([str(self.points)] * len(self.axes))
        high = np.nanmax(self.loss, initial=-np.inf)
        return f"<landscape {self.title!r}: {shape} points, loss {self.lowest:.4g} to {high:.4g}>"

    def figure(self) -> Any:
        """The plane as a surface, or the line as a curve."""
        from samar.charts.landscape.figures import slices_figure, surface_figure
        from samar.charts.landscape.scale import shared_scale

        scale = shared_scale([self], "loss", self.lowest > 0)
        if self.is_plane:
            return surface_figure(self, scale, self.title).update_layout(height=600)
        return slices_figure([(self.title, self)], scale)

    def topology(self, *, threshold: float = THRESHOLD, neighbours: int = 8) -> MergeTree:
        """Minima, saddles and merge tree of the loss; see :func:`samar.topology_of`.

        Args:
            threshold: basins less deep than this share of the range of the loss are left out.
            neighbours: of a cell of a plane, 8 or 4.

        Raises:
            ConfigError: a value does not fit.
            DataError: no cell is finite.
        """
        return topology_of(self, neighbours=neighbours).simplified(threshold)

    def export(self, path: str | Path, *, marks: bool = False) -> Path:
        """Write it: .npz loses nothing, .csv is a table, .html is a page of its own.

        A plane may be .vtp too.

        Args:
            marks: whether the page shows minima and saddles, with persistence diagram and tree.

        Raises:
            ConfigError: it is to be .vtp and is no plane, or pyevtk is not installed.
            DataError: the file has another suffix, or no loss is finite that could be marked.
        """
        from samar.charts.html.landscape import write

        target = _with_suffix(path, (".npz", ".csv", ".vtp", ".html"))
        write(self, self.title, target, told(self) if marks else None)
        return target


@dataclass(frozen=True, eq=False, repr=False)
class PathResult(_Archived, Connection):
    """Paths between two networks; see :class:`samar.connectivity.result.Connection`.

    Attributes:
        title: of the figure.
    """

    title: str = "path"

    def __repr__(self) -> str:
        found = [(path, path.barrier(self.splits[0])) for path in self.paths]
        told = [f"{p.title.lower()} {b.value:.4g} ± {b.error:.2g}" for p, b in found]
        return f"<path {self.title!r}, barriers: {'; '.join(told)}>"

    def figure(self) -> Any:
        """The loss along the paths."""
        from samar.charts.connectivity import paths_figure

        return paths_figure(self, self.splits[0], "loss")

    def export(self, path: str | Path) -> Path:
        """Write it: .npz loses nothing, .csv is a table, .html is a page of its own.

        Raises:
            DataError: the file has another suffix.
        """
        from samar.charts.html.connectivity import write

        target = _with_suffix(path, (".npz", ".csv", ".html"))
        write(self, {}, self.title, target)
        return target


@dataclass(frozen=True, eq=False, repr=False)
class HessianResult(_Shown, Report):
    """Curvature at a network's weights; see :class:`samar.curvature.result.Report`.

    Attributes:
        title: of the figure.
    """

    title: str = "hessian"

    def __repr__(self) -> str:
        values = ", ".join(f"{value:.4g}" for value in self.eigenvalues[:5])
        return f"<hessian {self.title!r}: eigenvalues {values}; loss {self.loss:.4g}>"

    @property
    def eigenvalues(self) -> tuple[float, ...]:
        """The largest eigenvalues, descending."""
        return self.spectrum.values

    @property
    def residuals(self) -> tuple[float, ...]:
        """‖H y − θ y‖ of each: the true error is far smaller."""
        return self.spectrum.residuals

    @property
    def vectors(self) -> Any:
        """Their eigenvectors, (k, n), over the trainable parameters; None if it was loaded."""
        return self.spectrum.vectors

    @property
    def loss(self) -> float:
        """The mean loss at the weights."""
        return self.spectrum.loss

    @property
    def noise_scale(self) -> Estimate | None:
        """The gradient noise scale tr Σ / ‖g‖², in examples, with its standard error.

        None where the trace of the gradient covariance was not measured, or where the noise of so
        few examples is as large as the gradient. The error is NaN below three examples.
        """
        if self.matrix != COVARIANCE or self.trace is None:
            return None
        return noise_of(self)

    @property
    def measures(self) -> dict[str, float | None]:
        """Every number that is called sharpness, by its name; empty where none was asked for."""
        return {each.name: each.value for each in self.sharpness or ()}

    def figure(self) -> Any:
        """The density where it was measured, else the eigenvalues."""
        from samar.charts.curvature import density_figure, eigenvalue_figure

        return (density_figure if self.density else eigenvalue_figure)([(self.title, self)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if not self.sharpness:
            return super()._repr_mimebundle_(include, exclude)
        return {"text/plain": repr(self), "text/html": self._table()}

    def _table(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(MEASURES[each.name].title)}</td>"
            f"<td>{'—' if each.value is None else f'{each.value:.4g}'}</td></tr>"
            for each in self.sharpness or ()
        )
        return f"<table><caption>{html.escape(self.title)}</caption>{rows}</table>"

    def save(self, path: str | Path) -> None:
        """Write everything but the eigenvectors as JSON."""
        expanded(path).write_text(json.dumps(self.as_json() | {"title": self.title}))

    @classmethod
    def load(cls, path: str | Path) -> "HessianResult":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or not one of these.
        """
        try:
            content = json.loads(expanded(path).read_text())
            found = Report.from_json({k: v for k, v in content.items() if k != "title"})
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} holds no curvature ({error}); give a saved .json.") from None
        return titled(cls, found, str(content.get("title", "hessian")))

    def export(self, path: str | Path) -> Path:
        """Write it: .json keeps the numbers, .html the figure as a page of its own.

        Raises:
            DataError: the file has another suffix.
        """
        target = _with_suffix(path, (".json", ".html"))
        if target.suffix == ".json":
            self.save(target)
        else:
            self.figure().write_html(target)
        return target


def _place(file: str | Path | BinaryIO) -> Path | BinaryIO:
    return expanded(file) if isinstance(file, str | Path) else file


def _with_suffix(path: str | Path, known: tuple[str, ...]) -> Path:
    target = expanded(path)
    if target.suffix not in known:
        raise DataError(
            f"{target.name} ends in {target.suffix or 'nothing'}; choose {', '.join(known)}."
        )
    return target
