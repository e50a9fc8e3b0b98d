"""The errors Slipway raises, and what each means to the job.

    SlipwayError
    ├── UsageError          2  an input or slipway.yml is wrong; nothing was called
    ├── Refused             1  a gate said no; nothing was changed
    │   └── ArtifactRefused 1  the build is not proven to be what may reach production
    ├── DeployFailed        1  the build did not become live and healthy
    ├── Tripped             1  the candidate is bad, as judge, guard or tripwire see it
    │   └── Inconsistent    1  data are inconsistent: the one reason to revert a migration
    ├── OutsideError        3  Render, PostHog, GitHub or the edge did not answer as documented
    │   ├── Unauthorized    3  the key was not accepted
    │   ├── NotFound        3  what was asked for does not exist there
    │   ├── Unreachable     3  no answer at all, or none in time
    │   ├── BuildGone       3  Render no longer keeps the build that was to come back
    │   ├── NotOnThisPlan   3  the workspace's plan does not include it
    │   └── FlagConflict    3  somebody else changed the flag since it was read
    └── Aborted             4  a person, the runner or a lost lease stopped the release
        ├── Held            4  it could not be judged, or the fault is nobody's here
        ├── Cancelled       4  the job is being cancelled: seconds are left to go back
        └── LeaseTaken      4  another release holds the edge: nothing is ours to put back

Every error carries what was found (the message), a title for the annotation, and a remedy:
the next thing the reader should do. None may carry a secret.
"""

from __future__ import annotations

from typing import ClassVar


class SlipwayError(Exception):
    """Base of all expected failures. ``str(error)`` says what was found."""

    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Release failed"

    def __init__(self, found: str, *, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


class UsageError(SlipwayError):
    """An input or slipway.yml is wrong. ``file`` and ``line`` point at it where known."""

    exit_code = 2
    title = "Wrong input"

    def __init__(
        self, found: str, *, remedy: str, file: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(found, remedy=remedy)
        self.file = file
        self.line = line


class Refused(SlipwayError):
    """A gate said no, before anything was changed."""

    title = "Release refused"


class ArtifactRefused(Refused):
    """The build is not proven to be what may reach production. ``str()`` begins with the code."""

    title = "Build refused"

    def __init__(self, code: str, found: str, *, remedy: str = "") -> None:
        super().__init__(f"{code}: {found}", remedy=remedy or _PROVE)
        self.code = code
        """One of :class:`slipway.gates.codes.Code`."""


_PROVE = (
    "Nothing was changed. Release a build that the workflow in `policy` of slipway.yml has made "
    "and signed; docs/verify-artifact.md of Slipway says what each code means and what to do."
)


class DeployFailed(SlipwayError):
    """A deploy ended in anything but the wanted build, live and healthy."""

    title = "Deploy failed"


class Tripped(SlipwayError):
    """The judge, a guard or the edge's tripwire says the candidate is bad."""

    title = "Rolled back"

    def __init__(self, found: str, remedy: str | None = None) -> None:
        mend = "Read the candidate's log at Render, mend it, and merge a fix."
        super().__init__(found, remedy=remedy or mend)


class Inconsistent(Tripped):
    """Checks on the database fail that did not before the release."""

    def __init__(self, found: str, checks: tuple[str, ...], remedy: str | None = None) -> None:
        super().__init__(found, remedy)
        self.checks = checks
        """Names of the checks that fail."""


class OutsideError(SlipwayError):
    """An outside system did not answer as documented."""

    exit_code = 3
    title = "Outside service failed"


class NotEverywhere(OutsideError):
    """What was ordered holds where it was asked, and is not confirmed by all."""

    def __init__(self, found: str, *, remedy: str, state: object) -> None:
        super().__init__(found, remedy=remedy)
        self.state = state
        """What the one that was asked said."""


class Unauthorized(OutsideError):
    """The key was refused (401 or 403)."""

    title = "Key not accepted"


class NotFound(OutsideError):
    """What was asked for does not exist, or the key may not see it (404, 410)."""

    title = "Not found"


class Unreachable(OutsideError):
    """No answer, or none within the deadline."""

    title = "Outside service unreachable"


class BuildGone(OutsideError):
    """Render does not roll back to this deploy: its build is, as far as can be told, not kept."""

    title = "Build no longer kept"


class NotOnThisPlan(OutsideError):
    """The plan of the workspace does not include what was asked for."""

    title = "Not on this plan"


class FlagConflict(OutsideError):
    """The record was changed by somebody else since it was read (409)."""

    title = "Record changed by somebody else"


class Aborted(SlipwayError):
    """A person, the runner or a lost lease stopped the release. The build is not blamed."""

    exit_code = 4
    title = "Release aborted"


class Held(Aborted):
    """It could not be said whether the candidate is good, and nobody may be blamed for it."""

    title = "Release held"

    def __init__(self, found: str, remedy: str | None = None) -> None:
        usual = (
            "Release again when it can be judged: when there is traffic, when the source of the "
            "metric answers, or when the provider that both builds wait for has recovered."
        )
        super().__init__(found, remedy=remedy or usual)


class Cancelled(Aborted):
    """The job is being cancelled: the runner kills the process about ten seconds from now."""

    title = "Job cancelled"


class LeaseTaken(Aborted):
    """Another release holds the edge now. What it does must not be touched."""
