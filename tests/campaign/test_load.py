"""Twenty first sessions at once and a round over all pages: nobody is lost, nothing is raised."""

from tests.campaign.load import FIRST, PAGES, SHORT, Seen, campaign


def test_a_class_comes_to_a_fresh_server() -> None:
    outcome = campaign(short=True)
    assert not outcome.faults, "\n".join(outcome.faults)
    assert outcome.tried >= SHORT.visitors * len(PAGES)
    assert outcome.figures["sessions"] == str(SHORT.visitors)
    assert FIRST == 20


def test_what_is_slow_is_a_fault_of_the_whole_form() -> None:
    from tests.campaign.load import _judged

    quick = Seen(sliders=[0.2] * 40, health=[0.1] * 40)
    assert not _judged(quick, slowed=0.1, kept=10)
    slow = Seen(sliders=[0.2] * 35 + [1.2] * 5, health=[0.1, 0.7])
    assert len(_judged(slow, slowed=0.3, kept=300)) == 4
