"""What a strategy calls, made from settings and keys."""

from __future__ import annotations

import time
from typing import Literal

from slipway.background import in_thread
from slipway.clients.browser import HttpBrowser
from slipway.clients.kept import KeptProber
from slipway.clients.probe import HttpProber
from slipway.clients.retries import Sleep
from slipway.commands.gating import Tell, gate_of
from slipway.databases import Looked, database_of, migrator_of
from slipway.gates.verified import Verified
from slipway.ports import Forge
from slipway.release.deploys import Log, Ports, no_log
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.setup import Desk, render
from slipway.sources import sources_of
from slipway.webhooks import webhooks_of

Stage = Literal["staging", "production"]


def untold(verified: Verified) -> None:
    del verified


def ports_of(
    desk: Desk,
    environment: Stage,
    journal: Journal,
    *,
    judged: bool = False,
    stored: bool = False,
    probed: bool = False,
    staged: bool = True,
    log: Log = no_log,
    tell: Tell = untold,
) -> Ports:
    """Return what a strategy calls, for one service.

    ``judged``: with the sources of its metrics; ``stored``: with its database; ``probed``: with
    what its webhook is probed with; ``staged``: with a gate that asks for staging. Raises
    :class:`UsageError` where one of those lacks a key. The way back never asks for them.
    """
    looked = database_of(desk.inputs, desk.name, desk.service) if stored else Looked()

    def ledger(of: str) -> Ledger:
        return Ledger(lambda: forge_of(desk), environment_of(of, desk.name))

    webhooks, meta = webhooks_of(desk) if probed else (None, None)
    return Ports(
        platform=render(desk, journal),
        prober=HttpProber(
            build_header=desk.service.build.header, build_field=desk.service.build.field
        ),
        kept=KeptProber(
            build_header=desk.service.build.header, build_field=desk.service.build.field
        ),
        browser=HttpBrowser(),
        clock=desk.clock,
        journal=journal,
        ledger=ledger(environment),
        gate=gate_of(
            desk.inputs,
            desk.settings,
            desk.name,
            staging=ledger("staging") if staged else None,
            clock=desk.clock,
            notice=journal.note,
            tell=tell,
        ),
        poll=desk.settings.render.poll,
        confirm=desk.settings.render.confirm,
        observe=desk.inputs.mode == "observe",
        sources=sources_of(desk) if judged else {},
        database=looked.database,
        checks=looked.checks,
        migrator=migrator_of(desk, journal) if stored else None,
        start=in_thread,
        log=log,
        webhooks=webhooks,
        meta=meta,
    )


def environment_of(stage: str, service: str) -> str:
    """One environment per service: GitHub sets the others of an environment inactive."""
    return f"{stage}/{service}"


def forge_of(desk: Desk, sleep: Sleep = time.sleep) -> Forge | None:
    """Return GitHub, where there is a repository and a token."""
    run, token = desk.inputs.run, desk.inputs.keys.github
    if not (run.repository and token):
        return None
    # PyGithub costs a quarter of a second to import: only where there is something to ask.
    from slipway.clients.github import GitHub  # noqa: PLC0415

    return GitHub(
        token, repository=run.repository, base_url=run.api_url, notice=desk.runner.say, sleep=sleep
    )
