"""samar under Hugging Face's Trainer: the passes are a plain loop's, the run is in the store."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.errors import ConfigError
from samar.jobs.service import Jobs
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep, Late
from tests.script.frameworks import Ended, assert_same, need, state, stop, wait_for_observer

transformers = need("transformers")
need("accelerate")
ours = need("samar.script.huggingface")
Trainer, SamarTrainer, SamarCallback = transformers.Trainer, ours.SamarTrainer, ours.SamarCallback

pytestmark = pytest.mark.stage2
EXAMPLES, SIZE, EPOCHS = 32, 8, 2
BATCHES = EXAMPLES // SIZE
STEPS = EPOCHS * BATCHES


def examples(seed: int = 0) -> list[dict[str, Tensor]]:
    """Sequences of tokens; the class is whether the first is among the higher ones."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 20, (EXAMPLES, 6), generator=random)
    mask = torch.ones(6, dtype=torch.long)
    return [{"input_ids": t, "attention_mask": mask, "labels": (t[0] > 9).long()} for t in tokens]


def batch(first: int, last: int) -> dict[str, Tensor]:
    part = examples()[first:last]
    return {name: torch.stack([each[name] for each in part]) for name in part[0]}


def bert(norm: bool = False) -> nn.Module:
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.1,
    )
    network = transformers.BertForSequenceClassification(config)
    if norm:  # running statistics, which a second pass would move
        network.classifier = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 2))
    return network


def samar(network: nn.Module, **known: Any) -> SAMAR:
    return SAMAR(network.parameters(), torch.optim.AdamW, lr=0.01, rho=0.1, **known)


def every(network: nn.Module) -> SAMAR:
    return samar(network, second_pass=EveryStep())


def sam(network: nn.Module) -> SAM:
    return SAM(network.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)


def adamw(network: nn.Module) -> Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=0.01)


class SeedEachStep(transformers.TrainerCallback):
    """The Trainer sets seeds of its own; so the dropout masks are those of the plain loop."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        torch.manual_seed(100 + state.global_step)


def make(
    kind: Any,
    network: nn.Module,
    optimizer: Optimizer | None,
    folder: Path,
    callbacks: Any = (),
    **options: Any,
) -> Any:
    known: dict[str, Any] = {"num_train_epochs": EPOCHS, "per_device_train_batch_size": SIZE}
    known |= {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
    known |= {"lr_scheduler_type": "linear", "max_grad_norm": 0.0, "logging_steps": 1000}
    known |= {"train_sampling_strategy": "sequential", "dataloader_pin_memory": False}
    extra = {n: options.pop(n) for n in ("optimizer_cls_and_kwargs",) if n in options}
    return kind(
        model=network,
        args=transformers.TrainingArguments(output_dir=str(folder), **(known | options)),
        train_dataset=examples(),
        eval_dataset=examples(5),
        optimizers=(optimizer, None),
        callbacks=[SeedEachStep(), *callbacks],
        compute_metrics=lambda p: {"accuracy": float((p[0].argmax(1) == p[1]).mean())},
        **extra,
    )


def train(*asked: Any, **options: Any) -> Any:
    trainer = make(*asked, **options)
    trainer.train()
    return trainer


def plain_loop(
    network: nn.Module, optimizer: Any, *, parts: int = 1, clip: float = 0.0
) -> list[float]:
    """The same training without the Trainer."""
    network.train()
    steps = STEPS // parts
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: (steps - k) / steps)
    base = getattr(optimizer, "base", optimizer)
    if clip:
        parameters = list(network.parameters())
        base.register_step_pre_hook(
            lambda *_: (nn.utils.clip_grad_norm_(parameters, clip), None)[1]
        )
    losses = []
    for k in range(steps):
        torch.manual_seed(100 + k)
        first = k * parts * SIZE % EXAMPLES

        def closure(first: int = first) -> Tensor:
            optimizer.zero_grad()
            total = []
            for part in range(parts):
                start = first + part * SIZE
                loss = network(**batch(start, start + SIZE)).loss  # BERT's parts are summed
                loss.backward()
                total.append(loss.detach())
            return torch.stack(total).sum()

        losses.append(optimizer.step(closure).item())
        scheduler.step()
    return losses


@pytest.mark.parametrize("chosen", [samar, every, adamw])
def test_the_trainer_is_the_plain_loop(chosen: Any, samar_home: Path) -> None:
    network, alone = bert(norm=True), bert(norm=True)
    callback = SamarCallback(batch(0, 16), quiet=True)
    train(SamarTrainer, network, chosen(network), samar_home, [callback])
    optimizer = chosen(alone)
    optimizer.model = alone
    losses = plain_loop(alone, optimizer)
    assert_same(state(alone), state(network))
    run = Ended()
    assert run.job.status == "finished"
    assert run.steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)
    assert all(run.steps["grad_norm"] > 0)
    assert run.job.total == STEPS
    rates = [optimizer.defaults["lr"] * (1 - k / STEPS) for k in range(STEPS)]
    assert run.steps["lr"].tolist() == pytest.approx(rates)
    assert run.landscapes


@pytest.mark.parametrize("chosen", [every, adamw])
def test_each_pass_goes_over_all_parts(chosen: Any, samar_home: Path) -> None:
    network, alone = bert(), bert()
    options = {"gradient_accumulation_steps": 2}
    callback = SamarCallback(quiet=True)
    train(SamarTrainer, network, chosen(network), samar_home, [callback], **options)
    losses = plain_loop(alone, chosen(alone), parts=2)
    assert_same(state(alone), state(network))
    assert Ended().steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)


@pytest.mark.parametrize("chosen", [every, sam])
def test_what_the_base_receives_is_clipped(chosen: Any, samar_home: Path) -> None:
    network, alone = bert(), bert()
    optimizer = chosen(network)
    trainer = train(
        SamarTrainer, network, optimizer, samar_home, max_grad_norm=0.05, logging_steps=STEPS
    )
    other = chosen(alone)
    plain_loop(alone, other, clip=0.05)
    assert_same(state(alone), state(network))
    logged = next(each for each in trainer.state.log_history if "grad_norm" in each)
    assert logged["grad_norm"] == pytest.approx(other.grad_norm.item(), rel=1e-5)
    assert logged["grad_norm"] > 0.05


def test_a_checkpoint_is_gone_on_from(samar_home: Path) -> None:
    """λ, the policy and the moments are in it."""
    whole, again = bert(), bert()
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3}
    one = train(SamarTrainer, whole, samar(whole), samar_home / "one", **options)
    trainer = make(SamarTrainer, again, samar(again), samar_home / "two", **options)
    trainer.train(resume_from_checkpoint=str(samar_home / "one" / "checkpoint-3"))
    assert trainer.state.global_step == one.state.global_step == STEPS
    assert_same(state(whole), state(again))


def test_evaluations_of_several_sets_are_one_epoch(samar_home: Path) -> None:
    wanted = {"test_loss": "eval_a_loss", "test_accuracy": "eval_b_accuracy"}
    callback, network = SamarCallback(quiet=True, metrics=wanted), bert()
    trainer = make(
        SamarTrainer, network, samar(network), samar_home, [callback], eval_strategy="epoch"
    )
    trainer.eval_dataset = {"a": examples(5), "b": examples(6)}
    trainer.evaluate()  # before it trains, which is no epoch
    trainer.train()
    run = Ended()
    assert run.epochs["step"].tolist() == [BATCHES, STEPS]
    for ours_, theirs in wanted.items():
        told = [each[theirs] for each in trainer.state.log_history if theirs in each][-EPOCHS:]
        assert run.epochs[ours_].tolist() == pytest.approx(told)
    means = [run.steps["loss"][k : k + BATCHES].mean() for k in (0, BATCHES)]
    assert run.epochs["train_loss"].tolist() == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize("kind", [Trainer, SamarTrainer])
def test_a_plain_optimizer_tells_the_loss_of_the_network(kind: Any, samar_home: Path) -> None:
    network, alone = bert(), bert()
    callback = SamarCallback(quiet=True, metrics={"test_accuracy": "eval_accuracy"}, name="plain")
    trainer = train(
        *(kind, network, adamw(network), samar_home, [callback]),
        eval_strategy="epoch",
        logging_steps=STEPS,
    )
    losses = plain_loop(alone, adamw(alone))
    run = Ended()
    assert run.job.settings.name == "plain"
    assert run.steps["loss"].tolist() == pytest.approx(losses, abs=1e-6)
    logged = next(each["loss"] for each in trainer.state.log_history if "loss" in each)
    assert sum(losses) / STEPS == pytest.approx(logged, abs=1e-5)
    assert run.epochs["step"].tolist() == [BATCHES, STEPS]
    told = [each for each in trainer.state.log_history if "eval_loss" in each]
    assert run.epochs["test_loss"].tolist() == pytest.approx([e["eval_loss"] for e in told])
    assert run.epochs["test_accuracy"].tolist() == pytest.approx([e["eval_accuracy"] for e in told])
    assert run.epochs["train_loss"][0] == pytest.approx(sum(losses[:BATCHES]) / BATCHES, abs=1e-6)


def test_the_plain_trainer_is_refused_before_it_trains(samar_home: Path) -> None:
    network = bert()
    before = state(network)
    with pytest.raises(ConfigError, match=r"SAM could not .*; use samar\..*\.SamarTrainer in its"):
        train(Trainer, network, sam(network), samar_home, [SamarCallback(quiet=True)])
    assert_same(before, state(network))
    assert not Jobs().all()


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("fp16", "cannot train with fp16=True.* use bf16=True"),
        ("is_deepspeed_enabled", "trains in one process"),
    ],
)
def test_what_would_go_wrong_is_refused(attribute: str, sentence: str, samar_home: Path) -> None:
    network = bert()
    trainer = make(SamarTrainer, network, sam(network), samar_home)
    setattr(trainer.args if attribute == "fp16" else trainer, attribute, True)
    with pytest.raises(ConfigError, match=sentence):
        trainer.create_optimizer()


def test_the_clock_is_told(samar_home: Path) -> None:
    """Late takes its second gradients in the second half."""
    network = bert()
    optimizer = SAM(network.parameters(), torch.optim.SGD, lr=0.1, second_pass=Late(begin=0.5))
    train(SamarTrainer, network, optimizer, samar_home, [SamarCallback(quiet=True)])
    assert Ended().steps["grad_evals"].tolist() == [1, 2, 3, 4, 6, 8, 10, 12]


class AfterThree(transformers.TrainerCallback):
    """Does something once, after the third step."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        if state.global_step == 3:
            self.act()


def test_a_stop_in_the_app_ends_the_training(samar_home: Path) -> None:
    network, callback = bert(), SamarCallback(quiet=True)
    third = AfterThree(lambda: stop(callback.run))
    trainer = train(SamarTrainer, network, samar(network), samar_home, [callback, third])
    assert trainer.state.global_step == 4
    assert Ended().job.status == "stopped"


def test_a_look_in_the_midst(samar_home: Path) -> None:
    """A network is sent away for it, with whatever the framework and the callback hung on it."""
    callback = SamarCallback(batch(0, 16), quiet=True)
    look = AfterThree(lambda: wait_for_observer(callback.run))
    network = bert()
    train(SamarTrainer, network, samar(network), samar_home, [callback, look])
    assert 4 in Ended().landscapes


def fail() -> None:
    raise ZeroDivisionError("a mistake")


def test_an_error_ends_the_run_with_its_sentence(samar_home: Path) -> None:
    network = bert()
    optimizer, callbacks = every(network), [SamarCallback(quiet=True), AfterThree(fail)]
    with pytest.raises(ZeroDivisionError):
        train(SamarTrainer, network, optimizer, samar_home, callbacks)
    job = Ended().job
    assert (job.status, job.message) == ("failed", "ZeroDivisionError: a mistake")
    assert "step" not in vars(optimizer)


def test_an_error_in_the_second_pass_puts_the_weights_back(samar_home: Path) -> None:
    network = bert()
    before, calls = state(network), []

    def second(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            fail()

    network.register_forward_hook(second)
    with pytest.raises(ZeroDivisionError):
        train(SamarTrainer, network, every(network), samar_home)
    assert_same(before, state(network))
