"""doctor: what is missing, dangerous or not allowed by a plan, in plain words.

Pure: from what was read to findings. :mod:`slipway.commands.doctor` reads.
"""

from __future__ import annotations

from slipway.doctor.findings import Finding, Group, Mark, lines, markdown, worst

__all__ = ["Finding", "Group", "Mark", "lines", "markdown", "worst"]
