"""Smoke probes: what staging must answer well after a deploy, beside its health check."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.config import Health, SmokeProbe
from slipway.errors import DeployFailed
from slipway.ports import Answer
from slipway.release.deploys import Ports
from slipway.release.health import describe
from slipway.text import one_line

TRIES = 5
"""Times a probe is asked: an application may still be warming up."""
PAUSE = 3.0
"""Seconds between two rounds."""


def smoke(ports: Ports, address: str, probes: Sequence[SmokeProbe], *, health: Health) -> None:
    """Ask every probe at ``address``, and those that were not answered well again.

    A redirect is an answer: its status is compared, it is not followed. Raises
    :class:`DeployFailed`, which tells of all that were never answered as they should within
    ``health.deadline`` seconds.
    """
    until = ports.clock.monotonic() + health.deadline
    last: dict[SmokeProbe, str] = dict.fromkeys(probes, "not asked")
    for attempt in range(TRIES):
        if attempt and ports.clock.monotonic() + PAUSE > until:
            break
        if attempt:
            ports.clock.sleep(PAUSE)
        for probe in list(last):
            if attempt and ports.clock.monotonic() > until:
                break
            answer = ports.prober.probe(
                address + probe.path, timeout=health.timeout, text=probe.contains
            )
            if _as_expected(probe, answer):
                ports.journal.gate(f"smoke probe: {_asked(probe)}: {describe(answer)}")
                del last[probe]
            else:
                last[probe] = (
                    f"{_asked(probe)}: expected {_expected(probe)}, found {_found(answer)}"
                )
        if not last:
            return
    for told in last.values():
        ports.journal.note(f"smoke probe failed: {told}")
    raise DeployFailed(
        f"{len(last)} of {len(probes)} smoke probes failed: {'; '.join(last.values())}",
        remedy="The build is live on staging: open it and look. Then merge a fix, or correct "
        "`staging.smoke` in slipway.yml where the expectation is wrong.",
    )


def _as_expected(probe: SmokeProbe, answer: Answer) -> bool:
    return answer.status == probe.status and (probe.contains is None or answer.holds is True)


def _asked(probe: SmokeProbe) -> str:
    return f"GET {one_line(probe.path, 80)}"


def _expected(probe: SmokeProbe) -> str:
    text = f" with “{one_line(probe.contains, 60)}”" if probe.contains is not None else ""
    return f"HTTP {probe.status}{text}"


def _found(answer: Answer) -> str:
    # What it says is not quoted: it may be a page of somebody's data.
    return describe(answer) + (" without it" if answer.holds is False else "")
