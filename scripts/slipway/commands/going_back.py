"""Promote Previous Build: of one service, or of everything that one release brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from slipway import config
from slipway.commands import fleets
from slipway.commands.calls import forge_of, ports_of
from slipway.commands.ended import Ended
from slipway.commands.perform import Task, perform, printer
from slipway.commands.strategies import brake_of, order_of
from slipway.errors import OutsideError, SlipwayError, UsageError
from slipway.inputs import Inputs
from slipway.release import approval, deploys, rehearsal, rollback, takeover
from slipway.release.deploys import Ports
from slipway.release.journal import Journal
from slipway.release.outcome import Outcome
from slipway.release.same import Live, refused, same_release
from slipway.release.stop import Zero
from slipway.release.takeover import Order
from slipway.release.together import gone_back
from slipway.setup import Desk, halves_of


def run(desk: Callable[[str], Desk], inputs: Inputs, settings: config.Config) -> Ended:
    """Go back, or say what would happen. Raises only while nothing has been touched."""
    for name in inputs.services:
        settings.service(name)
        fleets.first_of(desk(name))
    if inputs.scope == "release":
        return _release(desk, inputs, settings)
    if len(inputs.services) > 1:
        raise UsageError(
            f"`service` names {len(inputs.services)} services, and `scope` is `service`",
            remedy="Name one, or choose `scope: release`.",
        )
    here = desk(inputs.services[0])
    return Ended.of(perform(here, roll_back(here)))


def roll_back(
    desk: Desk,
    *,
    target: str = "",
    reason: str = "",
    zero: Zero | None = None,
    let_in: bool = False,
    doubt: str = "",
) -> Task:
    """Promote Previous Build, or ``target`` for ``reason`` where something else asks for it.

    ``zero``: everybody has been taken off the canary already. ``let_in``: it has been seen to that
    the person may, and ``doubt`` is what could not be.
    """
    order = order_of(desk, fleets.first_of(desk), reason)
    target = target or desk.inputs.target

    def act(ports: Ports, release: str) -> Outcome:
        unsure = doubt if reason or let_in else _let_in(desk, ports)
        if desk.service.fleet:
            outcome = fleets.roll_back(desk, target, reason, ports, release)
        else:
            plan = rollback.Plan(release=release, target=target, automatic=bool(reason), **order)
            outcome = rollback.run(plan, ports, brake_of(desk, ports), zero)
        return replace(outcome, reason=f"{outcome.reason} ({unsure})") if unsure else outcome

    if desk.inputs.dry_run:
        return _rehearsal(desk)
    return Task(
        verb="rollback",
        environment="production",
        artifact=None,
        target=target,
        reason=reason,
        act=act,
    )


def _rehearsal(desk: Desk) -> Task:
    def act(ports: Ports, release: str) -> Outcome:
        edge, flags = halves_of(desk, ports) if desk.service.edge else (None, None)
        return rehearsal.run(
            rehearsal.Plan(
                release=release,
                services=desk.service.fleet or (fleets.first_of(desk),),
                target=desk.inputs.target,
                edge=edge,
                flags=flags,
                flag=desk.service.edge.flag if desk.service.edge else "",
            ),
            ports,
        )

    return Task(
        verb="rollback",
        environment="production",
        artifact=None,
        target=desk.inputs.target,
        act=act,
        silent=True,
    )


def _let_in(desk: Desk, ports: Ports) -> str:
    """Refuse who may not press it, before anything is touched; see :func:`approval.require`."""
    run = desk.inputs.run

    def ask() -> str:
        forge = forge_of(desk)
        if forge is None:
            raise OutsideError(
                "there is no GitHub token or repository.",
                remedy="Give `github-token` and GITHUB_REPOSITORY.",
            )
        return forge.presser(run.holder.run_id if run.on_github else "")

    doubt = approval.require(desk.settings.rollback.approvers, ask, ports.start)
    if doubt:
        ports.journal.trouble(doubt)
    return doubt


# Everything that one release brought


def _release(desk: Callable[[str], Desk], inputs: Inputs, settings: config.Config) -> Ended:
    """Take back what went live together, in the reverse order of slipway.yml."""
    if inputs.target != "previous":
        raise UsageError(
            "`scope` is `release`, and `target` names one build",
            remedy="Each service goes back to its own previous build: leave `target` out.",
        )
    names = [name for name, service in settings.services.items() if service.stable or service.fleet]
    named = [desk(name) for name in inputs.services]
    first = named[0]
    ports = {one.name: _ports(one) for one in map(desk, names)}
    zeros: dict[str, Zero] = {}
    doubt = ""
    if not inputs.dry_run:
        try:
            doubt = _let_in(first, ports[first.name])
        except SlipwayError as error:
            return _ended_by(error, first, None)
        zeros = _to_zero(named, ports)
    try:
        same = same_release(
            inputs.services,
            {name: _live(desk(name), ports[name], zeros.get(name)) for name in names},
            ports[first.name].start,
        )
    except SlipwayError as error:
        told = refused(error, inputs.services, names)
        if not inputs.dry_run:
            return _ended_by(told, first, zeros.get(first.name))
        doubt = f"as a release it would be refused: {told.found}. {told.remedy}"
        same = set(inputs.services)
    first.runner.say(f"went live by the same release: {', '.join(same)}")
    done = []
    for name in reversed([name for name in names if name in same]):
        here = desk(name)
        done.append(perform(here, roll_back(here, zero=zeros.get(name), let_in=True, doubt=doubt)))
    outcome = gone_back([(one.desk.name, one.outcome) for one in done])
    if doubt and inputs.dry_run:
        outcome = replace(outcome, reason=f"{outcome.reason}; {doubt}")
    return Ended(done=done, outcome=outcome)


def _to_zero(named: list[Desk], ports: Mapping[str, Ports]) -> dict[str, Zero]:
    """Share 0 of the named services first: the others may have to be looked for."""
    zeros = {}
    for one in named:
        stop = brake_of(one, ports[one.name])
        if stop is not None:
            order = Order(release="", **order_of(one, fleets.first_of(one)))
            zeros[one.name] = takeover.order_zero(order, stop)
    for zero in zeros.values():
        zero.wait(takeover.KNOW_MORE)
    return zeros


def _ports(desk: Desk) -> Ports:
    journal = Journal(desk.clock, printer(desk.runner))
    return ports_of(desk, "production", journal, judged=False)


def _live(desk: Desk, ports: Ports, zero: Zero | None) -> Live:
    """What is under way belongs to the release that is to be taken back; else what is live."""

    def build() -> str | None:
        order = Order(release="", **order_of(desk, fleets.first_of(desk)))
        history = ports.platform.deploys(order.stable, limit=100)
        coming = takeover.under_way(order, ports, zero) or rollback.on_its_way(history)
        if desk.inputs.dry_run and desk.name in desk.inputs.services and desk.service.edge:
            # Nobody was taken off the canary, which would have said it.
            coming = rehearsal.under_way(halves_of(desk, ports)[0]) or coming
        live = deploys.live(history)
        return coming or (live.identity if live else None)

    return Live(build=build, ledger=ports.ledger)


def _ended_by(error: SlipwayError, desk: Desk, zero: Zero | None) -> Ended:
    """End it with this, told like any other end."""

    def act(ports: Ports, release: str) -> Outcome:
        if zero is None:
            raise error

        def give_up(_: Zero | None) -> Outcome:
            raise error

        order = Order(release=release, **order_of(desk, fleets.first_of(desk)))
        return takeover.run(order, ports, brake_of(desk, ports), give_up, zero=zero)

    task = Task(
        verb="rollback",
        environment="production",
        artifact=None,
        act=act,
    )
    return Ended.of(perform(desk, task))
