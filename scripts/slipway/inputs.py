"""The only reader of the environment: what the user asked for, and what the runner says.

An action passes each input as ``SLIPWAY_<INPUT>``. Nothing here calls anything outside.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from slipway.errors import UsageError
from slipway.ports import Artifact, Holder

Verb = Literal[
    "canary-prod", "rolling-ui", "rollback", "deploy-staging", "release", "adopt", "doctor"
]
VERBS: tuple[Verb, ...] = get_args(Verb)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_TARGET = re.compile(r"previous|dep-[a-z0-9-]+|sha256:[0-9a-f]{64}|[0-9a-f]{40}")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Secrets. Never printed: ``repr`` leaves them out."""

    render: str = field(repr=False)
    """Empty where doctor is not given one."""
    posthog: str | None = field(repr=False)
    edge: str | None = field(repr=False)
    github: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The workflow run this is, or a laptop."""

    on_github: bool
    repository: str | None
    api_url: str
    url: str | None
    """The page of this run."""
    actor: str
    holder: Holder
    pull_request: int | None
    """From the event's payload, where it has one."""
    output_file: Path | None
    summary_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything a command may need, checked."""

    verb: Verb
    service: str
    """Of slipway.yml; empty: all of them (doctor only)."""
    config: Path
    image: str | None
    commit: str | None
    live_commit: str | None
    target: str
    reason: str
    comment: bool
    summary: bool
    keys: Keys
    run: Run

    def artifact(self, *, image_backed: bool) -> Artifact:
        """Return what to deploy, for a service of this kind. Raises :class:`UsageError`."""
        if image_backed:
            if self.image is None:
                raise UsageError(
                    f"{self.service} runs an image, and the input `image` is empty",
                    remedy="Pass `image:` as host/name@sha256:…, the digest your build pushed.",
                )
            return Artifact(kind="image", reference=self.image, commit=self.commit)
        if self.image is not None:
            raise UsageError(
                f"{self.service} is built by Render from Git, and the input `image` is set",
                remedy="Leave `image` out and pass `commit:` (default: the workflow's commit).",
            )
        if self.commit is None:
            raise UsageError(
                "the commit to deploy is not known",
                remedy="Pass `commit:` as 40 hexadecimal digits.",
            )
        return Artifact(kind="commit", reference=self.commit, commit=self.commit)


def read(environ: Mapping[str, str], verb: Verb) -> Inputs:
    """Read and check the inputs of ``verb``; every problem at once in one :class:`UsageError`."""
    reader = _Reader(environ)
    on_github = environ.get("GITHUB_ACTIONS") == "true"
    inputs = Inputs(
        verb=verb,
        service=reader.text("service")
        if verb == "doctor"
        else reader.required("service", "The name of a service in slipway.yml."),
        config=Path(environ.get("GITHUB_WORKSPACE", "."), reader.text("config") or "slipway.yml"),
        image=reader.matching(
            "image", _IMAGE, "host/name@sha256:<64 hex>: a tag can move between check and use"
        ),
        commit=reader.matching("commit", _COMMIT, "40 hexadecimal digits")
        or _sha(environ.get("GITHUB_SHA")),
        live_commit=reader.matching("live-commit", _COMMIT, "40 hexadecimal digits"),
        target=reader.matching(
            "target", _TARGET, "`previous`, a deploy id (dep-…), sha256:<64 hex> or a full commit"
        )
        or "previous",
        reason=reader.required("reason", "Why, in a sentence: it is kept with the deployment.")
        if verb in ("rollback", "adopt")
        else reader.text("reason"),
        comment=reader.boolean("comment", default=True),
        summary=reader.boolean("summary", default=True),
        keys=Keys(
            render=reader.text("render-api-key")
            if verb == "doctor"
            else reader.required("render-api-key", "Make one in Render's Account Settings."),
            posthog=reader.text("posthog-api-key") or None,
            edge=reader.text("edge-token") or None,
            github=reader.text("github-token") or None,
        ),
        run=_run(environ, on_github=on_github),
    )
    reader.finish()
    return inputs


def runner_files(environ: Mapping[str, str]) -> tuple[bool, Path | None, Path | None]:
    """Return whether this is GitHub, and its outputs and summary files."""
    names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    output, summary = (Path(environ[n]) if environ.get(n) else None for n in names)
    return environ.get("GITHUB_ACTIONS") == "true", output, summary


class _Reader:
    """Reads inputs and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(f"SLIPWAY_{name.upper().replace('-', '_')}", "").strip()

    def required(self, name: str, hint: str) -> str:
        value = self.text(name)
        if not value:
            self._problems.append(f"`{name}` is missing or empty. {hint}")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], form: str) -> str | None:
        value = self.text(name)
        if value and not pattern.fullmatch(value):
            shown = value if len(value) <= 100 else value[:100] + "…"
            self._problems.append(f"`{name}` is {shown!r}; expected {form}")
        return value or None

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in _TRUE | _FALSE:
            self._problems.append(f"`{name}` is {value!r}; expected true or false")
        return value in _TRUE if value else default

    def finish(self) -> None:
        if self._problems:
            raise UsageError(
                "\n".join(self._problems),
                remedy="Mend the `with:` of this step. A secret that is empty is usually not "
                "defined in the environment the job names.",
            )


def _sha(value: str | None) -> str | None:
    return value if value and _COMMIT.fullmatch(value) else None


def _run(environ: Mapping[str, str], *, on_github: bool) -> Run:
    run_id = environ.get("GITHUB_RUN_ID", "")
    repository = environ.get("GITHUB_REPOSITORY") or None
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "1")
    output, summary = runner_files(environ)[1:]
    return Run(
        on_github=on_github,
        repository=repository,
        api_url=environ.get("GITHUB_API_URL", "https://api.github.com"),
        url=f"{server}/{repository}/actions/runs/{run_id}" if run_id and repository else None,
        actor=environ.get("GITHUB_TRIGGERING_ACTOR")
        or environ.get("GITHUB_ACTOR")
        or environ.get("USER", "somebody"),
        holder=Holder(
            # Two laptops, or two terminals of one, must not share a lease.
            run_id=run_id or f"laptop-{environ.get('USER', 'somebody')}-{secrets.token_hex(4)}",
            attempt=int(attempt) if attempt.isdigit() else 1,
        ),
        pull_request=_pull_request(environ.get("GITHUB_EVENT_PATH")),
        output_file=output,
        summary_file=summary,
    )


def _pull_request(event_path: str | None) -> int | None:
    if not event_path:
        return None
    try:
        event: Any = json.loads(Path(event_path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pull = event.get("pull_request") if isinstance(event, dict) else None
    number = pull.get("number") if isinstance(pull, dict) else None
    return number if isinstance(number, int) else None
