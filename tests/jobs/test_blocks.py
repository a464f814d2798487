"""Steps in blocks against a plain dictionary, over both databases."""

import random

import numpy as np
import pytest
import sqlalchemy as sa

from samar.jobs.job import Job
from samar.jobs.sql import blocks, schema
from samar.jobs.store import Store
from samar.jobs.training_records import StepRecord

BOTH_STORES = True
FIELDS = tuple(StepRecord.__dataclass_fields__)


def test_the_order_in_a_block_is_fixed() -> None:
    """Another order would read every store wrongly."""
    assert blocks.COLUMNS == FIELDS
    assert blocks.ROW_BYTES == 88


def drawn(chance: random.Random, first: int, count: int) -> list[StepRecord]:
    """Steps with numbers of all sizes; some were not measured, or overflowed."""
    odd = (float("nan"), float("inf"), -0.0, 1e-310)
    return [
        StepRecord(
            *(step, step // 7),
            *(chance.choice([chance.gauss(0, 1), chance.choice(odd)]) for _ in range(7)),
            *(2 * step, step / 3),
        )
        for step in range(first, first + count)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_appended_and_taken_back(store: Store, running: Job, seed: int) -> None:
    chance, known = random.Random(seed), dict[int, StepRecord]()
    sizes = (1, 2, 3, blocks.SHORT - 1, blocks.SHORT, 300, blocks.MOST, 2 * blocks.MOST + 5)
    for _ in range(40):
        last = max(known, default=0)
        at = chance.choice([last, last, last, chance.randint(0, last)])
        if chance.random() < 0.2:
            store.records.rewind(running.key, at)
            new: list[StepRecord] = []
        else:
            new = drawn(chance, at + 1 + chance.choice([0, 0, 4]), chance.choice(sizes))
            store.records.append(running.key, new)
            at = new[0].step - 1
        known = {n: step for n, step in known.items() if n <= at} | {s.step: s for s in new}
        after = chance.choice([0, chance.randint(0, last)])
        found = store.records.steps(running.key, after)
        expected = [step for n, step in sorted(known.items()) if n > after]
        for name in FIELDS:
            column = np.array([getattr(step, name) for step in expected], float)
            assert found[name].tobytes() == column.tobytes(), name
    with store.database.read() as db:
        sizes_now = [len(rows) for (rows,) in db.execute(sa.select(schema.steps.c.rows))]
    assert max(sizes_now) <= blocks.MOST * blocks.ROW_BYTES


def test_few_steps_at_a_time_are_few_blocks(store: Store, running: Job) -> None:
    chance = random.Random(0)
    for first in range(1, 1001, 2):
        store.records.append(running.key, drawn(chance, first, 2))
    with store.database.read() as db:
        count = db.execute(sa.select(sa.func.count()).select_from(schema.steps)).scalar_one()
    assert 1 < count <= 1 + 1000 / blocks.SHORT


def test_another_job_gets_them_up_to_a_step(store: Store, running: Job) -> None:
    store.records.append(running.key, drawn(random.Random(1), 1, 2500))
    for at in (1, 1024, 1500, 2500, 4000):
        other = store.get(store.create(running.settings)).key
        with store.database.write() as db:
            blocks.copy(db, running.key, other, at)
        ours, theirs = (store.records.steps(key) for key in (other, running.key))
        for name in FIELDS:
            assert ours[name].tobytes() == theirs[name][:at].tobytes()
