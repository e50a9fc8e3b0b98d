"""Reads inputs, one kind of value after the other, and collects what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar

from slipway.errors import UsageError

T = TypeVar("T", bound=str)
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_NAMED_IMAGE = re.compile(r"([^\s=]+)=(\S+)")
_DAY = 86_400
_DURATION = re.compile(r"([0-9]{1,5})(s|m|h)")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


class Reader:
    """Reads inputs and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str], plain: Collection[str] = ()) -> None:
        """``plain``: inputs that may also stand in a variable without ``SLIPWAY_``."""
        self._environ = environ
        self._plain = plain
        self._problems: list[str] = []

    def text(self, name: str) -> str:
        variable = name.upper().replace("-", "_")
        plain = self._environ.get(variable, "") if name in self._plain else ""
        return (self._environ.get(f"SLIPWAY_{variable}", "") or plain).strip()

    def required(self, name: str, hint: str) -> str:
        value = self.text(name)
        if not value:
            self._problems.append(f"`{name}` is missing or empty. {hint}")
        return value

    def seconds(self, name: str) -> float:
        value = self.text(name)
        if not value:
            return 0.0
        match = _DURATION.fullmatch(value)
        if match is None:
            self._problems.append(f"`{name}` is {value!r}. Write 90s, 10m or 2h.")
            return 0.0
        seconds = float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]
        if not 0 < seconds <= _DAY:
            told = f"`{name}` is {value!r}. Write more than 0s and 24h at most"
            self._problems.append(f"{told}; leave it out to ask once.")
        return seconds

    def matching(self, name: str, pattern: re.Pattern[str], form: str) -> str | None:
        value = self.text(name)
        if value and not pattern.fullmatch(value):
            self._problems.append(f"`{name}` is {_shown(value)}; expected {form}")
        return value or None

    def one_of(self, name: str, choices: tuple[T, ...]) -> T:
        """Return the choice; the first where nothing is given."""
        value = self.text(name)
        found = next((choice for choice in choices if choice == value), None)
        if value and found is None:
            self._problems.append(f"`{name}` is {_shown(value)}; expected {', '.join(choices)}")
        return found or choices[0]

    def checksums(self, name: str) -> Mapping[str, str]:
        """Return a JSON object of checksums, by version."""
        value = self.text(name)
        try:
            found: Any = json.loads(value) if value else {}
        except ValueError:
            found = None
        if isinstance(found, dict) and all(
            isinstance(sum_, str) and _CHECKSUM.fullmatch(sum_) for sum_ in found.values()
        ):
            return found
        self._problems.append(
            f"`{name}` is {_shown(value)}; expected a JSON object of versions and checksums, as "
            "check-migrations writes it"
        )
        return {}

    def moment(self, name: str) -> datetime | None:
        """Return a time with its offset from UTC."""
        value = self.text(name)
        if not value:
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self._problems.append(f"`{name}` is {_shown(value)}; expected 2026-01-31T04:00:00Z")
            return None
        return at

    def names(self, name: str) -> tuple[str, ...]:
        """Return words, separated by blanks, commas or lines, each once."""
        return tuple(dict.fromkeys(self.text(name).replace(",", " ").split()))

    def lines(self, name: str) -> tuple[str, ...]:
        """Return what stands on a line each, once."""
        lines = (line.strip() for line in self.text(name).splitlines())
        return tuple(dict.fromkeys(line for line in lines if line))

    def images(self, name: str) -> Mapping[str, str]:
        """Return one image, or one for each service as lines ``service=host/name@sha256:…``."""
        found: dict[str, str] = {}
        for line in self.text(name).split():
            named = _NAMED_IMAGE.fullmatch(line)
            service, image = (named[1], named[2]) if named else ("", line)
            if not _IMAGE.fullmatch(image):
                self._problems.append(
                    f"`{name}` is {_shown(line)}; expected host/name@sha256:<64 hex>: a tag can "
                    "move between check and use"
                )
            elif service in found:
                self._problems.append(f"`{name}` names two images for {service or 'one service'}")
            found[service] = image
        return found

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in _TRUE | _FALSE:
            self._problems.append(f"`{name}` is {value!r}; expected true or false")
        return value in _TRUE if value else default

    def finish(self) -> None:
        if self._problems:
            raise UsageError(
                "\n".join(self._problems),
                remedy="Mend the `with:` of this step, or at a terminal the flag or the SLIPWAY_ "
                "variable of that name. A secret that is empty is usually not defined in the "
                "environment the job names.",
            )


def _shown(value: str) -> str:
    return repr(value if len(value) <= 100 else value[:100] + "…")
