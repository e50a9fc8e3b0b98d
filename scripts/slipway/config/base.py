"""What the models of slipway.yml are made from: durations, addresses, names."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def duration(value: object) -> float:
    """Parse ``500ms``, ``90s``, ``10m``, ``2h`` or ``7d`` into seconds."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration: write 500ms, 90s, 10m, 2h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError(f"{value!r} is not an http(s) URL without credentials or query")
    return value.rstrip("/")


def off(value: object) -> object:
    """YAML 1.1 reads the word ``off`` as false."""
    return "off" if value is False else value


Seconds = Annotated[float, BeforeValidator(duration), Field(gt=0, le=86_400)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
UrlPath = Annotated[str, Field(pattern=r"^/[^\s#]*$")]


def _glob(value: str) -> str:
    if not re.fullmatch(r"(?!\./|/|!)\S+(?<!/)", value):
        raise ValueError(
            f"{value!r} matches no file: write a path from the root of the repository, such as "
            "bot/** for all in a folder, without ./ or / before it"
        )
    return value


Glob = Annotated[str, AfterValidator(_glob), Field(min_length=1, max_length=200)]
"""Paths from the root of the repository: ``*`` within a folder, ``**`` across folders."""
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
ServiceId = Annotated[str, Field(pattern=r"^(srv|crn)-[a-z0-9-]+$")]
SellerId = Annotated[str, Field(pattern=r"^[a-z0-9_.@:-]{1,128}$")]
Share = Annotated[float, Field(gt=0, lt=100)]
"""Percent. Below 100: the rest is the control to compare with."""


def _dashed(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class Model(BaseModel):
    """A group of keys. Unknown ones are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=_dashed, hide_input_in_errors=True
    )
