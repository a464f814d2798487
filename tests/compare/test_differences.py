from samar.compare.differences import NOT_USED, differences, shown
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings


def test_only_what_differs_and_has_an_effect() -> None:
    configs = [
        TrainSettings(optimizer="sgd", rho=0.1, name="one", lam_max=5),
        TrainSettings(optimizer="sam", rho=0.1, curvature_every=3, lam_max=6),
        TrainSettings(optimizer="sam", rho=0.2, images_per_class=10),
    ]
    assert differences(configs) == {
        "optimizer": ["sgd", "sam", "sam"],
        "rho": [NOT_USED, 0.1, 0.2],
        "images_per_class": [None, None, 10],
    }


def test_what_only_one_optimizer_has_is_no_difference() -> None:
    configs = [TrainSettings(optimizer=name) for name in ("sgd", "samar")]
    assert list(differences(configs)) == ["optimizer"]
    assert differences(configs[:1]) == {}
    assert differences([]) == {}


def test_values_for_people() -> None:
    assert [shown(v) for v in (None, True, False, 0.05, 10, "cnn")] == [
        "none",
        "yes",
        "no",
        "0.05",
        "10",
        "cnn",
    ]
    known = settings_of(TrainSettings)
    assert shown(None, known["images_per_class"]) == "all"
    assert shown(None, known["lam_held"]) == "free"
