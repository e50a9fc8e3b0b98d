"""How a command ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.commands.perform import Done
from slipway.release.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: what was done, in order, and what it comes to."""

    done: Sequence[Done]
    outcome: Outcome

    @classmethod
    def of(cls, done: Done) -> Ended:
        """Return the end of a command that did one thing."""
        return cls(done=[done], outcome=done.outcome)

    def pass_on(self) -> None:
        """Tell the pull requests that were carried, when nothing else is left to do."""
        # What a service ended as is news; what it was in between is not.
        last = {(one.desk.name, one.task.environment): one for one in self.done}
        for one in last.values():
            if one.publisher and not one.desk.clock.cancelled:
                one.publisher.pass_on()

    def services(self) -> str:
        """Return what was done, in order, as JSON for the output `services`."""
        return json.dumps(
            [
                {
                    "service": one.desk.name,
                    "environment": one.task.environment,
                    "strategy": one.task.verb,
                    "result": one.outcome.result,
                    "reason": one.outcome.reason,
                    "build": one.outcome.build,
                    "previous-build": one.outcome.previous_build,
                }
                for one in self.done
            ]
        )
