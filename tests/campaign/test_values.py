"""Bad values on the command line, the short form of the campaign."""

from tests.campaign.values import campaign


def test_every_bad_value_is_refused_in_one_sentence() -> None:
    outcome = campaign(short=True)
    assert outcome.tried >= 250
    assert not outcome.faults, "\n".join(outcome.faults)
