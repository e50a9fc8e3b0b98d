"""Paging somebody, beside whatever else is told when a release has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from slipway.background import Start, Task, in_thread
from slipway.clients import pager
from slipway.errors import SlipwayError
from slipway.github_actions import Runner
from slipway.ports import Alarm, Pager
from slipway.report.alarm import alarm
from slipway.report.markdown import Report
from slipway.report.publisher import HURRIED_DEADLINE
from slipway.setup import Desk
from slipway.text import escape

DEADLINE = pager.DEADLINE + 5.0
"""Seconds from the end of a release in which a page has to be taken."""
_TITLE = "Nobody was paged"


@dataclass(slots=True, kw_only=True)
class Page:
    """One page under way, or none. It never changes how a release has ended."""

    runner: Runner
    summary: bool
    task: Task | None = None
    trouble: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, desk: Desk, report: Report, *, start: Start = in_thread) -> Page:
        """Begin to page somebody, where this end is one to be told of and there is an address."""
        page = cls(runner=desk.runner, summary=desk.inputs.summary)
        told, url = alarm(report, desk.settings.pages.on), desk.inputs.keys.page_url
        if told is None:
            return page
        if not url:
            desk.runner.say("nobody is paged: page-url is not set")
            return page
        secret = desk.inputs.keys.page_secret or ""
        page.task = start(partial(page._send, lambda: pager.WebhookPager(url, secret), told))
        return page

    def end(self, *, hurry: bool) -> None:
        """Wait until somebody was paged, and say where nobody was. ``hurry``: 2 s at most."""
        if self.task is None:
            return
        limit = HURRIED_DEADLINE if hurry else DEADLINE
        left = self._began + limit - time.monotonic()
        self.task.wait(max(0.0, left))
        if not self.task.done():
            self.trouble.append(f"it is not known: no answer in {limit:.0f} s")
        if not self.trouble:
            self.runner.say("somebody was paged")
            return
        why = "\n".join(self.trouble)
        self.runner.annotate("warning", _TITLE, why)
        if self.summary:
            self.runner.add_summary(f"\n⚠️ **{_TITLE}.** {escape(why)}\n")

    def _send(self, make: Callable[[], Pager], told: Alarm) -> None:
        try:
            make().page(told)
        except SlipwayError as error:
            self.trouble.append(f"{error.found}. {error.remedy}")
        except Exception as error:
            # Its text may hold the address, which is a secret.
            self.trouble.append(type(error).__name__)
