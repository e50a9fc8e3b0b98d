"""runbook: looks up the ids that a team's emergency lines need, and prints the lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.posthog import PostHogFlags
from slipway.clients.render import Render
from slipway.commands.doctor_clients import Clients
from slipway.errors import SlipwayError, UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.release.outcome import Outcome, Result
from slipway.report.runbook import Book, Brake, Chapter, Place, Switch, markdown

T = TypeVar("T")
_LOOK_BACK = 50
"""Deploys of a service that are looked at for builds that served."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,400}")


def write(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Print the page, and write it to a file where one is named. Raises ``UsageError``."""
    settings = config.load(inputs.config)
    wrong = [key for key in inputs.flags if not _KEY.fullmatch(key)]
    if wrong:
        raise UsageError(
            f"`flags` is {wrong[0][:100]!r}; expected keys of PostHog flags",
            remedy="A key has letters, digits, - and _.",
        )
    look = _Look(inputs, settings, clock)
    names = inputs.services or tuple(settings.services)
    book = Book(
        at=clock.now(),
        chapters=[look.chapter(name, settings.service(name)) for name in names],
        gateways=[look.switch(key) for key in inputs.flags],
    )
    page = markdown(book)
    runner.say(page)
    if inputs.summary:
        runner.add_summary(page)
    if inputs.output is not None:
        try:
            inputs.output.write_text(page, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{inputs.output} cannot be written: {error.strerror}",
                remedy="Name a file in a folder that is there.",
            ) from None
    if troubles := book.troubles():
        return Outcome(
            result=Result.REFUSED, reason=f"the lines are not complete: {'; '.join(troubles)}"
        )
    if warnings := book.warnings():
        runner.annotate("warning", "Emergency lines", "\n".join(warnings))
    return Outcome(result=Result.UNCHANGED, reason="every line is complete")


class _Look:
    """Reads; what cannot be read becomes a sentence in its place."""

    def __init__(self, inputs: Inputs, settings: config.Config, clock: SystemClock) -> None:
        self._settings = settings
        clients, keys, posthog = Clients(inputs, settings, clock), inputs.keys, settings.posthog
        self._render: Render | str = _made("render-api-key", keys.render, clients.render)
        self._flags: PostHogFlags | str = (
            _made("posthog-api-key", keys.posthog, lambda key: clients.flags(posthog, key))
            if posthog
            else "there is no `posthog:` in slipway.yml"
        )

    def chapter(self, name: str, service: config.Service) -> Chapter:
        ids = service.fleet or ((service.stable.service,) if service.stable else ())
        edge = service.edge
        brake = Brake(edge=edge.url, switch=self.switch(edge.flag)) if edge else None
        return Chapter(name=name, brake=brake, places=[self._place(one) for one in ids])

    def switch(self, key: str) -> Switch:
        posthog = self._settings.posthog
        host, project = (posthog.host, posthog.project) if posthog else (None, None)
        if isinstance(self._flags, str):
            return Switch(key=key, host=host, project=project, trouble=self._flags)
        flags = self._flags
        try:
            found = flags.read(key)
        except SlipwayError as error:
            return Switch(key=key, host=host, project=project, trouble=error.found)
        return Switch(key=key, host=host, project=project, id=found.id if found else None)

    def _place(self, service_id: str) -> Place:
        api = self._settings.render.api_url
        if isinstance(self._render, str):
            return Place(id=service_id, api=api, trouble=self._render)
        try:
            service = self._render.service(service_id)
            deploys = self._render.deploys(service_id, limit=_LOOK_BACK)
        except SlipwayError as error:
            return Place(id=service_id, api=api, trouble=error.found)
        return Place(
            id=service_id,
            api=api,
            name=service.name,
            page=service.dashboard_url,
            deploys=deploys,
        )


def _made(name: str, key: str | None, make: Callable[[str], T]) -> T | str:
    """Return the client, or why there is none."""
    if not key:
        return f"{name} is not given"
    try:
        return make(key)
    except UsageError as error:
        return error.found
