"""What a person does at Render when Slipway cannot: named so exactly that nobody has to look."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from slipway.errors import SlipwayError
from slipway.ports import Deploy, DeployStatus, Service
from slipway.release.deploys import Ports
from slipway.release.goback import NotComing
from slipway.text import short


def rollback_at_render(name: str, deploy_id: str, build: str, address: str | None = None) -> str:
    """Return the middle of a sentence: which deploy of which service, and where."""
    which = f"deploy {deploy_id} ({short(build)})" if build else f"deploy {deploy_id}"
    where = f" ({address})" if address else ""
    return f"press Rollback on {which} of {name} at Render{where}"


def of_service(service: Service, target: Deploy) -> str:
    """Return what to press to bring ``target`` back."""
    return rollback_at_render(service.name, target.id, target.identity or "", service.dashboard_url)


def instead(
    ports: Ports,
    service: Service,
    target: Deploy,
    error: SlipwayError | None,
    *,
    never: Collection[str] = (),
) -> str:
    """Return what to press after going back to ``target`` has ended with ``error``.

    Where the target itself does not come back, pressing it would not help either: then it is the
    next older build that passed. ``never``: builds that are not to serve. Never raises.
    """
    if not isinstance(error, NotComing):
        return of_service(service, target)
    try:
        latest = ports.platform.deploys(service.id, limit=100)
    except SlipwayError as trouble:
        ports.journal.trouble(f"reading the deploys of {service.name}: {trouble.found}")
        latest = ()
    older, sure = _older(ports, latest, target, never)
    if older is None:
        return (
            f"deploy a build that passed to {service.name} at Render: {target.id} does not come "
            "back, and Render lists no older one that served"
        )
    doubt = "" if sure else ", which served before it; whether it passed is not known"
    return f"{of_service(service, older)}{doubt}: {target.id} does not come back"


def _older(
    ports: Ports, latest: Sequence[Deploy], target: Deploy, never: Collection[str]
) -> tuple[Deploy | None, bool]:
    """Return the newest deploy before ``target`` whose build passed, and whether that is known."""
    served = [
        d
        for d in latest
        if d.status is DeployStatus.DEACTIVATED
        and d.created_at < target.created_at
        and d.identity not in (None, target.identity, *never)
    ]
    try:
        passed = next((d for d in served if ports.ledger.passed(d.identity or "")), None)
    except SlipwayError as error:
        ports.journal.trouble(f"which older build passed cannot be read: {error.found}")
        return next(iter(served), None), False
    return (passed, True) if passed else (next(iter(served), None), False)
