"""Whether the policy lets anything through to production, and what it leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from slipway.config import Policy
from slipway.config import Service as Settings
from slipway.doctor.findings import Finding, care, fine, wrong
from slipway.ports import Service

_PAGE = "docs/verify-artifact.md has a policy for each kind of repository."


def check(
    policy: Policy | None,
    settings: Settings,
    production: Sequence[Service],
    exists: Callable[[str], bool],
) -> Iterator[Finding]:
    """Yield what is to be said. ``production``: what could be read of it at Render.

    ``exists``: whether a file is in the repository.
    """
    if policy is None:
        yield wrong("there is no `policy`: nothing may reach production", f"Add one. {_PAGE}")
        return
    if policy.unsigned:
        yield care(
            f"no signature is asked for: {policy.unsigned}",
            f"Replace `unsigned` in `policy`. {_PAGE}",
        )
    else:
        yield from _kinds(policy, production)
        yield from _files(policy, exists)
    yield from _staging(policy, settings)


def _kinds(policy: Policy, production: Sequence[Service]) -> Iterator[Finding]:
    images = [name for name in ("attestation", "key") if getattr(policy, name)]
    for service in production:
        if service.image_backed and not images:
            yield wrong(
                f"{service.name} runs an image, and the policy has neither `attestation` nor `key`",
                f"Add one of them. {_PAGE}",
            )
        elif not service.image_backed and not policy.commit:
            yield wrong(
                f"{service.name} is built by Render from Git, and the policy has no `commit`",
                f"Add it. {_PAGE}",
            )
        else:
            asked = " and ".join(images) if service.image_backed else "commit"
            yield fine(f"{service.name}: what is released is proven by {asked}")


def _files(policy: Policy, exists: Callable[[str], bool]) -> Iterator[Finding]:
    root = policy.attestation.trusted_root if policy.attestation else None
    for name in (policy.key.trust if policy.key else None, root.file if root else None):
        if name and not exists(name):
            yield wrong(f"{name} of the policy is not in the repository", "Commit it.")


def _staging(policy: Policy, settings: Settings) -> Iterator[Finding]:
    if policy.require_staging is None:
        yield care(
            "a build need not have passed staging", "Take `require-staging: false` out of `policy`."
        )
    elif settings.staging is None:
        yield wrong(
            "a build must have passed staging, and the service has none",
            "Add `staging: {service: srv-…}`, or `require-staging: false` to its policy.",
        )
