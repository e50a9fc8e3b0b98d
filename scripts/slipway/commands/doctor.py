"""doctor: looks at everything a release will need, changes nothing, and says what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.pager import WebhookPager
from slipway.clients.probe import HttpProber
from slipway.clients.render import Render
from slipway.commands.doctor_clients import Clients
from slipway.doctor import Group, cost, keys, lines, markdown, policy, services, traffic, worst
from slipway.doctor import github as forge
from slipway.doctor.findings import Finding, fine, unseen, wrong
from slipway.errors import Aborted, SlipwayError, Unauthorized, UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Service
from slipway.release.deploys import live
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.text import short

T = TypeVar("T")
_OVERLAP = (
    "what Render does with a second deploy is a setting of the workspace that its API does not "
    "tell: Wait is the safe one, Override lets any deploy cancel a release's"
)

_CHOOSE = "Choose Wait: Render, Workspace Settings, Overlapping Deploy Policy."


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
    many = "one thing is" if len(problems) == 1 else f"{len(problems)} things are"
    return Outcome(result=Result.REFUSED, reason=f"{many} wrong: {listed}")


class _Look:
    """Reads; what cannot be read becomes a line."""

    def __init__(self, inputs: Inputs, settings: config.Config, clock: SystemClock) -> None:
        self._inputs = inputs
        self._settings = settings
        self._clients = Clients(inputs, settings, clock)
        self._usable: dict[str, str] = {}
        """Keys that were not refused, by name."""
        self._seen: dict[str, Service] = {}
        """Render services that could be read, by id."""

    def groups(self, chosen: Mapping[str, config.Service]) -> Iterator[Group]:
        """Yield what was seen, as soon as it was."""
        yield Group(title="Keys", findings=list(self._keys(chosen)))
        for name, service in chosen.items():
            yield Group(title=f"Service {name}", findings=list(self._service(name, service)))
        yield Group(title="Render's workspace", findings=[unseen(_OVERLAP, _CHOOSE)])
        yield Group(title="GitHub", findings=list(self._github()))
        for name, service in chosen.items():
            yield Group(title=f"Cost of {name}, a month", findings=self._cost(service))
        yield Group(title="Secrets of this configuration", block=keys.commands(self._settings))
        yield Group(title="Permissions of the jobs", block=keys.permissions(self._settings))

    def _keys(self, chosen: Mapping[str, config.Service]) -> Iterator[Finding]:
        """Say of each key whether it is given and accepted; one that is refused is not used."""
        given, clients, posthog = self._inputs.keys, self._clients, self._settings.posthog
        first = next(iter(keys.render_ids(chosen.values())), "")
        edge = next((service.edge for service in chosen.values() if service.edge), None)
        yield self._key(
            "render-api-key", given.render, lambda key: clients.render(key).service(first)
        )
        if self._inputs.run.repository:
            yield self._key(
                "github-token", given.github, lambda token: clients.setup(token).repository()
            )
        else:
            yield unseen("which repository this is, is not given", "Set GITHUB_REPOSITORY.")
        if keys.pages(self._settings):
            yield self._pages(given.page_url)
        if edge is None:
            return
        yield self._key("edge-token", given.edge, lambda token: clients.edge(edge, token).state())
        if posthog is not None:
            yield self._key(
                "posthog-api-key",
                given.posthog,
                lambda key: clients.flags(posthog, key).read(edge.flag),
            )

    def _pages(self, url: str | None) -> Finding:
        if not url:
            return unseen(
                "page-url is not given: where it is not set in the workflows, nobody is paged",
                "Set PAGE_URL for the environment production, and for the edge; give it here as "
                "SLIPWAY_PAGE_URL.",
            )
        try:
            WebhookPager(url)
        except UsageError as error:
            return wrong(error.found, error.remedy)
        return fine("page-url is given")

    def _key(self, name: str, value: str | None, question: Callable[[str], object]) -> Finding:
        if not value:
            variable = f"SLIPWAY_{name.upper().replace('-', '_')}"
            return unseen(
                f"{name} is not given: what needs it is not looked at", f"Set {variable}."
            )
        try:
            question(value)
        except (Unauthorized, UsageError) as error:
            return wrong(f"{name} is not accepted: {error.found}", error.remedy)
        except Aborted:
            raise
        except Exception:
            # What does not answer is told where it is looked at.
            self._usable[name] = value
            return fine(f"{name} is given")
        self._usable[name] = value
        return fine(f"{name} is accepted")

    def _service(self, name: str, service: config.Service) -> Iterator[Finding]:
        roles: list[tuple[services.Role, str]] = []
        if service.staging:
            roles.append(("staging", service.staging.service))
        if service.stable:
            roles.append(("stable", service.stable.service))
        roles += [("fleet", one) for one in service.fleet or ()]
        if service.canary:
            roles.append(("canary", service.canary.service))
        key = self._usable.get("render-api-key")
        if key is None:
            yield unseen("Render's services were not looked at")
        else:
            render = self._clients.render(key)
            for role, service_id in roles:
                yield from self._render_service(render, name, service, role, service_id)
            yield from self._unlike(render, service)
        if service.stable or service.fleet:
            yield from policy.check(
                self._settings.policy_of(name)[0],
                service,
                [self._seen[i] for i in keys.production_ids(service) if i in self._seen],
                lambda path: (self._inputs.root / path).is_file(),
            )
        if service.edge:
            yield from self._traffic(service.edge)
        yield from not_looked_at(service.metrics)

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
            adopted: bool | Finding | None = None
            if role in ("stable", "fleet") and current and current.identity:
                adopted = self._adopted(name, current.identity)
            if isinstance(adopted, Finding):
                yield adopted
                adopted = None
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
        read = _ask(lambda: (render.env_vars(stable.id), render.env_vars(canary.id)))
        if isinstance(read, Finding):
            yield read
        variables = None if isinstance(read, Finding) else read
        yield from services.compare(stable, canary, variables, service.canary.differs)

    def _traffic(self, edge: config.Edge) -> Iterator[Finding]:
        token, key = self._usable.get("edge-token"), self._usable.get("posthog-api-key")
        posthog = self._settings.posthog
        if token:
            state = _ask(self._clients.edge(edge, token).state)
            yield from [state] if isinstance(state, Finding) else traffic.check_edge(edge, state)
        else:
            yield unseen(f"the edge at {edge.url} was not looked at")
        if posthog is None:
            yield wrong(
                "there is an edge, and no `posthog:` in slipway.yml: the flag is the record",
                "Add `posthog: {host: …, project: …}`.",
            )
        elif key:
            client = self._clients.flags(posthog, key)
            flag = _ask(lambda: client.read(edge.flag))
            yield from [flag] if isinstance(flag, Finding) else traffic.check_flag(edge, flag)
        else:
            yield unseen(f"the flag {edge.flag} of PostHog was not looked at")

    def _github(self) -> Iterator[Finding]:
        token = self._usable.get("github-token")
        if token is None or self._inputs.run.repository is None:
            yield unseen(
                "GitHub was not looked at: that needs github-token and GITHUB_REPOSITORY",
                "At a terminal: GITHUB_REPOSITORY=… SLIPWAY_GITHUB_TOKEN=$(gh auth token).",
            )
            return
        setup = self._clients.setup(token)
        repository = _ask(setup.repository)
        if isinstance(repository, Finding):
            yield repository
            return
        yield from forge.check_repository(repository)
        environments = _ask(setup.environments)
        if isinstance(environments, Finding):
            yield unseen(
                f"the environments could not be read: {environments.text}", environments.remedy
            )
            return
        needed = keys.environments(self._settings)
        yield from forge.check_environments(environments, needed, private=repository.private)

    def _adopted(self, name: str, build: str) -> bool | Finding | None:
        """Return whether ``build`` passed; ``None``: GitHub was not to be asked."""
        token = self._usable.get("github-token")
        if self._inputs.run.repository is None or token is None:
            return None
        client = self._clients.history(token)
        passed = _ask(lambda: Ledger(lambda: client, f"production/{name}").passed(build))
        if isinstance(passed, Finding):
            return wrong(
                f"whether {short(build)} passed is not known: {passed.text}", passed.remedy
            )
        return passed is not None

    def _cost(self, service: config.Service) -> list[Finding]:
        def seen(*ids: str | None) -> list[Service]:
            return [self._seen[one] for one in ids if one in self._seen]

        canary = seen(service.canary.service if service.canary else None)
        return cost.findings(
            seen(*keys.production_ids(service)),
            seen(service.staging.service if service.staging else None),
            canary[0] if canary else None,
            edge=service.edge is not None,
            unread=[one for one in keys.render_ids([service]) if one not in self._seen],
        )


def not_looked_at(metrics: Mapping[str, config.Metric]) -> Iterator[Finding]:
    """Say which command looks at the metrics."""
    if metrics:
        named = ", ".join(f"{name} ({metric.source})" for name, metric in metrics.items())
        yield unseen(f"metrics: {named} are not looked at here: check-metrics does")


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
