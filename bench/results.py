"""A file of results: what was measured so far, written anew after each measurement."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.places import PARTIAL, RESULTS


class Results:
    """Measurements by key, with the machine and the versions that they were made on."""

    def __init__(self, file: Path, content: dict[str, Any] | None = None) -> None:
        self.file = file
        self.content: dict[str, Any] = content or {"about": {}, "measurements": {}}

    @classmethod
    def read(cls, file: Path) -> "Results":
        """Those of a file."""
        return cls(file, json.loads(file.read_text()))

    @property
    def about(self) -> dict[str, Any]:
        """Machine, versions, settings, times."""
        found: dict[str, Any] = self.content["about"]
        return found

    @property
    def measurements(self) -> dict[str, dict[str, Any]]:
        """By key: figure, peer, what, round, settings, and `result` or `error`."""
        found: dict[str, dict[str, Any]] = self.content["measurements"]
        return found

    def has(self, key: str) -> bool:
        """Whether this was measured with success."""
        return "result" in self.measurements.get(key, {})

    def add(self, key: str, measurement: dict[str, Any]) -> None:
        """Keep a measurement, on disk too."""
        self.measurements[key] = measurement
        self.write()

    def write(self) -> None:
        """Write the file, whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        staged = self.file.with_suffix(".new")
        staged.write_text(self._text())
        staged.replace(self.file)

    def _text(self) -> str:
        """JSON with a line for each measurement."""
        lines = (f"{json.dumps(k)}: {json.dumps(m)}" for k, m in self.measurements.items())
        measurements = ",\n".join(lines)
        return f'{{"about": {json.dumps(self.about)},\n"measurements": {{\n{measurements}\n}}}}\n'

    def made(self, figure: str, peer: str) -> list[dict[str, Any]]:
        """The measurements of a peer that succeeded, round by round."""
        return [
            each
            for each in self.measurements.values()
            if (each["figure"], each["peer"]) == (figure, peer) and "result" in each
        ]

    def of(self, figure: str, peer: str) -> list[dict[str, Any]]:
        """What came of them."""
        return [each["result"] for each in self.made(figure, peer)]

    def values(self, figure: str, peer: str, field: str) -> list[float]:
        """One number of each round."""
        return [result[field] for result in self.of(figure, peer)]

    def median(self, figure: str, peer: str, field: str) -> float | None:
        """The median over the rounds; None where nothing was measured."""
        found = self.values(figure, peer, field)
        return median(found) if found else None

    def errors(self) -> Iterator[tuple[str, str]]:
        """Key and message of what went wrong."""
        for key, each in self.measurements.items():
            if "error" in each:
                yield key, each["error"]


def newest(*, partial: bool = False) -> Path | None:
    """The file that was begun last; a whole run's unless `partial`."""
    folders = (RESULTS, PARTIAL) if partial else (RESULTS,)
    found = [file for folder in folders for file in folder.glob("*.json")]
    return max(found, key=lambda file: file.name, default=None)
