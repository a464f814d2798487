"""What one part of the campaign found."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """One line of the campaign's table.

    Attributes:
        part: what was attacked, such as "files".
        tried: how many cases.
        faults: one sentence for each case that went wrong: what was tried, and what happened.
        figures: further facts for the table, by what they are called.
    """

    part: str
    tried: int = 0
    faults: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
