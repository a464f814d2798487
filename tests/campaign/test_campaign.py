"""One small case of each part of the campaign; ``python -m tests.campaign`` runs the whole."""

from importlib import import_module

import pytest

from tests.campaign.__main__ import PARTS


@pytest.mark.parametrize("part", PARTS)
def test_nothing_goes_wrong(part: str) -> None:
    outcome = import_module(f"tests.campaign.{part}").campaign(short=True)
    assert outcome.tried
    assert not outcome.faults, "\n".join(outcome.faults)
