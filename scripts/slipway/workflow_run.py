"""The workflow run this is, as the runner says; or a laptop."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.ports import Holder


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
    server: str
    """Address that names of repositories are below."""
    ref: str
    """Branch or tag, as ``refs/heads/…``; empty at a terminal."""
    workflow: str
    """``owner/name/.github/workflows/x.yml@refs/heads/…``; empty at a terminal."""
    event: str
    """What started it: ``push``, ``workflow_dispatch``, …"""
    output_file: Path | None
    summary_file: Path | None


def runner_files(environ: Mapping[str, str]) -> tuple[bool, Path | None, Path | None]:
    """Return whether this is GitHub, and its outputs and summary files."""
    names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    output, summary = (Path(environ[n]) if environ.get(n) else None for n in names)
    return environ.get("GITHUB_ACTIONS") == "true", output, summary


def run_of(environ: Mapping[str, str], *, on_github: bool) -> Run:
    """Return what the runner says of the run."""
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
        server=server.rstrip("/"),
        ref=environ.get("GITHUB_REF", ""),
        workflow=environ.get("GITHUB_WORKFLOW_REF", ""),
        event=environ.get("GITHUB_EVENT_NAME", ""),
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
