"""The edge and the release flag."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.config import Edge
from slipway.doctor.findings import Finding, care, fine, wrong
from slipway.ports import EdgeState, Flag


def check_edge(edge: Edge, state: EdgeState) -> Iterator[Finding]:
    """Yield what is to be said of the edge."""
    yield fine(f"the edge at {edge.url} answers: {state.share:g} % on the canary ({state.why})")
    if state.flag != edge.flag:
        yield wrong(
            f"the edge follows the flag {state.flag}, and slipway.yml says {edge.flag}",
            "Start the edge with RELEASE_FLAG of this name, or change `edge.flag`.",
        )
    if state.lease_release:
        yield care(
            f"release {state.lease_release} holds the edge for another "
            f"{state.lease_remaining:.0f} s",
            "Wait until it ends: another release is refused meanwhile.",
        )


def check_flag(edge: Edge, flag: Flag | None) -> Iterator[Finding]:
    """Yield what is to be said of the flag. There is none before the first release."""
    if flag is None:
        yield fine(f"PostHog has no flag {edge.flag} yet: the first release makes it")
        return
    state = "on" if flag.active else "off"
    yield fine(f"PostHog has the flag {edge.flag}: {state}, {flag.share:g} %")
    if flag.active and flag.record is None:
        yield care(
            f"the flag {edge.flag} is on and holds no record of Slipway's: somebody else wrote it",
            "Turn it off in PostHog; nobody but Slipway should write it.",
        )
