"""Hostile links, the short form of the campaign."""

from tests.campaign.links import SHORT_CASES, campaign


def test_no_link_shows_an_exception() -> None:
    outcome = campaign(short=True)
    assert outcome.tried >= SHORT_CASES
    assert not outcome.faults, "\n".join(outcome.faults)
