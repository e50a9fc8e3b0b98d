"""Which build a way back goes to: from Render's history, and from what the ledger says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import Refused
from slipway.ports import Deploy, DeployStatus
from slipway.release import deploys
from slipway.release.said import Said, Word
from slipway.text import short

SHOWN = 5
"""Builds that are named as what could be gone back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The deploy to go back to, or ``None`` when what is asked for is already live."""

    target: Deploy | None
    why: str
    doubt: str = ""
    """What speaks against it, where a person named it all the same."""


def choose(
    history: Sequence[Deploy],
    target: str,
    *,
    image_path: str | None = None,
    said: Said | None = None,
    service: str = "",
) -> Choice:
    """Choose the deploy to go back to from a newest-first ``history``.

    ``previous`` is the newest deploy before the live one that has been live with another build, of
    which ``said`` says that it passed. Where the live build is itself a return (it had been live
    earlier, with another build in between), the way back has already been taken: nothing is done,
    and the next older build is named. A deploy that never served is never a target.

    ``said`` ``None``: nobody is asked. ``service``: its name in slipway.yml, for what to press.
    """
    current = deploys.live(history)
    if target != "previous":
        return _named(history, current, target, image_path, said)
    if current is None:
        raise Refused(
            "the service has no live deploy, so there is no build to go back from",
            remedy="Name a build: `target: sha256:…`, a commit or a deploy id.",
        )
    others = _served_before(history, current)
    if not others:
        raise Refused(
            f"no build has been live before {current.identity} in the last "
            f"{len(history)} deploys: there is no previous build",
            remedy="Name a build that Render still has: `target: dep-…`, or `target: sha256:…`.",
        )
    been = [d for d in history if d.status is DeployStatus.DEACTIVATED]
    returned = any(
        d.identity == current.identity and d.created_at < others[0].created_at for d in been
    )
    if returned:
        return Choice(target=None, why=_returned(current, others, said))
    return _first_good(others, said, service)


def _served_before(history: Sequence[Deploy], current: Deploy) -> list[Deploy]:
    """Return the deploys of other builds that were live before the current one."""
    return [
        d
        for d in history
        if d.status is DeployStatus.DEACTIVATED
        and d.identity
        and d.created_at < current.created_at
        and d.identity != current.identity
    ]


def _first_good(others: Sequence[Deploy], said: Said | None, service: str) -> Choice:
    skipped: dict[str, str] = {}
    for deploy in others:
        build = deploy.identity or ""
        if build in skipped:
            continue
        word = said.of(build) if said else Word.PASSED
        if word is Word.PASSED:
            when = f"{deploy.created_at:%Y-%m-%d %H:%M} UTC"
            left_out = "".join(f"; not {short(b)}: {why}" for b, why in skipped.items())
            return Choice(target=deploy, why=f"previous build: {deploy.id} of {when}{left_out}")
        if word is Word.UNREAD:
            raise Refused(
                "which builds passed is kept at GitHub, and that could not be read "
                f"({said.trouble if said else ''}): which one is the previous good build is not "
                "known",
                remedy=_lines(others, service),
            )
        skipped[build] = word
    told = "; ".join(f"{short(build)}: {why}" for build, why in skipped.items())
    raise Refused(
        f"of the builds that were live before, none is known to have passed ({told})",
        remedy=_lines([d for d in others if skipped[d.identity or ""] == Word.UNKNOWN], service),
    )


def _lines(others: Sequence[Deploy], service: str) -> str:
    """Return what a person can press, newest first."""
    first: dict[str, Deploy] = {}
    for deploy in others:
        first.setdefault(deploy.identity or deploy.id, deploy)
    lines = [
        f"{press(deploy, service)} ({short(deploy.identity or '')}, live since "
        f"{deploy.created_at:%Y-%m-%d %H:%M} UTC)"
        for deploy in list(first.values())[:SHOWN]
    ]
    if not lines:
        return "Release a build that is good: the fix, with `mode: direct` where it cannot wait."
    return f"Name the build, newest first: {'; '.join(lines)}."


def press(deploy: Deploy, service: str) -> str:
    """Return the line that goes back to this deploy, at a terminal; the button takes the same."""
    named = f" --service {service}" if service else ""
    return f'`scripts/run rollback{named} --target {deploy.id} --reason "…"`'


def _returned(current: Deploy, others: Sequence[Deploy], said: Said | None) -> str:
    older = next(
        (
            d
            for d in others
            if d.identity != others[0].identity
            and (said.of(d.identity) not in (Word.BAD, Word.NEVER) if said else True)
        ),
        None,
    )
    hint = (
        f"; to go further back, name it: target: {older.id} ({short(older.identity or '')})"
        if older
        else "; Render lists no older build"
    )
    return (
        f"{current.id} has already gone back from {short(others[0].identity or '')} to "
        f"{short(current.identity or '')}{hint}"
    )


def _named(
    history: Sequence[Deploy],
    current: Deploy | None,
    target: str,
    image_path: str | None,
    said: Said | None,
) -> Choice:
    """Find a deploy that has served, by its id or build."""
    if current and target in (current.identity, current.id):
        return Choice(target=None, why=f"{target} is what is live")
    named = [d for d in history if target in (d.id, d.identity)]
    found = next((d for d in named if d.status is DeployStatus.DEACTIVATED), None)
    if found:
        return _vouched(found, target, said)
    if named:
        raise Refused(
            f"{target} is {named[0].raw_status}: it has never served, so it is no way back",
            remedy="Choose a deploy that has been live (Render shows it as Deactivated).",
        )
    listed = ", ".join(d.id for d in history if d.status is DeployStatus.DEACTIVATED) or "none"
    where = f" of {image_path}" if image_path else ""
    raise Refused(
        f"{target} is not among the last {len(history)} deploys{where}",
        remedy=f"Builds that have been live: {listed}.",
    )


def _vouched(found: Deploy, target: str, said: Said | None) -> Choice:
    """A build that is known to be bad is refused; of one that is not known a person answers."""
    build = short(found.identity or target)
    word = said.of(found.identity) if said else Word.PASSED
    if word in (Word.BAD, Word.NEVER):
        raise Refused(
            f"{found.id} ran {build}, and {word}: everybody would be on a build that is not good",
            remedy="Name another build. Where this one is good all the same, release it: after "
            "`unlock`, with `mode: direct` where it cannot wait.",
        )
    doubts = {
        Word.UNKNOWN: f"{word}, so whether it passed is not known: it has been live at Render, and "
        "it was named",
        Word.UNREAD: f"{word} ({said.trouble if said else ''}), so whether it passed is not known: "
        "it was named",
    }
    doubt = f"{build}: {doubts[word]}" if word in doubts else ""
    return Choice(target=found, why=f"target: {found.id} ({build})", doubt=doubt)
