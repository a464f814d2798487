"""The short form of the campaign's part of the same name."""

from tests.campaign.disk import campaign


def test_nothing_goes_wrong() -> None:
    outcome = campaign(short=True)
    assert outcome.tried
    assert outcome.faults == []
