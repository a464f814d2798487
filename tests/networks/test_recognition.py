import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.errors import CheckpointError, ConfigError
from samar.models.build import CONSTRUCTORS, build_model
from samar.models.catalog import MODELS, ModelInfo
from samar.networks.checkpoint import save_weights
from samar.networks.reading import Checkpoint, read_checkpoint
from samar.networks.recognition import fit_to, network_of, recognize
from samar.networks.shapes import Mismatch


def shapes_of(model: str, classes: int = 10, channels: int = 3) -> dict[str, Tensor]:
    """The tensors of a network without memory for their numbers."""
    with torch.device("meta"):
        return build_model(model, classes=classes, channels=channels).state_dict()


def anonymous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names that say nothing but the kind of tensor, as every PyTorch module gives it."""
    return {f"l{i}.{n.rsplit('.', 1)[-1]}": t for i, (n, t) in enumerate(tensors.items())}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (100, 1)])
def test_every_network_is_told_from_all_others(model: str, classes: int, channels: int) -> None:
    tensors = shapes_of(model, classes, channels)
    for found, way in (
        (recognize(Checkpoint(tensors, ordered=True)), "names"),
        (recognize(Checkpoint(dict(sorted(tensors.items())), ordered=False)), "names"),
        (recognize(Checkpoint(anonymous(tensors), ordered=True)), "order"),
    ):
        assert [(fit.model, fit.way) for fit in found.fits] == [(model, way)]
        assert (found.classes, found.channels) == (classes, channels)
        assert MODELS[model].title in found.fits[0].reason
    if (classes, channels) == (10, 3):
        assert found.parameters == MODELS[model].parameters


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnet20-conv", {"linear": "fc", "shortcut": "downsample"}),  # Chen
        ("resnet18", {"fc": "linear", "downsample": "shortcut"}),  # kuangliu
        ("vgg16-bn", {"classifier": "fc"}),
        ("wrn-16-4", {"linear": "fc", "shortcut": "convShortcut"}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "net.", "model.backbone."])
def test_other_naming_styles_fit_even_without_an_order(
    model: str, words: dict[str, str], prefix: str
) -> None:
    def foreign(name: str) -> str:
        return prefix + ".".join(words.get(word, word) for word in name.split("."))

    tensors = {foreign(name): tensor for name, tensor in shapes_of(model).items()}
    (fit,) = recognize(Checkpoint(dict(sorted(tensors.items())), ordered=False)).fits
    assert (fit.model, fit.way) == (model, "style")
    assert all(foreign(own) == found for own, found in fit.names.items())
    own, found = next(iter(words.items()))
    assert f"{found} for {own}" in fit.reason


@pytest.mark.parametrize("rename", [str, lambda n: f"x.{n}".replace("linear", "fc"), None])
def test_the_network_computes_what_it_did(
    network: nn.Module, weights_file: Callable[..., Path], rename: Callable[[str], str] | None
) -> None:
    numbers = itertools.count()
    path = weights_file(rename or (lambda n: f"{next(numbers)}.{n.rsplit('.', 1)[-1]}"))
    checkpoint = read_checkpoint(path)
    (fit,) = recognize(checkpoint).fits
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(network_of(checkpoint, fit)(images), network(images))


def test_counters_may_be_missing_and_half_precision_is_read(
    network: nn.Module, tmp_path: Path
) -> None:
    state = {n: t.half() for n, t in network.state_dict().items() if "num_batches" not in n}
    torch.save(state, tmp_path / "w.pt")
    checkpoint = read_checkpoint(tmp_path / "w.pt")
    (fit,) = recognize(checkpoint).fits
    loaded = network_of(checkpoint, fit)
    assert loaded.linear.weight.dtype == torch.float32
    assert torch.allclose(loaded.linear.weight, network.linear.weight, atol=1e-3)


def test_mismatches_are_listed_tensor_by_tensor() -> None:
    tensors = shapes_of("resnet20")
    tensors["linear.weight"] = torch.zeros(10, 32)
    del tensors["layer3.2.bn2.bias"]
    tensors["extra.mean"] = torch.zeros(3)
    found = recognize(Checkpoint(tensors, ordered=True))
    assert found.fits == ()
    assert found.nearest is not None
    assert found.nearest.model == "resnet20"
    assert set(found.nearest.mismatches) == {
        Mismatch("linear.weight", (10, 64), (10, 32)),
        Mismatch("layer3.2.bn2.bias", (64,), None),
        Mismatch("extra.mean", None, (3,)),
    }
    kinds = {row.kind for row in found.nearest.mismatches}
    assert kinds == {"other shape", "missing in the file", "not in the network"}
    with pytest.raises(CheckpointError, match=r"does not fit ResNet-20: 3 tensors differ, the fir"):
        network_of(Checkpoint(tensors, ordered=True), found.nearest)


def test_foreign_names_are_compared_along_the_order() -> None:
    tensors = anonymous(shapes_of("resnet20"))
    removed = list(tensors)[30]
    del tensors[removed]
    nearest = recognize(Checkpoint(tensors, ordered=True)).nearest
    assert nearest is not None
    assert nearest.model == "resnet20"
    (row,) = nearest.mismatches
    assert row.name == list(shapes_of("resnet20"))[30]
    assert row.found is None


def test_the_kind_of_tensor_must_agree_with_the_order() -> None:
    tensors = anonymous(shapes_of("resnet20"))
    weight, bias = list(tensors)[1:3]  # of the first BatchNorm: of equal shape
    names = {weight: bias, bias: weight}
    swapped = {names.get(name, name): tensor for name, tensor in tensors.items()}
    assert recognize(Checkpoint(swapped, ordered=True)).fits == ()


def test_safetensors_lost_the_order_and_says_so(tmp_path: Path) -> None:
    real = build_model("cnn").state_dict()
    safetensors.torch.save_file(anonymous(real), tmp_path / "w.safetensors")
    nearest = recognize(read_checkpoint(tmp_path / "w.safetensors")).nearest
    assert nearest is not None
    assert nearest.model == "cnn"
    assert nearest.mismatches == ()
    assert "does not keep the order of the layers; save the state_dict with" in nearest.reason


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered network that no tensor tells from ResNet-20."""
    twin = ModelInfo(**{**vars(MODELS["resnet20"]), "name": "twin", "title": "Twin"})
    monkeypatch.setitem(MODELS, "twin", twin)
    monkeypatch.setitem(CONSTRUCTORS, "twin", CONSTRUCTORS["resnet20"])


def test_ambiguities_are_offered(twins: None, tmp_path: Path) -> None:
    found = recognize(Checkpoint(shapes_of("resnet20"), ordered=True))
    assert [fit.model for fit in found.fits] == ["resnet20", "twin"]


def test_a_file_of_a_run_here_says_what_it_is(twins: None, tmp_path: Path) -> None:
    save_weights(build_model("twin"), tmp_path / "w.safetensors", {"model": "twin"})
    (fit,) = recognize(read_checkpoint(tmp_path / "w.safetensors")).fits
    assert fit.model == "twin"


def test_what_is_no_classifier() -> None:
    with pytest.raises(CheckpointError, match="holds 1 tensors but no linear layer"):
        recognize(Checkpoint({"a.weight": torch.zeros(2, 1, 3, 3)}, ordered=True))
    with pytest.raises(CheckpointError, match="holds 1 tensors but no convolution"):
        recognize(Checkpoint({"a.weight": torch.zeros(2, 3)}, ordered=True))


def test_values_that_are_not_finite(network: nn.Module) -> None:
    network.linear.weight.data[0, 0] = float("nan")
    checkpoint = Checkpoint(network.state_dict(), ordered=True)
    with pytest.raises(
        CheckpointError, match=r"not finite .* in 1 of \d+ .* linear\.weight with 1 of"
    ):
        network_of(checkpoint, fit_to(checkpoint, "cnn"))


def test_an_unknown_network(network: nn.Module) -> None:
    with pytest.raises(ConfigError, match="The model 'resnet19' does not exist"):
        fit_to(Checkpoint(network.state_dict(), ordered=True), "resnet19")
