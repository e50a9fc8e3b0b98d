"""What a workflow's run says of its release, among what each of its jobs says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

Claim = Mapping[str, str]
"""The outputs of one job."""


def of_release(jobs: Iterable[Claim]) -> Claim:
    """Return the outputs of the job that released to production; of the last job where none did.

    A job for staging before it, and a job after it that ends what is left, have the same outputs.
    """
    claims = [one for one in jobs if "result" in one]
    released = [one for one in claims if _released(one)]
    return next(reversed(released or claims), {})


def _released(claim: Claim) -> bool:
    return any(
        done["environment"] == "production" and done["strategy"] != "reconcile"
        for done in json.loads(claim.get("services") or "[]")
    )
