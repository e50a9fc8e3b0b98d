"""Who may press Promote Previous Build, where slipway.yml names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipway.background import Start, within
from slipway.errors import Refused, SlipwayError
from slipway.text import one_line

DEADLINE = 10.0
"""Seconds for GitHub to say who it is: nothing is done before."""


def require(approvers: Sequence[str], ask: Callable[[], str], start: Start) -> str:
    """Refuse whoever is not among ``approvers``; none: everybody may.

    Returns what has to be said where GitHub does not tell who it is, else nothing: an outage must
    not keep anybody on a bad build, and whoever holds Render's key can go back without Slipway.
    """
    if not approvers:
        return ""
    try:
        name = within(start, DEADLINE, "who asks for it", ask)
    except SlipwayError as error:
        return (
            f"who asked for it could not be checked against `rollback.approvers`: {error.found} "
            f"{error.remedy}"
        )
    if name.lower() not in {one.lower() for one in approvers}:
        raise Refused(
            f"{one_line(name, 60)} is not in `rollback.approvers` of slipway.yml: nothing was "
            "touched",
            remedy=f"One of these may press it: {', '.join(approvers)}.",
        )
    return ""
