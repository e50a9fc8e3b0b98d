"""slipway.yml: what a team's services are and how they are released.

The models below are the format; unknown keys are errors. ``load`` reports every problem at once,
each with its line. Durations are written ``90s``, ``10m`` or ``2h`` and become seconds.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from slipway.errors import UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(value: object) -> float:
    """Parse ``500ms``, ``90s``, ``10m`` or ``2h`` into seconds."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration: write 500ms, 90s, 10m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError(f"{value!r} is not an http(s) URL without credentials or query")
    return value.rstrip("/")


Seconds = Annotated[float, BeforeValidator(duration), Field(gt=0, le=86_400)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
UrlPath = Annotated[str, Field(pattern=r"^/[^\s#]*$")]
ServiceId = Annotated[str, Field(pattern=r"^(srv|crn)-[a-z0-9-]+$")]
Share = Annotated[float, Field(gt=0, lt=100)]
"""Percent. Below 100: the rest is the control to compare with."""


def _dashed(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=_dashed, hide_input_in_errors=True
    )


class Render(_Model):
    """Where Render's API is, and how it is asked."""

    api_url: HttpUrl = "https://api.render.com/v1"
    poll: Seconds = 5.0
    """Between two questions about a deploy."""
    confirm: Seconds = 20.0
    """Between the two readings that confirm a way back: two timeouts of a request, so that one
    still in flight when we asked would have landed in between."""


class PostHog(_Model):
    """The project that holds the release flag. The host is the private one: ``eu.posthog.com``."""

    host: HttpUrl = "https://us.posthog.com"
    project: Annotated[int, Field(strict=True, gt=0)]


class BuildName(_Model):
    """Where a running build names the commit it was built from."""

    header: str = "X-Build"
    field: str = "build"


class Health(_Model):
    """The probe of a service: a GET that must answer 2xx or 3xx within ``timeout``."""

    path: UrlPath = "/healthz"
    failures: int = Field(default=3, ge=1)
    """This many failed probes in a row mean that the build is not healthy."""
    timeout: Seconds = 5.0
    deadline: Seconds = 120.0
    """For a build that went live to answer as itself. Render keeps old instances for 60 s after it
    has switched, and some requests may still reach them."""


class Track(_Model):
    """One Render service."""

    service: ServiceId


class Staging(Track):
    """The staging service."""

    frozen: str | None = Field(default=None, min_length=1, max_length=200)
    """Why nothing is deployed to staging now: Meta's App Review needs it as it is, for example."""


class Edge(_Model):
    """The edge in front of the stable and the canary service."""

    url: HttpUrl
    flag: str = Field(default="release-canary", pattern=r"^[A-Za-z0-9_-]{1,100}$")
    lease: Annotated[Seconds, Field(ge=10, le=600)] = 180.0


class Step(_Model):
    """A share of the sellers, and for how long it is judged."""

    share: Share
    for_: Seconds


class Judge(_Model):
    """The candidate's errors against the control's."""

    every: Annotated[Seconds, Field(ge=0.1)] = 10.0
    ratio: float = Field(default=1.15, ge=1, le=100, allow_inf_nan=False)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Share of the steps in which identical code may be rolled back."""
    min_errors: int = Field(default=3, ge=1)
    min_requests: int = Field(default=20, ge=0)


class Rolling(_Model):
    """How instances are replaced: Render does it, this says how closely it is watched."""

    watch: Seconds = 120.0
    """For how long the new build is watched once it alone serves."""
    probe_every: Annotated[Seconds, Field(ge=0.05, le=10)] = 0.1
    """Between two probes while instances are replaced."""
    max_failed_probes: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    """More failed probes than this while instances are replaced: the build goes back."""


class Strategy(_Model):
    """How a release goes. A canary's defaults: 5 % for ten minutes, then a bake of ten at 95 %."""

    steps: tuple[Step, ...] = (Step.model_validate({"share": 5, "for": "10m"}),)
    bake: Step = Step.model_validate({"share": 95, "for": "10m"})
    judge: Judge = Judge()
    rolling: Rolling = Rolling()
    deploy_deadline: Seconds = 1200.0
    """Render itself gives a build up to 15 minutes to become healthy, after building it."""

    @model_validator(mode="after")
    def _shares_only_rise(self) -> Strategy:
        if not self.steps:
            raise ValueError("a canary needs at least one step")
        shares = [step.share for step in (*self.steps, self.bake)]
        if shares != sorted(shares):
            raise ValueError(f"shares must not fall: {shares}")
        return self


class Service(_Model):
    """One service of the team: its environments, its edge, and its strategy."""

    url: HttpUrl | None = None
    """What users open. Only shown."""
    build: BuildName = BuildName()
    health: Health = Health()
    staging: Staging | None = None
    stable: Track | None = None
    canary: Track | None = None
    edge: Edge | None = None
    strategy: Strategy = Strategy()

    @model_validator(mode="after")
    def _tracks_differ(self) -> Service:
        tracks = {"staging": self.staging, "stable": self.stable, "canary": self.canary}
        ids = [track.service for track in tracks.values() if track]
        if len(set(ids)) != len(ids):
            raise ValueError("staging, stable and canary must be different Render services")
        return self

    @model_validator(mode="after")
    def _lease_outlives_a_look(self) -> Service:
        if self.edge is None:
            return self
        limits = {
            "strategy.judge.every": (self.strategy.judge.every, self.edge.lease / 4),
            "health.timeout": (self.health.timeout, self.edge.lease / 2),
        }
        for name, (value, most) in limits.items():
            if value > most:
                raise ValueError(
                    f"{name} is {value:g} s and may be {most:g} s at most with a lease of "
                    f"{self.edge.lease:g} s: the lease has to be renewed in time"
                )
        return self


class Config(_Model):
    """A whole slipway.yml."""

    version: Literal[1]
    render: Render = Render()
    posthog: PostHog | None = None
    services: Mapping[str, Service] = Field(min_length=1)

    def service(self, name: str) -> Service:
        """Return the service with this name, or say which names there are."""
        if name in self.services:
            return self.services[name]
        known = ", ".join(sorted(self.services))
        raise UsageError(
            f"there is no service {name!r} in slipway.yml",
            remedy=f"Use one of: {known}. Or add {name!r} under `services:`.",
        )


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


_KEYS = sorted(
    {info.alias or name for model in _models(_Model) for name, info in model.model_fields.items()}
)
"""Every key there is, to find what a misspelt one was meant to be."""


def load(path: Path) -> Config:
    """Read and check a slipway.yml. Raises :class:`UsageError` with every problem and its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}",
            remedy="Check out the repository before this step, or point the input `config` at it.",
        ) from None
    return parse(text, name=str(path))


def parse(text: str, *, name: str = "slipway.yml") -> Config:
    """Check the text of a slipway.yml; ``name`` is used in messages."""
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data: Any = yaml.safe_load(text)
    except RecursionError:
        raise UsageError(
            f"{name} is nested too deeply", remedy="Write it with fewer levels.", file=name
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise UsageError(
            f"{name} is not YAML: {getattr(error, 'problem', None) or error}",
            remedy="Mend the file at this line.",
            file=name,
            line=line,
        ) from None
    problems = list(_duplicates(tree)) if tree else []
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            where = ".".join(str(part) for part in detail["loc"]) or "the file"
            message = _in_plain_words(detail)
            problems.append((_line(tree, detail["loc"]), f"{where}: {message}"))
    if problems:
        problems.sort()
        listed = "\n".join(f"  line {line}: {text}" for line, text in problems)
        raise UsageError(
            f"{name} has {len(problems)} problem{'s' * (len(problems) > 1)}:\n{listed}",
            remedy="Mend each line; unknown keys are errors so that a typo is never ignored.",
            file=name,
            line=problems[0][0],
        )
    return config


def _in_plain_words(detail: ErrorDetails) -> str:
    """Return one problem as a user would say it."""
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            near = difflib.get_close_matches(key, _KEYS, n=1)
            return "there is no such key" + (f"; did you mean {near[0]}?" if near else "")
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type":
            return "must be a mapping of keys to values"
    return detail["msg"].removeprefix("Value error, ")


def _line(tree: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Return the line (from 1) of the deepest part of ``location`` that exists."""
    node = tree
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(key.value) == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _duplicates(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Yield keys given twice: YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield key.start_mark.line + 1, f"{name} is given twice"
            seen.add(name)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicates(item)
