"""A policy of the second gradient that skips every other step, for tests of steps that do."""

from dataclasses import dataclass

from samar.optim.second_pass import SKIP, TAKE, Late, SecondPass

NEVER = Late(begin=1.0)


@dataclass(frozen=True)
class EveryNth(SecondPass):
    name = "every_nth"
    steps: int = 2

    def decide(self, moment, memory):
        return TAKE if moment.step % self.steps == 0 else SKIP
