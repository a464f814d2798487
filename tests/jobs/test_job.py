"""How jobs are told apart: numbers that are never used again, names, settings."""

import pytest
import sqlalchemy as sa

from samar.errors import RunError
from samar.jobs.job import Job, unnumbered
from samar.jobs.sql import schema
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


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("config", "null"),
        ("config", "{}"),
        ("config", '{"epochs": 3}'),
        ("inputs", "["),
        ("summary", '{"epoch": {"epoch": "two"}}'),
        ("summary", '{"members": {"sgd": 3}}'),
        ("tags", b"\x00"),
        ("status", "merry"),
        ("done", "much"),
        ("created", 1e300),
        ("id", "../../x"),
        ("heartbeat", -1.0),
    ],
)
def test_a_damaged_row_is_an_unreadable_job_and_spoils_no_other(
    store: Store, column: str, value: object
) -> None:
    for name in ("sound", "broken"):
        store.create(TrainSettings(name=name))
    with store.database.write() as db:
        here = schema.jobs.c.key == 2
        db.execute(schema.jobs.update().where(here).values({column: value}))
    broken, sound = store.all()
    assert (sound.title, sound.status) == ("sound", "queued")
    assert (broken.title, broken.status) == ("broken", "unreadable")
    assert ("settings" if column == "config" else f"Its {column}") in broken.message
    assert broken.long_label
    assert broken.last_epoch is None
    assert getattr(broken.settings, "epochs", "?") == "?"
    for attribute in ("epochs", "optimizer", "command"):
        with pytest.raises(RunError, match=r"^broken: Its "):
            getattr(broken.settings, attribute)
    store.move(store.get("#2"), "stopped", only=("queued", "merry"))
    assert "/" not in store.delete("#2")[0]  # it names the folder that is removed with it
    assert [job.title for job in store.all()] == ["sound"]


def test_a_damaged_record_is_one_sentence(store: Store, running: Job, step) -> None:
    store.records.note(running.key, 1, "change", rho=0.5)
    store.records.add_artifact(running.key, "weights", 1, "weights")
    store.records.append(running.key, [step(1)])
    store.orders.post(running.key, "pause")
    with store.database.write() as db:
        db.execute(schema.events.update().values(detail="["))
        db.execute(schema.artifacts.update().values(summary="3"))
        db.execute(schema.controls.update().values(detail="no"))
        db.execute(sa.text("UPDATE steps SET rows = 'low'"))
    for read in (store.records.events, store.records.artifacts, store.records.steps):
        with pytest.raises(RunError, match=r"job #1 .*python -m samar doctor"):
            read(running.key)
    assert store.orders.after(0, running.key) == []
