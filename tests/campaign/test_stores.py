from tests.campaign.stores import campaign


def test_every_damaged_store_is_explained() -> None:
    outcome = campaign(short=True)
    assert not outcome.faults, "\n".join(outcome.faults)
    assert int(outcome.figures["stores"]) >= 40
