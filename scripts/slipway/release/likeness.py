"""The canary service must be what the stable one is, or its errors say nothing about the build."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from slipway.errors import Refused, Unauthorized
from slipway.ports import Service
from slipway.release.deploys import Ports


def require(ports: Ports, stable: Service, canary: Service, *, differs: Collection[str]) -> None:
    """Refuse where the two services differ, with every difference in one ``Refused``.

    Of environment variables names are said, never values; ``differs`` are names that may differ.
    Variables of linked environment groups are not among those that Render lists.
    """
    variables = (_shown(ports, stable), _shown(ports, canary))
    found = list(differences(stable, canary, variables, differs))
    if found:
        raise Refused(
            f"{canary.name} is not like {stable.name}, and what it shows of the build would not "
            f"hold there: {'; '.join(found)}",
            remedy=f"Give {canary.name} ({canary.id}) at Render what {stable.name} has. Variables "
            "whose values are meant to differ are named in slipway.yml under `canary.differs`.",
        )
    ports.journal.gate(
        f"{canary.name} is like {stable.name}: environment variables, plan, region, start command "
        "and health check path"
    )


def differences(
    stable: Service,
    canary: Service,
    variables: tuple[Mapping[str, str], Mapping[str, str]] | None,
    differs: Collection[str],
) -> Iterator[str]:
    """Yield what is different of the canary service.

    ``variables``: fingerprints of the stable service's and of the canary's, by name; ``None``:
    they were not to be seen.
    """
    yield from _settings(stable, canary)
    if variables is not None:
        yield from _variables(*variables, differs)


def _settings(stable: Service, canary: Service) -> Iterator[str]:
    if canary.autoscaling and canary.autoscaling.enabled:
        yield "its autoscaling is on, and Render ignores a scale request while it is"
    if canary.maintenance:
        yield "it is in maintenance mode"
    for what, theirs, its in (
        ("plan", stable.plan, canary.plan),
        ("region", stable.region, canary.region),
        ("health check path", stable.health_path, canary.health_path),
    ):
        if theirs != its:
            yield f"{what} {its or 'not set'} instead of {theirs or 'not set'}"
    if stable.start_command != canary.start_command:
        # Not shown: people write passwords into commands.
        yield "another start command"


def _variables(
    stable: Mapping[str, str], canary: Mapping[str, str], differs: Collection[str]
) -> Iterator[str]:
    """Compare fingerprints of values by name."""
    names = (stable.keys() | canary.keys()) - set(differs)
    unequal = sorted(name for name in names if stable.get(name) != canary.get(name))
    for what, chosen in (
        ("it lacks", [name for name in unequal if name not in canary]),
        ("only it has", [name for name in unequal if name not in stable]),
        ("another value in", [n for n in unequal if n in stable and n in canary]),
    ):
        if chosen:
            yield f"{what} {', '.join(chosen)}"


def _shown(ports: Ports, service: Service) -> Mapping[str, str]:
    try:
        return ports.platform.env_vars(service.id)
    except Unauthorized as error:
        raise Refused(
            f"Render does not let this key see the environment variables of {service.name}, so "
            "nobody can tell whether canary and stable are alike",
            remedy="In a protected environment only Admins may: pass a render-api-key that was "
            "made by an Admin of the workspace.",
        ) from error
