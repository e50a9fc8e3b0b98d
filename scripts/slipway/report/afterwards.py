"""The pull request of a release whose run died: somebody else tells it how that ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from slipway.background import in_thread
from slipway.errors import SlipwayError
from slipway.ports import Forge, Shipped
from slipway.report.markdown import Report
from slipway.report.sticky import MARKER, merge, section

PATIENCE: Final = 15.0
"""Seconds all of it may take: what it tells is over."""


@dataclass(slots=True)
class _Trouble:
    why: str = ""


def tell(
    forge: Forge,
    report: Report,
    environment: str,
    closed: Sequence[Shipped],
    notify: Callable[[str], None],
) -> None:
    """Put how it ended where the comment still says that it is under way. Never raises.

    ``closed`` are the Deployments that the dead runs had left open.
    """
    trouble = _Trouble("GitHub had not answered in time")

    def go() -> None:
        trouble.why = _told(forge, report, environment, closed)

    in_thread(go).wait(PATIENCE)
    if trouble.why:
        notify(f"the pull request of the release that died was not told: {trouble.why}")


def _told(forge: Forge, report: Report, environment: str, closed: Sequence[Shipped]) -> str:
    try:
        for entry in closed:
            number = forge.pull_request(entry.commit)
            if number is None:
                continue
            ended = replace(report, verb="canary-prod", candidate=entry.build)
            own = section(ended, environment, datetime.now(UTC))
            forge.comment(number, MARKER, partial(merge, own=own), certain=True)
    except SlipwayError as error:
        return f"{error.found} {error.remedy}"
    except Exception as error:
        # As in the publisher: its type is enough, and the release is over.
        return type(error).__name__
    return ""
