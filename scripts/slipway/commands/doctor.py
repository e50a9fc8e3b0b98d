"""doctor: looks at everything a release will need, changes nothing, and says what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.edge import EdgeClient
from slipway.clients.posthog import PostHogFlags
from slipway.clients.probe import HttpProber
from slipway.clients.render import Render
from slipway.clients.retries import Patience
from slipway.doctor import Group, cost, keys, lines, markdown, services, traffic, worst
from slipway.doctor import github as forge
from slipway.doctor.findings import Finding, fine, unseen, wrong
from slipway.errors import Aborted, SlipwayError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Service
from slipway.release.deploys import live
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result

T = TypeVar("T")
QUICK = Patience(attempts=2, connect_timeout=3, read_timeout=5, rate_limit_cap=5)
"""Nobody waits for a doctor: one question takes about 16 s at most."""
_OVERLAP = (
    "what Render does with a second deploy is a setting of the workspace that its API does not "
    "tell: Wait is the safe one, Override lets any deploy cancel a release's"
)


def diagnose(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Look at every service of slipway.yml (or those that are named) and print what was seen."""
    settings = config.load(inputs.config)
    chosen: Mapping[str, config.Service] = {
        name: settings.service(name) for name in inputs.services or settings.services
    }
    look = _Look(inputs, settings, clock)
    groups: list[Group] = []
    for group in look.groups(chosen):
        groups.append(group)
        for line in (*lines(group), ""):
            runner.say(line)
    if inputs.summary:
        runner.add_summary(markdown(groups))
    problems = worst(groups)
    if not problems:
        return Outcome(result=Result.UNCHANGED, reason="nothing is wrong with what was looked at")
    listed = "; ".join(finding.text for finding in problems)
    return Outcome(result=Result.REFUSED, reason=f"{len(problems)} things are wrong: {listed}")


class _Look:
    """Reads; what cannot be read becomes a line."""

    def __init__(self, inputs: Inputs, settings: config.Config, clock: SystemClock) -> None:
        self._inputs = inputs
        self._settings = settings
        self._clock = clock
        self._seen: dict[str, Service] = {}
        """Render services that could be read, by id."""

    def groups(self, chosen: Mapping[str, config.Service]) -> Iterator[Group]:
        """Yield what was seen, as soon as it was."""
        yield Group(title="Keys", findings=list(self._keys(chosen)))
        for name, service in chosen.items():
            yield Group(title=f"Service {name}", findings=list(self._service(name, service)))
        yield Group(title="GitHub", findings=list(self._github()))
        for name, service in chosen.items():
            yield Group(title=f"Cost of {name}, a month", findings=self._cost(service))
        yield Group(title="Secrets of this configuration", block=keys.commands(self._settings))
        yield Group(title="Permissions of the jobs", block=keys.PERMISSIONS)

    def _keys(self, chosen: Mapping[str, config.Service]) -> Iterator[Finding]:
        given = self._inputs.keys
        needs_edge = any(service.edge for service in chosen.values())
        table = [("render-api-key", given.render, True), ("github-token", given.github, True)]
        table += [
            ("posthog-api-key", given.posthog, needs_edge),
            ("edge-token", given.edge, needs_edge),
        ]
        for name, value, needed in table:
            if value:
                yield fine(f"{name} is given")
            elif needed:
                variable = f"SLIPWAY_{name.upper().replace('-', '_')}"
                yield unseen(
                    f"{name} is not given: what needs it is not looked at", f"Set {variable}."
                )

    def _service(self, name: str, service: config.Service) -> Iterator[Finding]:
        roles: list[tuple[services.Role, str]] = []
        if service.staging:
            roles.append(("staging", service.staging.service))
        if service.stable:
            roles.append(("stable", service.stable.service))
        roles += [("fleet", one) for one in service.fleet or ()]
        if service.canary:
            roles.append(("canary", service.canary.service))
        render = self._render()
        if isinstance(render, Finding):
            yield render
        else:
            for role, service_id in roles:
                yield from self._render_service(render, name, service, role, service_id)
            yield from self._unlike(render, service)
            yield unseen(_OVERLAP, "Render, Workspace Settings, Overlapping Deploy Policy: Wait.")
        if service.edge:
            yield from self._edge(service.edge)

    def _render_service(
        self,
        render: Render,
        name: str,
        service: config.Service,
        role: services.Role,
        service_id: str,
    ) -> Iterator[Finding]:
        found = _ask(lambda: render.service(service_id))
        if isinstance(found, Finding):
            yield found
            return
        self._seen[service_id] = found
        yield from services.check(found, role, service)
        history = _ask(lambda: render.deploys(service_id))
        if isinstance(history, Finding):
            yield history
        else:
            current = live(history)
            adopted = None
            if role in ("stable", "fleet") and current and current.identity:
                adopted = self._adopted(name, current.identity)
            yield from services.check_deploys(found, role, history, adopted=adopted)
        if found.url and not found.suspended:
            prober = HttpProber(build_header=service.build.header, build_field=service.build.field)
            url = found.url + service.health.path
            yield from services.check_answer(
                found, prober.probe(url, timeout=service.health.timeout)
            )

    def _unlike(self, render: Render, service: config.Service) -> Iterator[Finding]:
        stable = self._seen.get(service.stable.service) if service.stable else None
        canary = self._seen.get(service.canary.service) if service.canary else None
        if stable is None or canary is None or service.canary is None:
            return
        may_differ = service.canary.differs

        def variables(of: Service) -> dict[str, str]:
            return {n: v for n, v in render.env_vars(of.id).items() if n not in may_differ}

        read = _ask(lambda: (variables(stable), variables(canary)))
        if isinstance(read, Finding):
            yield read
        yield from services.compare(stable, canary, None if isinstance(read, Finding) else read)

    def _edge(self, edge: config.Edge) -> Iterator[Finding]:
        token, key, posthog = (
            self._inputs.keys.edge,
            self._inputs.keys.posthog,
            self._settings.posthog,
        )
        if token:
            sleep = self._clock.sleep
            state = _ask(
                lambda: EdgeClient(token, url=edge.url, patience=QUICK, sleep=sleep).state()
            )
            yield from [state] if isinstance(state, Finding) else traffic.check_edge(edge, state)
        else:
            yield unseen(f"the edge at {edge.url} was not looked at")
        if posthog is None:
            yield wrong(
                "there is an edge, and no `posthog:` in slipway.yml: the flag is the record",
                "Add `posthog: {host: …, project: …}`.",
            )
        elif key:
            flag = _ask(lambda: self._flags(posthog, key).read(edge.flag))
            yield from [flag] if isinstance(flag, Finding) else traffic.check_flag(edge, flag)
        else:
            yield unseen(f"the flag {edge.flag} of PostHog was not looked at")

    def _github(self) -> Iterator[Finding]:
        run, token = self._inputs.run, self._inputs.keys.github
        if not (run.repository and token):
            yield unseen(
                "GitHub was not looked at: that needs github-token and GITHUB_REPOSITORY",
                "At a terminal: GITHUB_REPOSITORY=… SLIPWAY_GITHUB_TOKEN=$(gh auth token).",
            )
            return
        from slipway.clients.github_setup import GitHubSetup  # noqa: PLC0415 - as in perform

        name, sleep = run.repository, self._clock.sleep
        setup = _ask(lambda: GitHubSetup(token, repository=name, base_url=run.api_url, sleep=sleep))
        if isinstance(setup, Finding):
            yield setup
            return
        repository = _ask(setup.repository)
        if isinstance(repository, Finding):
            yield repository
            return
        yield from forge.check_repository(repository)
        environments = _ask(setup.environments)
        needed = keys.environments(self._settings)
        if isinstance(environments, Finding):
            yield unseen(
                f"the environments could not be read: {environments.text}", environments.remedy
            )
        else:
            yield from forge.check_environments(environments, needed, private=repository.private)

    def _adopted(self, name: str, build: str) -> bool | None:
        run, token = self._inputs.run, self._inputs.keys.github
        if not (run.repository and token):
            return None
        from slipway.clients.github import GitHub  # noqa: PLC0415 - as in perform

        repository, patience = run.repository, Patience(attempts=2, read_timeout=5)

        def client() -> GitHub:
            return GitHub(
                token,
                repository=repository,
                base_url=run.api_url,
                patience=patience,
                sleep=self._clock.sleep,
            )

        passed = _ask(lambda: Ledger(client, f"production/{name}").passed(build))
        return None if isinstance(passed, Finding) else passed is not None

    def _cost(self, service: config.Service) -> list[Finding]:
        def seen(*ids: str | None) -> list[Service]:
            return [self._seen[one] for one in ids if one in self._seen]

        production = (service.stable.service if service.stable else None, *(service.fleet or ()))
        canary = seen(service.canary.service if service.canary else None)
        return cost.findings(
            seen(*production),
            seen(service.staging.service if service.staging else None),
            canary[0] if canary else None,
            edge=service.edge is not None,
        )

    def _render(self) -> Render | Finding:
        key = self._inputs.keys.render
        if not key:
            return unseen("Render's services were not looked at")
        url, sleep = self._settings.render.api_url, self._clock.sleep
        return _ask(lambda: Render(key, base_url=url, patience=QUICK, sleep=sleep))

    def _flags(self, posthog: config.PostHog, key: str) -> PostHogFlags:
        return PostHogFlags(
            key,
            base_url=posthog.host,
            project=posthog.project,
            patience=QUICK,
            sleep=self._clock.sleep,
        )


def _ask(question: Callable[[], T]) -> T | Finding:
    """Return the answer, or what was wrong as a finding: a doctor does not fall over."""
    try:
        return question()
    except Aborted:
        raise
    except SlipwayError as error:
        return wrong(error.found, error.remedy)
    except Exception as error:
        # Its text may hold what was sent; its name is enough to report it.
        return wrong(f"{type(error).__name__} in Slipway itself", "Report this.")
