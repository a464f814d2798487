"""Hostile links, the short form of the campaign."""

from tests.campaign.links import campaign


def test_no_link_shows_an_exception() -> None:
    outcome = campaign(short=True)
    assert outcome.tried >= 1000
    assert not outcome.faults, "\n".join(outcome.faults)
