"""What the rules refuse to decide.

    DomainError(ValueError)
    ├── InvalidCommand      a field no reservation can have; HTTP 422, on a topic a dead letter
    ├── UnknownReservation  a message about a reservation that nobody made; HTTP 404, a dead letter
    └── InvalidEvent        an event that does not continue the history it is applied to

A reservation that is refused by a rule (sold out, declined, too late) is no error: it is an event.
"""


class DomainError(ValueError):
    """Base of everything that the rules raise."""


class InvalidCommand(DomainError):
    """A message whose `field` is wrong whatever the state; `problem` says what it has to be."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class UnknownReservation(DomainError):
    """A message other than Reserve about a reservation that does not exist."""

    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"no reservation {reservation_id!r}: only a Reserve begins one")
        self.reservation_id = reservation_id


class InvalidEvent(DomainError):
    """An event that was not written by these rules, or is applied out of its order."""

    def __init__(self, reservation_id: str, version: int, problem: str) -> None:
        super().__init__(f"event {version} of reservation {reservation_id!r} {problem}")
        self.reservation_id = reservation_id
        self.version = version
        self.problem = problem
