"""The same under Hugging Face's Trainer: a BERT of two layers, made from its configuration.

Needs `pip install '.[huggingface]'` in a checkout of samar; nothing is downloaded. The task is made
up: does the first half of a sequence hold more sevens than the second? `SamarTrainer` takes the
place of the Trainer, because the Trainer steps without a closure.

What one sees in the app: for some hundred steps the network says "no" to everything, which is right
three times in four; then it finds out how to count, and the loss falls at once. Meanwhile λ swings
up to the ceiling of 2 that it was given.

    python examples/huggingface_loop.py
"""

import argparse
import tempfile

import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, EvalPrediction, PrinterCallback
from transformers import TrainingArguments as Arguments

import samar
from samar.script.huggingface import SamarCallback, SamarTrainer

LENGTH, TOKENS, SEVEN = 12, 10, 7


def sequences(count: int, seed: int) -> list[dict[str, Tensor]]:
    """Random digits with their answer: 1 where the first half holds more sevens, else 0."""
    tokens = torch.randint(TOKENS, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    sevens = (tokens == SEVEN).long()
    half = LENGTH // 2
    answers = (sevens[:, :half].sum(1) > sevens[:, half:].sum(1)).long()
    return [{"input_ids": t, "labels": a} for t, a in zip(tokens, answers, strict=True)]


def accuracy(told: EvalPrediction) -> dict[str, float]:
    """The share of right answers, under the name by which the callback finds it."""
    return {"accuracy": float((told.predictions.argmax(1) == told.label_ids).mean())}


def main(epochs: int = 10, examples: int = 2000) -> str | None:
    """Train, and return the id of the watched run."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=TOKENS,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    network = BertForSequenceClassification(config)
    optimizer = samar.SAMAR(network.parameters(), torch.optim.AdamW, lr=1e-3, rho=0.02, lam_max=2.0)

    training = sequences(examples, seed=0)
    sample = {name: torch.stack([e[name] for e in training[:200]]) for name in training[0]}
    callback = SamarCallback(sample=sample, name="hugging face")
    with tempfile.TemporaryDirectory() as folder:
        trainer = SamarTrainer(
            model=network,
            args=Arguments(
                output_dir=folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=50,
                per_device_eval_batch_size=500,
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                use_cpu=True,
                dataloader_pin_memory=False,
                disable_tqdm=True,
            ),
            train_dataset=training,
            eval_dataset=sequences(500, seed=1),
            optimizers=(optimizer, None),
            compute_metrics=accuracy,
            callbacks=[callback],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        print(f"{100 * trainer.evaluate()['eval_accuracy']:.1f} % of new sequences are told right.")
    return callback.run.id if callback.run else None


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="train for a moment only")
    main(epochs=1, examples=200) if options.parse_args().small else main()
