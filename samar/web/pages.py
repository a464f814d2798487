"""The pages of the app, a line each: navigation, links and the page of a job follow from it."""

from dataclasses import dataclass

from samar.home import SHIPPED


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        file: under ``pages/``, without its suffix; its last part is the address.
        title, icon: in the navigation; the icon is a name of Material Symbols.
        group: heading in the navigation.
        kinds: of jobs that it shows, with blanks between.
        names_job: parameter of its address that names the job.
    """

    file: str
    title: str
    icon: str
    group: str = ""
    kinds: str = ""
    names_job: str = "job"

    @property
    def path(self) -> str:
        """The file, as Streamlit's links name it."""
        return str(SHIPPED / "pages" / f"{self.file}.py")


_ALL = (
    Page("home/start", "Start", "home"),
    Page("learn/playground", "Playground", "toys", "Learn"),
    Page("learn/lessons", "Lessons", "school", "Learn"),
    Page("learn/lecture", "Lecture", "co_present", "Learn"),
    Page("learn/glossary", "Glossary", "dictionary", "Learn"),
    Page("experiment/train", "Train", "play_circle", "Experiment", "train race watch", "run"),
    Page("experiment/runs", "Jobs", "list", "Experiment"),
    Page("experiment/sweeps", "Sweeps", "grid_on", "Experiment", "sweep", "sweep"),
    Page("analysis/models", "Models", "inventory_2", "Analyse"),
    Page("analysis/landscape", "Landscape", "landscape", "Analyse", "landscape"),
    Page("analysis/curvature", "Curvature", "ssid_chart", "Analyse", "curvature"),
    Page("analysis/connectivity", "Connectivity", "route", "Analyse", "connectivity"),
    Page("analysis/compare", "Compare", "compare", "Analyse"),
    Page("home/about", "Method", "info", "About"),
    Page("home/study", "Study", "science", "About"),
)
PAGES = {page.file.rpartition("/")[2]: page for page in _ALL}
"""By their addresses."""


def page_of(kind: str) -> Page:
    """The page that shows jobs of a kind; the list of jobs, where there is no other."""
    return next((page for page in PAGES.values() if kind in page.kinds.split()), PAGES["runs"])
