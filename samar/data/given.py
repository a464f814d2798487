"""A network, a loss and data that somebody else made, as an objective that samar measures."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samar.data.objective import Batches, BatchLoss, Objective, first_tensor, mapped, tensors_in
from samar.data.sample import Sample
from samar.errors import ConfigError

Loss = Callable[[Any, Any], Tensor]
"""Of outputs and targets: their mean loss, 0-dim."""

IGNORED = -100
"""A label that PyTorch's cross-entropy leaves out."""


def objective_of(
    network: nn.Module,
    loss: Loss | None = None,
    data: Any = None,
    *,
    forward: BatchLoss | None = None,
    batch_size: int | None = None,
) -> Objective:
    """The mean loss of a network over data, as a function of its weights.

    Args:
        network: says on which device.
        loss: of outputs and targets, such as ``F.mse_loss``; cross-entropy if None.
        data: a pair (inputs, targets), or any batch that ``forward`` takes, or several of them: a
            list or an iterator, such as a DataLoader. Inputs are a tensor, or several as a tuple,
            or by name as a mapping. A mapping in place of a pair is given to the network by name,
            whose output must then be the loss or have one, as Hugging Face's models do.
        forward: of the network and a batch: the mean loss, for all that is not outputs against
            targets. It must go through the network that it is given, and only that.
        batch_size: cut pairs into pieces of so many examples, to take less memory. The loss must be
            a mean over examples. Cross-entropy of labels is cut by itself.

    Raises:
        ConfigError: the data has another form, or no examples.
    """
    found = _formed(network, loss, data, forward, batch_size)
    if not len(found):
        raise ConfigError("There are no examples to measure on; give at least one.")
    return found


def _formed(
    network: nn.Module,
    loss: Loss | None,
    data: Any,
    forward: BatchLoss | None,
    batch_size: int | None,
) -> Objective:
    if loss is not None and forward is not None:
        raise ConfigError("Both loss and forward were given; give one of them.")
    if data is None:
        raise ConfigError("There is no data to measure on; give data=(inputs, targets).")
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    batches = [mapped(lambda tensor: tensor.to(device), each) for each in _batches(data)]
    if forward is not None:
        return Batches(batches, forward)
    if all(isinstance(each, Mapping) for each in batches) and batches:
        if loss is not None:
            raise ConfigError(
                "A batch that is a mapping has no targets for the loss; give forward(model, batch)."
            )
        return Batches(batches, _own_loss, plain=True)
    if not all(isinstance(each, list | tuple) and len(each) == 2 for each in batches):
        raise ConfigError(
            "A batch is not a pair of inputs and targets; give data=(inputs, targets), or "
            "forward(model, batch) for batches of another form."
        )
    if _is_cross_entropy(loss) and all(_are_labels(*batch) for batch in batches):
        shapes = {(x.shape[1:], x.dtype) for x, _ in batches}
        if len(shapes) == 1:
            return Sample(torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches]))
    if batch_size is not None:
        batches = [piece for batch in batches for piece in _cut(batch, batch_size)]
    return Batches(batches, _outputs, partial(_criterion, loss or F.cross_entropy), plain=True)


def _batches(data: Any) -> Iterable[Any]:
    """What was given, as batches."""
    if isinstance(data, Tensor):
        return [data]
    if isinstance(data, tuple | Mapping) or (
        isinstance(data, list) and any(isinstance(each, Tensor) for each in data)
    ):
        first_tensor(data)
        return [data]
    if not isinstance(data, Iterable):
        raise ConfigError(
            f"The data is a {type(data).__name__}; give data=(inputs, targets), or several batches."
        )
    return data


def _outputs(network: Callable[..., Any], batch: Any) -> Any:
    inputs, _ = batch
    if isinstance(inputs, Mapping):
        return network(**inputs)
    if isinstance(inputs, list | tuple):
        return network(*inputs)
    return network(inputs)


def _criterion(loss: Loss, outputs: Any, batch: Any) -> Tensor:
    return loss(outputs, batch[1])


def _own_loss(network: Callable[..., Any], batch: Mapping[str, Any]) -> Tensor:
    """The loss that a network itself computes."""
    outputs = network(**batch)
    if isinstance(outputs, Mapping):
        outputs = outputs.get("loss")
    found = outputs if isinstance(outputs, Tensor) else getattr(outputs, "loss", None)
    if not isinstance(found, Tensor):
        raise ConfigError(
            "The network returns no loss; put the labels into the batch, or give "
            "forward(model, batch)."
        )
    return found


def _is_cross_entropy(loss: Loss | None) -> bool:
    if type(loss) is nn.CrossEntropyLoss:
        usual = loss.weight is None and loss.label_smoothing == 0 and loss.reduction == "mean"
        return usual and loss.ignore_index == IGNORED
    return loss is None or loss is F.cross_entropy


def _are_labels(inputs: Any, targets: Any) -> bool:
    """Whether examples are rows of one tensor, each with a class."""
    return (
        isinstance(inputs, Tensor)
        and isinstance(targets, Tensor)
        and targets.dtype == torch.int64
        and targets.shape == inputs.shape[:1]
        and bool((targets != IGNORED).all())
    )


def _cut(batch: Any, size: int) -> Iterable[Any]:
    """A pair in pieces of at most so many examples; what has no examples goes into each."""
    if size < 1:
        raise ConfigError(f"The batch size is {size}; give at least 1.")
    count = len(first_tensor(batch))
    if not any(tensor.dim() and len(tensor) == count for tensor in tensors_in(batch[1])):
        raise ConfigError("The targets have another number of examples than the inputs.")

    def part(start: int) -> Callable[[Tensor], Tensor]:
        stop = start + size
        return lambda t: t[start:stop] if t.dim() and len(t) == count else t

    return [mapped(part(start), batch) for start in range(0, count, size)]
