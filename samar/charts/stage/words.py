"""The stage's lines of text: how a run stands, what just happened, who is who."""

from collections.abc import Collection, Sequence

from samar.charts.html.render import render
from samar.charts.narration import narrate
from samar.charts.stage.feed import StageRun, styles_of
from samar.compare.standings import race_sentence
from samar.jobs.job import Job
from samar.jobs.summary import duration
from samar.training.collapse import Collapse, collapse_of

STATUS = {
    "queued": "Queued: it starts when the run before it ends",
    "running": "Training",
    "paused": "Paused",
    "finished": "Finished",
    "stopped": "Stopped",
    "diverged": "Diverged",
    "failed": "Failed",
    "interrupted": "Interrupted",
}
WARNED = ("failed", "diverged", "interrupted")
SPEED_WINDOW = 200
DASHES = {
    "solid": "",
    "dash": "9 4",
    "dot": "2 3",
    "dashdot": "9 3 2 3",
    "longdash": "15 6",
    "longdashdot": "15 3 2 3",
}


def status_word(whole: Job | None, runs: Sequence[StageRun]) -> str:
    """How a run or a race stands, in a word; of runs that were only put together, how many."""
    if whole is not None:
        return STATUS[whole.status]
    count = sum(not run.ghost for run in runs)
    return f"{count} runs" if count else "No run yet"


def status_line(whole: Job | None, runs: Sequence[StageRun]) -> str:
    """How far a run or a race is, as HTML; nothing of runs that were only put together."""
    shown = [run for run in runs if not run.ghost]
    if whole is None:
        return ""
    lead, parts = max(shown, key=lambda run: len(run.steps["step"])), []
    steps = lead.steps
    count, at = len(steps["step"]), int(max([0, *steps["step"][-1:]]))
    epochs = whole.settings.epochs
    if whole.status in ("running", "paused") and whole.doing:
        parts.append(whole.doing)
    elif whole.status == "running" and count == 0:
        parts.append("first steps…")
    if count:
        epoch = int(steps["epoch"][-1])
        if epochs:
            parts.append(f"epoch {min(epoch, epochs)} of {epochs}")
        elif len(lead.epochs["step"]):  # of a script that tells of them
            parts.append(f"epoch {epoch}")
        parts.append(f"step {at:,} of {whole.total:,}" if whole.total else f"step {at:,}")
    if whole.status == "running" and count > 1:
        recent = min(count, SPEED_WINDOW)
        spent = sum(
            run.steps["seconds"][-1] - run.steps["seconds"][-min(recent, len(run.steps["seconds"]))]
            for run in shown
            if run.active and len(run.steps["seconds"])
        )
        speed = (recent - 1) / spent if spent > 0 else 0.0
        parts.append(f"{speed:,.0f} steps/s" if speed >= 10 else f"{speed:.2g} steps/s")
        if speed and whole.total:
            parts.append(f"about {duration((whole.total - at) / speed)} left")
    if whole.device and whole.status != "queued":
        parts.append(whole.device)
    parts += whole.notes
    total = whole.total or 0
    return render("stage_status.html.j2", parts=parts, total=total, done=min(at, total))


def story(
    whole: Job | None, runs: Sequence[StageRun], x: str = "step", diverged: Collection[str] = ()
) -> str:
    """What just happened, as HTML: why a run ended, a collapse, who leads, or λ's newest move.

    Args:
        x: what the stage's axis is; a race is also told by it.
        diverged: ids of runs that are out of the race.
    """
    shown = [run for run in runs if not run.ghost]
    if not shown:
        text = "Choose the settings and press Start, or race the optimizers against each other."
        return _told(text)
    if whole is not None and whole.status in WARNED and whole.message:
        return _told(warning=whole.message)
    if len(shown) > 1:
        out = [run.label for run in shown if run.id in diverged]
        other = "seconds" if x == "seconds" else "grad_evals"
        told = race_sentence({run.label: run.epochs for run in shown}, out, (other,))
        return _told(told or "They start from the same weights and see the same images.")
    (run,) = shown
    if (found := _collapse(run)) is not None:
        return _told(warning=found.sentence, back=found.back)
    if whole is not None and whole.message:
        return _told(whole.message)
    return _told(narrate(run.settings, run.steps))


def _collapse(run: StageRun) -> Collapse | None:
    changes = [(event.step, event.detail) for event in run.events if event.kind == "change"]
    return collapse_of(
        run.steps,
        run.epochs,
        classes=run.classes,
        began=dict(run.began or run.settings),
        changes=changes,
        states=run.kept,
    )


def _told(text: str = "", warning: str = "", back: int | None = None) -> str:
    return render("stage_story.html.j2", text=text, warning=warning, back=back)


def people(runs: Sequence[StageRun], states: dict[str, str]) -> str:
    """Who is who, as HTML, where there are several; ``states`` are words about some, by id."""
    if len(runs) < 2:
        return ""
    known = []
    for run, style in zip(runs, styles_of(runs), strict=True):
        known.append(
            {
                "label": run.label,
                "title": run.settings.title,
                "color": style.color,
                "dash": DASHES[style.dash],
                "state": states.get(run.id, ""),
            }
        )
    return render("stage_people.html.j2", people=known)
