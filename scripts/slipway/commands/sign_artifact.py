"""sign-artifact: a statement about an image, signed with a key of the team's own."""

from __future__ import annotations

from slipway.clients.clock import SystemClock
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.release.outcome import Outcome


def sign_artifact(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Sign, and write the envelope. Raises what is wrong with the inputs."""
    raise NotImplementedError
