from tests.campaign.files import campaign


def test_hostile_files_are_refused_in_a_sentence() -> None:
    outcome = campaign(short=True)
    assert not outcome.faults
    assert outcome.tried >= 60
