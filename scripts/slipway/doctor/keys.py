"""Which secrets and permissions a configuration needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slipway.config import Config, Service

PERMISSIONS = """\
permissions:
  contents: read       # slipway.yml, and how commits descend from each other
  deployments: write   # the deployment and its statuses
  pull-requests: write # one comment on the pull request"""

_ATTESTATIONS = """
  attestations: read   # who signed what is released"""
_CHECKS = """
  checks: read         # the checks of the commit that is released"""
_APPROVALS = """
  actions: read        # who approved the run"""
_APPROVERS = """
  actions: read        # rollback: who pressed Promote Previous Build"""


def permissions(config: Config) -> str:
    """Return what the jobs have to be granted."""
    return "".join([PERMISSIONS, *_of_policies(config)]) + (
        _APPROVERS if config.rollback.approvers else ""
    )


def _of_policies(config: Config) -> Iterator[str]:
    """Yield what the gate reads."""
    found = [config.policy_of(name)[0] for name in config.services]
    policies = [policy for policy in found if policy]
    if any(policy.attestation for policy in policies):
        yield _ATTESTATIONS
    if any(policy.commit for policy in policies):
        yield _CHECKS
    staging = [policy.require_staging for policy in policies if policy.require_staging]
    if any(one.approvals for one in staging) and not config.rollback.approvers:
        yield _APPROVALS


def environments(config: Config) -> list[str]:
    """Return the GitHub environments that the workflows name by default."""
    services = config.services.values()
    named = {
        "staging": any(service.staging for service in services),
        "production": any(service.stable or service.fleet for service in services),
    }
    return [name for name, needed in named.items() if needed]


def render_ids(services: Iterable[Service]) -> list[str]:
    """Return the ids of all Render services of ``services``."""
    found: list[str] = []
    for service in services:
        tracks = (service.staging, service.stable, service.canary)
        found += [track.service for track in tracks if track]
        found += service.fleet or ()
    return found


def production_ids(service: Service) -> list[str]:
    """Return the ids of the Render services that users reach."""
    return [*([service.stable.service] if service.stable else []), *(service.fleet or ())]


def secrets(config: Config) -> list[tuple[str, str]]:
    """Return secrets and their environments."""
    needed = [("RENDER_API_KEY", name) for name in environments(config)]
    if any(service.edge for service in config.services.values()):
        needed += [("POSTHOG_API_KEY", "production"), ("EDGE_TOKEN", "production")]
    if pages(config):
        needed += [("PAGE_URL", "production"), ("PAGE_SECRET", "production")]
    migrated = [one.migrations for one in config.services.values() if one.migrations]
    if any(one.backup and one.backup.supabase for one in migrated):
        needed.append(("SUPABASE_TOKEN", "production"))
    asked = [(name, place) for s in config.services.values() for name, place in _of(s)]
    return needed + list(dict.fromkeys(asked))


def _of(service: Service) -> Iterator[tuple[str, str]]:
    """Yield what a service's guards and migrations need, where it is released."""
    groups = {
        ("META_APP_SECRET", "META_VERIFY_TOKEN"): service.webhook,
        ("DATABASE_URL",): service.data,
        ("MIGRATIONS_URL",): service.migrations,
    }
    places = {"staging": service.staging, "production": service.stable or service.fleet}
    for place in (name for name, there in places.items() if there):
        for names in (names for names, group in groups.items() if group):
            yield from ((name, place) for name in names)


def pages(config: Config) -> bool:
    """Tell whether somebody is to be paged."""
    return bool(config.pages.on) and "production" in environments(config)


def commands(config: Config) -> str:
    """Return the lines that set them; `gh` asks for each value."""
    return "\n".join(f"gh secret set {name} --env {place}" for name, place in secrets(config))
