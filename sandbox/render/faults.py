"""What the sandbox was asked to do wrong, one instruction after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["http", "lost", "delay", "cut", "status"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One instruction.

    ``http``: answer ``status`` with ``body`` instead of doing what was asked.
    ``lost``: do what was asked, then answer so: the caller cannot know that it was done.
    ``delay``: wait ``seconds`` first. ``cut``: close the connection in the middle of the answer.
    ``status``: show ``value`` as the status of the next deploy, for as long as it exists.
    """

    kind: Kind
    path_prefix: str = "/v1/"
    method: str | None = None
    status: int = 500
    body: Any = "<!doctype html><html><body><h1>500 Internal Server Error</h1></body></html>"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    """How many requests it hits; ``None``: until the faults are cleared."""
    seconds: float = 0.0
    value: str | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a kind nobody knows."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {self.kind!r}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether it hits this request."""
        return (
            self.kind != "status"
            and path.startswith(self.path_prefix)
            and self.method in {None, method}
        )

    def text(self) -> tuple[str, str]:
        """Return the body to answer with, and its content type."""
        if isinstance(self.body, str):
            return self.body, "text/html; charset=utf-8"
        return json.dumps(self.body), "application/json"


class Faults:
    """The instructions that are in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put one in force, after those there are."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Behave again."""
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the first that hits this request, and count it."""
        return self._use(next((each for each in self._faults if each.matches(method, path)), None))

    def take_status(self) -> str | None:
        """Return the status the next deploy is to show, if it was asked for."""
        fault = self._use(next((each for each in self._faults if each.kind == "status"), None))
        return fault.value if fault else None

    def _use(self, fault: Fault | None) -> Fault | None:
        if fault is not None:
            left = 1 if fault.times is None and fault.kind == "status" else fault.times
            if left is not None:
                fault.times = left - 1
                if left <= 1:
                    self._faults.remove(fault)
        return fault
