"""What came of checking one invariant."""

from dataclasses import dataclass, field

EXAMPLES = 5


@dataclass
class Verdict:
    """How many things were checked and how many were wrong, the first of them as examples.

    `notes`: what holds but has to be known, such as refunds that the gateway refused.
    """

    checked: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, example: str) -> None:
        """Count one thing that is wrong."""
        self.wrong += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)

    @property
    def holds(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong
