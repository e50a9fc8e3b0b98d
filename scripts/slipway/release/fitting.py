"""Making the canary service as large as the stable one, before it takes the load."""

from __future__ import annotations

from collections.abc import Callable

from slipway.errors import Aborted
from slipway.ports import Service
from slipway.release.deploys import Ports


def instances_of(stable: Service, ports: Ports) -> int:
    """Return how many instances carry the load now: with autoscaling only Render's list says.

    Nothing holds them while the stable service is idle in the bake; where it may be made smaller
    meanwhile, that is said.
    """
    listed = len(ports.platform.instances(stable.id))
    scaling = stable.autoscaling
    if scaling is None or not scaling.enabled:
        return max(listed, stable.instances)
    if listed > scaling.minimum:
        ports.journal.trouble(
            f"{stable.name} has {listed} instances now, and its autoscaling may take away all "
            f"but {scaling.minimum} while the candidate has its load: for a release under "
            "load, raise its minimum first"
        )
    return max(listed, stable.instances, scaling.minimum)


def scale(
    canary: Service, wanted: int, ports: Ports, *, deadline: float, pulse: Callable[[], None]
) -> None:
    """Ask for ``wanted`` instances and wait for them. Raises :class:`Aborted` when time is up."""
    ports.platform.scale(canary.id, wanted)
    until = ports.clock.monotonic() + deadline
    while (have := len(ports.platform.instances(canary.id))) < wanted:
        if ports.clock.monotonic() >= until:
            raise Aborted(
                f"the canary service has {have} of {wanted} instances after {deadline:.0f} s",
                remedy="Give the canary service the plan of the stable one, and turn its "
                "autoscaling off: Render ignores a scale request while it is on.",
            )
        ports.clock.sleep(ports.poll)
        pulse()
    ports.journal.gate(f"the canary service has {have} instances, as the stable one")
