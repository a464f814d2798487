import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from samar.errors import ConfigError
from samar.models.build import build_model
from samar.models.catalog import MODELS, model_info


def measured_macs(network: nn.Module, size: int) -> int:
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:
        network.eval()(torch.empty(1, 3, size, size))
    return counter.get_total_flops() // 2


def saved_numbers(network: nn.Module, size: int) -> int:
    """What one more image makes a forward pass keep, without what belongs to all of them."""
    network.train()

    def all_of(images: int) -> int:
        with torch.device("meta"):
            own = {t.untyped_storage()._cdata for t in network.state_dict().values()}
            sizes: dict[int, torch.UntypedStorage] = {}

            def pack(tensor: torch.Tensor) -> torch.Tensor:
                storage = tensor.untyped_storage()
                if storage._cdata not in own:
                    sizes[storage._cdata] = storage
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                logits = network(torch.empty(images, 3, size, size))
                loss = F.cross_entropy(logits, torch.zeros(images, dtype=torch.long))
                found = sum(each.nbytes() for each in sizes.values())
                del loss
        return found

    return (all_of(4) - all_of(2)) // 2 // 4


@pytest.mark.parametrize("name", MODELS)
def test_costs_are_what_the_catalogue_says(name: str) -> None:
    info = MODELS[name]
    with torch.device("meta"):
        network = build_model(name)
    assert sum(p.numel() for p in network.parameters()) == info.parameters
    assert measured_macs(network, 32) == info.macs
    assert saved_numbers(network, 32) == info.saved


def test_an_unknown_model_names_the_closest():
    with pytest.raises(ConfigError, match=r"model 'resnet-20' does not exist; choose resnet20"):
        model_info("resnet-20")
    with pytest.raises(ConfigError, match=r"'zzz' does not exist; choose cnn or resnet20 or .*wrn"):
        build_model("zzz")
