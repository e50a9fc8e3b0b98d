"""A team's emergency lines: from what was looked up to Markdown whose blocks run as they stand.

Strings from outside get into a line of shell only where they have a form that is known, and quoted.
Keys are named by their variables, and reach curl by a pipe: arguments are seen by others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from slipway.ports import Deploy, DeployStatus
from slipway.text import code, escape, short

KEPT = 3
"""Earlier builds that are listed for each service."""
STOP = 'python3 "${SLIPWAY:-../slipway}/scripts/stop.py"'
_DEPLOY = re.compile(r"dep-[a-z0-9-]{1,60}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_PAGE = re.compile(r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?")
_OFF = {"active": False, "filters": {"groups": [], "payloads": {}, "multivariate": None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A flag of PostHog, and where it is."""

    key: str
    host: str | None
    project: int | None
    id: int | None = None
    """``None``: not looked up, or there is none."""
    trouble: str | None = None
    """Why its number is not known, where it should be."""

    @property
    def page(self) -> str:
        return f"{self.host}/project/{self.project}/feature_flags/{self.id or ''}"

    @property
    def api(self) -> str:
        return f"{self.host}/api/projects/{self.project}/feature_flags/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """How everybody is taken off the canary."""

    edge: str
    switch: Switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One Render service of production, and what has served there."""

    id: str
    api: str
    name: str = ""
    page: str | None = None
    """Its page in Render's dashboard."""
    deploys: Sequence[Deploy] = ()
    trouble: str | None = None

    def served(self) -> list[Deploy]:
        """Return the newest deploy of each build that served, newest first."""
        found: dict[str, Deploy] = {}
        for deploy in self.deploys:
            if deploy.status in (DeployStatus.LIVE, DeployStatus.DEACTIVATED) and deploy.identity:
                found.setdefault(deploy.identity, deploy)
        return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One service of slipway.yml."""

    name: str
    brake: Brake | None
    places: Sequence[Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The whole runbook."""

    at: datetime
    chapters: Sequence[Chapter]
    gateways: Sequence[Switch]

    def troubles(self) -> list[str]:
        """Say what is not complete."""
        switches = [*(c.brake.switch for c in self.chapters if c.brake), *self.gateways]
        places = [place for chapter in self.chapters for place in chapter.places]
        return [
            *(f"the flag {s.key}: {s.trouble}" for s in switches if s.trouble),
            *(f"{p.id}: {p.trouble}" for p in places if p.trouble),
        ]

    def warnings(self) -> list[str]:
        """Say what a person should know though the lines are complete."""
        switches = [*(c.brake.switch for c in self.chapters if c.brake), *self.gateways]
        places = [place for chapter in self.chapters for place in chapter.places]
        return [
            *(f"there is no flag {s.key} (yet)" for s in switches if not s.id and not s.trouble),
            *(
                f"{p.id} has no earlier build to go back to"
                for p in places
                if not p.trouble and len(p.served()) < 2
            ),
        ]


def markdown(book: Book) -> str:
    """Return the page."""
    return "\n".join(_page(book)) + "\n"


def _page(book: Book) -> Iterator[str]:
    when = book.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield "# Emergency lines\n"
    yield f"Written by `slipway runbook`, {when}. Write it again after each release:"
    yield "builds change.\n"
    yield "The lines take the keys from `EDGE_TOKEN`, `POSTHOG_API_KEY` and `RENDER_API_KEY`, and"
    yield "`stop.py` from a copy of the suite: `export SLIPWAY=…` where that is not `../slipway`.\n"
    for trouble in book.troubles():
        yield f"- **Not complete:** {escape(trouble)}"
    for warning in book.warnings():
        yield f"- Note: {escape(warning)}"
    for chapter in book.chapters:
        yield f"\n## {chapter.name}\n"
        if chapter.brake:
            yield from _brake(chapter.brake)
        for place in chapter.places:
            yield from _place(place)
    yield "\n## A payment gateway, or any other flag, off\n"
    yield "Its groups stay, for when it is turned on again.\n"
    for switch in book.gateways:
        yield f"`{switch.key}`, or [by hand]({switch.page}):\n"
        yield _block(_switch_off(switch))
    if not book.gateways:
        where = next((c.brake.switch for c in book.chapters if c.brake), None)
        yield "Set `FLAG` to its key:\n"
        yield _block(_switch_off(where, any_flag=True))


def _brake(brake: Brake) -> Iterator[str]:
    switch = brake.switch
    yield "### Everybody off the canary\n"
    yield _block(f"{STOP} --edge-url {quote(brake.edge)} {_posthog(switch)} {_flag(switch)}")
    yield "Without Python, either is enough. At the edge:\n"
    body = {"release": None, "reason": "by hand"}
    yield _block(_curl("EDGE_TOKEN", "POST", f"{brake.edge}/.slipway/kill", body))
    yield "In PostHog:\n"
    if switch.trouble:
        yield f"**Not read:** {escape(switch.trouble)}. Use the line above, or the page:\n"
    elif switch.id:
        yield _block(_curl("POSTHOG_API_KEY", "PATCH", f"{switch.api}{switch.id}/", _OFF))
    else:
        yield "There is no such flag yet: nobody is let in by it.\n"
    yield f"By hand: turn `{switch.key}` off [in PostHog]({switch.page}).\n"


def _place(place: Place) -> Iterator[str]:
    named = f"{escape(place.name)} (`{place.id}`)" if place.name else f"`{place.id}`"
    yield f"### Back to an earlier build: {named}\n"
    if place.trouble:
        yield f"**Not read:** {escape(place.trouble)}\n"
        return
    if place.page and _PAGE.fullmatch(place.page):
        yield f"By hand: Rollback on an earlier deploy, [at Render]({place.page}).\n"
    yield "First everybody off the canary, where there is one; cancel a deploy that runs; and turn"
    yield "auto-deploy off, or the next commit brings the build back.\n"
    for deploy in place.served()[: KEPT + 1]:
        shown = f"{code(short(deploy.identity or ''))}, {code(deploy.id)}"
        when = deploy.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        if deploy.status is DeployStatus.LIVE:
            yield f"Live now: {shown}, of {when}.\n"
            continue
        line = _back(place, deploy)
        yield f"To {shown}, of {when}:\n"
        yield _block(line) if line else "**Not read:** its id has no form that is known.\n"


def _back(place: Place, deploy: Deploy) -> str | None:
    """An image goes back by its digest, with the settings of now; what Render built by its id."""
    at = f"{place.api}/services/{place.id}"
    reference = deploy.reference or ""
    if _IMAGE.fullmatch(reference):
        return _curl("RENDER_API_KEY", "POST", f"{at}/deploys", {"imageUrl": reference})
    if _DEPLOY.fullmatch(deploy.id):
        return _curl("RENDER_API_KEY", "POST", f"{at}/rollback", {"deployId": deploy.id})
    return None


def _switch_off(switch: Switch | None, *, any_flag: bool = False) -> str:
    where = _posthog(switch) if switch and switch.host else ""
    flag = '--flag "$FLAG"' if any_flag or switch is None else _flag(switch)
    return " ".join(part for part in (STOP, "--only posthog --keep-filters", where, flag) if part)


def _posthog(switch: Switch) -> str:
    return f"--posthog-host {quote(switch.host or '')} --posthog-project {switch.project}"


def _flag(switch: Switch) -> str:
    number = f" --flag-id {switch.id}" if switch.id else ""
    return f"--flag {quote(switch.key)}{number}"


def _curl(key: str, method: str, url: str, body: Any) -> str:
    """Return one call. The key goes by a pipe: `printf` is the shell's own and no process."""
    data = quote(json.dumps(body, separators=(",", ":")))
    return (
        f"""printf 'Authorization: Bearer %s\\n' "${key}" | """
        f"curl -fsS -m 20 -X {method} -H @- -H 'Content-Type: application/json' \\\n"
        f"  -d {data} {quote(url)}"
    )


def _block(line: str) -> str:
    return f"```bash\n{line}\n```\n"
