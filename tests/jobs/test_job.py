"""How jobs are told apart: numbers that are never used again, names, settings."""

import pytest

from samar.errors import RunError
from samar.jobs.job import unnumbered
from samar.jobs.store import Store
from samar.kinds.curvature import CurvatureJobSettings
from samar.training.settings import TrainSettings


def test_a_number_is_never_used_again(store: Store) -> None:
    first = store.get(store.create(TrainSettings()))
    store.move(first, "stopped", only=("queued",))
    store.delete(first.id)
    second = store.get(store.create(TrainSettings()))
    assert (first.number, second.number) == ("#1", "#2")


def test_a_job_is_found_by_its_number(store: Store) -> None:
    first, second = (store.create(TrainSettings(name=name)) for name in ("", "1"))
    assert store.get("#1").id == first
    assert store.get("2", "train").id == second
    assert store.get("1").id == second, "a name that a person gave goes first"
    for wrong in ("#3", "3", "#", "#1x"):
        with pytest.raises(RunError, match="There is no job"):
            store.get(wrong)
    with pytest.raises(RunError, match="There is no sweep '#1'"):
        store.get("#1", "sweep")


def test_labels_tell_equal_runs_apart_and_put_given_names_first(store: Store) -> None:
    settings = TrainSettings(label_noise=0.4)
    ids = [store.create(settings), store.create(settings), store.create(settings.changed(name="a"))]
    one, two, named = map(store.get, ids)
    assert one.title == two.title == "SAMAR, ρ 0.1 · Small CNN · Digits, 40 % noise · seed 0"
    assert (one.label, two.label) == (f"#1 {one.title}", f"#2 {one.title}")
    assert (named.title, named.label) == ("a", "a · #3")
    assert named.details == one.title
    assert named.long_label.startswith(f"a · #3 · {one.title} · ")
    assert one.long_label.startswith(f"{one.label} · ")


def test_the_number_comes_before_a_name_that_a_sweep_gave(store: Store) -> None:
    member = store.get(store.create(TrainSettings(name="SAM · seed 1"), parent="abc"))
    assert (member.label, member.details) == ("#1 SAM · seed 1", "")


def test_a_measurement_is_called_after_its_network(store: Store) -> None:
    inputs = {"title": "best · #1", "networks": []}
    job = store.get(store.create(CurvatureJobSettings(network="x"), inputs=inputs))
    assert (job.title, job.label, job.details) == ("best · #1", "#1 of best · #1", "")


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("#12 SAM, ρ 0.1 · seed 0", "SAM, ρ 0.1 · seed 0"),
        ("best · #12", "best"),
        ("best · #12, step 40", "best, step 40"),
        ("#1 SGD · seed 0 to best · #3", "SGD · seed 0 to best"),
        ("mine #1 of 2", "mine #1 of 2"),
    ],
)
def test_titles_without_the_numbers_of_another_store(here: str, there: str) -> None:
    assert unnumbered(here) == there
