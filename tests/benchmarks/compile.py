"""What ``torch.compile`` gains: seconds a step, compiled over eager, in one process.

PYTHONPATH=. python -m tests.benchmarks.compile [--optimizer samar] [--device auto]
"""

import argparse
import statistics

from samar.models.catalog import MODELS
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.benchmarks.precision import noise

CASES = (("cnn", 8, 1), ("cnn", 32, 3), ("resnet20", 32, 3))
STEPS, ROUNDS = 4, 9


def main() -> None:
    """A line for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--optimizer", default="samar")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    options = parser.parse_args()
    rounds, cases = (2, CASES[:1]) if options.quick else (ROUNDS, CASES)
    for model, size, channels in cases:
        base = TrainSettings(
            model=model,
            optimizer=options.optimizer,
            second_pass="always" if options.optimizer == "samar" else "auto",
            device=options.device,
            augment="none",
            epochs=999,
        )
        data = noise(size, channels)
        eager, compiled = Trainer(base, data), Trainer(base.changed(compile=True), data)
        waited = compiled.warm_up()
        ratios = []
        for _ in range(rounds):
            seconds = []
            for trainer in (eager, compiled):
                before = trainer.seconds
                for _ in range(STEPS):
                    trainer.step()
                trainer.drain()
                seconds.append(trainer.seconds - before)
            ratios.append(seconds[1] / seconds[0])
        macs = MODELS[model].macs_at(size) / 1e6
        ratio = statistics.median(ratios[1:])
        print(
            f"{model:9} {size}×{size}, {macs:6.1f} MMACs: compiled / eager {ratio:.2f}, "
            f"compiling took {waited:.0f} s, on {eager.placement}"
        )


if __name__ == "__main__":
    main()
