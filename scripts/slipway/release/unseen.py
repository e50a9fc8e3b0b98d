"""Where a person goes back to while Render does not answer: what record and history know of it."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.errors import SlipwayError
from slipway.ports import Deploy, Phase, Record, Service
from slipway.release import pressing
from slipway.release.deploys import Ports
from slipway.release.stop import Zero
from slipway.text import short

_DASHBOARD = "the newest deploy that it shows as Deactivated"


@dataclass(slots=True)
class Aim:
    """What is known of a way back so far, for when it does not arrive."""

    zero: Zero | None = None
    service: Service | None = None
    target: Deploy | None = None


def record_of(zero: Zero | None) -> Record | None:
    """Return the record as it was when share 0 was asked for."""
    return (zero.found or zero.ordered) if zero else None


def place_in(record: Record | None) -> tuple[str, str] | None:
    """Return build and deploy that `previous` means, going by the record alone.

    A release under way is gone back from to what was stable before it.
    """
    if record is None:
        return None
    if record.phase is not Phase.STABLE:
        return record.stable_build, record.stable_deploy
    if record.previous_build and record.previous_deploy:
        return record.previous_build, record.previous_deploy
    return None


def what_to_press(
    ports: Ports, aim: Aim, error: SlipwayError, *, target: str, service_id: str
) -> str:
    """Return what brings the build back by hand, as exactly as it is known. Never raises."""
    if aim.service and aim.target:
        return pressing.instead(ports, aim.service, aim.target, error)
    name = aim.service.name if aim.service else service_id
    address = aim.service.dashboard_url if aim.service else None
    if target != "previous":
        deploy = target if target.startswith("dep-") else f"the newest deploy of {short(target)}"
        return f"press Rollback on {deploy} of {name} at Render"
    record = record_of(aim.zero)
    known = place_in(record)
    if known:
        build, deploy_id = known
        return pressing.rollback_at_render(name, deploy_id, build, address)
    build = _before(ports, record.stable_build if record else None)
    return f"press Rollback on {build or _DASHBOARD} of {name} at Render"


def _before(ports: Ports, live: str | None) -> str:
    """Return the build that passed before the one that is live, as GitHub has it."""
    try:
        passed = ports.ledger.lately_passed()
    except SlipwayError as error:
        ports.journal.trouble(f"which build passed before cannot be read: {error.found}")
        return ""
    # Without a record, the newest that passed is what is live.
    now = live or next(iter(passed), "")
    older = passed[passed.index(now) + 1 :] if now in passed else passed
    return f"the newest deploy of {short(older[0])}" if older else ""
