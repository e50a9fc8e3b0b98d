"""An error in Slipway itself after something was changed: a reason to go back like any other."""

from __future__ import annotations

import traceback

from slipway.errors import Aborted
from slipway.release.journal import Journal


def aborted(error: Exception, journal: Journal) -> Aborted:
    """Return what ends the release; where it happened is in the journal.

    Code lines only: what the error says may hold a value that must not be shown.
    """
    reason = f"internal error: {type(error).__name__}"
    where = "".join(traceback.format_tb(error.__traceback__))
    journal.trouble(f"{reason} in Slipway\n{where}")
    return Aborted(reason, remedy="Report it, with the log of this job.")
