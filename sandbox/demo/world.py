"""The sandbox as one thing: Render, PostHog, GitHub, the edge and the sellers, on free ports."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.demo.edges import Edges
from sandbox.demo.measured import Measured
from sandbox.demo.processes import Children
from sandbox.demo.repository import Repository
from sandbox.demo.signing import BUILD, Signing, image_of
from sandbox.demo.stored import Stored
from sandbox.github.answers import OWNER_ID, REPOSITORY_ID
from sandbox.sigstore import Claims

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "livestreamsell"
REGISTRY = "registry.sandbox"
IMAGE = f"{REGISTRY}/livestreamsell/bot"
REPOSITORY = "livestreamsell/livestreamsell"
APP_SECRET = "sandbox-app-secret"
VERIFY_TOKEN = "sandbox"
RENAMED = "META_SECRET"
"""A variable that only staging has: the app secret under a new name."""

SELLERS = 400
RATE = 120.0
"""Requests per second: 5 % of the sellers make about six of them."""

SEED = 2
"""Of the sellers' requests: whenever hardly any come, some within 30 s are of the 5 %."""
BUSY = 5.0
"""Seconds of usual traffic before there is hardly any."""

STEP, BAKE = 10.0, 8.0
"""Seconds at 5 % and at 95 %, where a press does not say otherwise: each is ten minutes in the
example."""
LEASE = 30.0
"""Seconds for which the edge goes on with a canary whose runner is silent."""
COLLEAGUE = "maria@livestreamsell.example"
"""Somebody else who may change flags in PostHog."""
DASHBOARDS = 4
"""Instances of the dashboard in production, where it is released."""
DASHBOARD_RATE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Made anew for each run."""

    render: str = field(default_factory=lambda: f"rnd_{secrets.token_hex(12)}", repr=False)
    posthog: str = field(default_factory=lambda: f"phx_{secrets.token_hex(12)}", repr=False)
    colleague: str = field(default_factory=lambda: f"phx_{secrets.token_hex(12)}", repr=False)
    """Of :data:`COLLEAGUE`, for PostHog."""
    posthog_secret: str = field(default_factory=lambda: f"phs_{secrets.token_hex(12)}", repr=False)
    posthog_project: str = field(default_factory=lambda: f"phc_{secrets.token_hex(12)}", repr=False)
    edge: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    github: str = field(default_factory=lambda: f"ghs_{secrets.token_hex(12)}", repr=False)
    page_path: str = field(default_factory=lambda: f"T0/B0/{secrets.token_hex(12)}", repr=False)
    """What makes the address of the pages a secret, as Slack's is."""
    page: str = field(
        default_factory=lambda: f"whsec_{b64encode(secrets.token_bytes(24)).decode()}", repr=False
    )
    """What pages are signed with."""


class World:
    """Everything outside the suite, running on this machine."""

    def __init__(
        self,
        directory: Path,
        *,
        lag: float = 2.0,
        rate: float = RATE,
        rolling: bool = False,
        lease: float = LEASE,
        edges: int = 1,
        step: float = STEP,
        bake: float = BAKE,
        measured: bool = False,
        stored: bool = False,
        migrates: bool = False,
        webhook: bool = False,
        staged: bool = True,
    ) -> None:
        """``staged``: whether its policy asks for staging, wherever there is one."""
        self.keys = Keys()
        self.directory = directory
        self.load_file = directory / "load.json"
        self.dashboard_load_file = directory / "load-dashboard.json"
        self.children = Children(directory / "logs")
        self._lag = lag
        self._rate = rate
        self._durations = (step, bake)
        self._webhook = webhook
        # Where releases migrate the one database there is no staging that could be asked for.
        self._staged = staged and not migrates
        self.lease = lease
        """Seconds."""
        self.rolling = rolling
        """Whether the dashboard is in production too, with sellers of its own."""
        # Short and plain, wherever the clone is: paths of Unix sockets may have 108 characters,
        # and act writes paths into shell commands without quoting them.
        self._plain = tempfile.TemporaryDirectory(prefix="slipway-demo-", dir="/tmp")
        self.plain = Path(self._plain.name)
        names = (
            "render",
            "posthog",
            "github",
            "edge",
            "bot",
            "canary",
            "staging",
            "dashboard",
            "ui",
            "provider",
            "prometheus",
            "pages",
        )
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.repository = Repository(directory / "repository", EXAMPLE)
        claims = Claims(repository=REPOSITORY, repository_id=REPOSITORY_ID, owner_id=OWNER_ID)
        self.signing = Signing(self.repository.path, claims, IMAGE)
        self.pull_requests = 0
        self.pushed: list[str] = []
        """The commits that were pushed, each a build."""
        more = free_ports(edges) if edges > 1 else []
        port, told = self.ports["edge"], self._edge_environment()
        self.edges = Edges(self.children, self.plain, port, more, told)
        self._measured = (
            Measured(self.children, self.plain, *map(self.url, ("provider", "prometheus")))
            if measured
            else None
        )
        self.stored = (
            Stored(self.repository.path, self.plain / "tools", migrates=migrates)
            if stored
            else None
        )

    def url(self, name: str) -> str:
        """Where one of the parts answers."""
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def page_url(self) -> str:
        """Where somebody is paged."""
        return f"{self.url('pages')}/services/{self.keys.page_path}"

    def pages(self) -> dict[str, Any]:
        """Return the pages that were taken, and why others were not."""
        listed: dict[str, Any] = json.loads(fetch(f"{self.url('pages')}/_sandbox/pages"))
        return listed

    def start(self) -> None:
        """Start everything; returns when sellers are being served by v1."""
        if self.stored:
            self.stored.start()
        self._configure()
        first, second = self.repository.commit("v0", {}), self.repository.commit("v1", {})
        config = self.directory / "render.json"
        config.write_text(json.dumps(self._render_config({first: "v0", second: "v1"}), indent=2))
        run, here = self.children, {"PYTHONPATH": str(ROOT)}
        if self._measured:
            self._measured.start_provider()
        render = run.start("render", "sandbox.render", "--config", str(config), env=here)
        posthog = run.start("posthog", "sandbox.posthog", *self._posthog_args(), env=here)
        github = run.start("github", "sandbox.github", *self._github_args(), env=here)
        run.wait_ready(posthog, lambda: answers(f"{self.url('posthog')}/_sandbox/state"))
        pages = run.start("pages", "sandbox.pages", *self._pages_args(), env=here)
        edge = self.edges.start()
        run.wait_ready(pages, lambda: answers(f"{self.url('pages')}/_sandbox/pages"))
        run.wait_ready(github, lambda: answers(f"{self.url('github')}/_sandbox/state"))
        run.wait_ready(render, lambda: b"ready" in render.log.read_bytes())
        self.edges.await_served()
        if self._measured:
            self._measured.start_prometheus(f"{self.url('render')}/_sandbox/targets", second)
        self._adopt(first, second)
        for commit in (first, second):
            self.attest(digest_of(commit), commit=commit)
        if self._rate < RATE / 10:
            self._busy_hour()
        load = run.start("load", "sandbox.load", *self._load_args(), env=here)
        run.wait_ready(load, lambda: _are_served(self.load_file))
        if self.rolling:
            run.wait_ready(edge, lambda: answers(f"{self.url('ui')}/healthz"))
            load = run.start("load-dashboard", "sandbox.load", *self._ui_load_args(), env=here)
            run.wait_ready(load, lambda: _are_served(self.dashboard_load_file))

    def stop(self) -> None:
        """End everything."""
        self.edges.stop()
        self.children.stop()
        if self.stored:
            self.stored.stop()
        self._plain.cleanup()

    def open_pull_request(self, commit: str, title: str) -> int:
        """Tell GitHub that a merged pull request brought ``commit``; return its number."""
        self.pull_requests += 1
        pull = {
            "number": self.pull_requests,
            "title": title,
            "head_sha": commit,
            "merge_sha": commit,
        }
        post(f"{self.url('github')}/_sandbox/pulls", pull)
        return self.pull_requests

    def push(
        self,
        version: str,
        behaviour: Mapping[str, Any],
        app: str = "bot",
        body: str = "",
        signer: str | None = BUILD,
    ) -> str:
        """Commit a build of both applications, whose image ``signer`` attests; return the commit.

        ``signer``: a workflow of the repository; ``None``: nobody. For the rest see
        :meth:`Repository.commit`.
        """
        commit = self.repository.commit(version, behaviour, app, body)
        self.pushed.append(commit)
        if signer:
            self.attest(image_of(self.repository.path, commit), commit=commit, workflow=signer)
        return commit

    def attest(self, digest: str, **claims: Any) -> None:
        """Have GitHub keep an attestation of the image ``digest`` (hex), by a workflow.

        ``claims``: see :class:`sandbox.sigstore.Claims`. Beside it is what GitHub itself says of
        releases: that counts for nothing.
        """
        for order in (self.signing.attestation(digest, **claims), self.signing.release(digest)):
            post(f"{self.url('github')}/_sandbox/attestations", order)

    def passed_staging(self, build: str, commit: str) -> None:
        """Have GitHub's history say that ``build`` of the bot has passed staging."""
        self._keep("staging/bot", "deploy", build, commit)

    def _adopt(self, *commits: str) -> None:
        """Have GitHub's history say that what production ran, and runs, was adopted."""
        for commit in commits:
            builds = {"bot": f"sha256:{digest_of(commit)}"}
            if self.rolling:
                builds["dashboard"] = commit
            for service, build in builds.items():
                self._keep(f"production/{service}", "adopt", build, commit)

    def _keep(self, environment: str, task: str, build: str, commit: str) -> None:
        stage, _, service = environment.partition("/")
        body = {
            "ref": commit,
            "task": task,
            "auto_merge": False,
            "required_contexts": [],
            "environment": environment,
            "production_environment": stage == "production",
            "description": f"Slipway: {task}",
            "payload": {"service": service, "build": build, "reason": "live and healthy"},
        }
        at = f"{self.url('github')}/repos/{REPOSITORY}/deployments"
        made = post(at, body, self.keys.github)
        said = "adopted" if task == "adopt" else "deployed"
        status = {"state": "success", "description": f"{said}: it is live"}
        post(f"{at}/{made['id']}/statuses", status, self.keys.github)

    def service_id(self, track: str) -> str:
        """Render's id of one of the services, from the example."""
        service = "dashboard" if track in ("dashboard", "ui") else "bot"
        name = {"bot": "stable", "dashboard": "staging", "ui": "stable"}.get(track, track)
        return str(self._example()["services"][service][name]["service"])

    @property
    def flag(self) -> str:
        """Key of the release flag."""
        return str(self._example()["services"]["bot"]["edge"]["flag"])

    def _example(self) -> Any:
        import yaml  # noqa: PLC0415

        return yaml.safe_load((EXAMPLE / "slipway.yml").read_text())

    def _configure(self) -> None:
        edge = self.url("edge")
        step, bake = self._durations
        self.repository.configure(
            {
                **({} if self._staged else {"policy": {"require-staging": False}}),
                "render": {"api-url": f"{self.url('render')}/v1", "poll": "500ms", "confirm": "1s"},
                "posthog": {"host": self.url("posthog")},
                "services": {
                    "bot": {
                        "url": edge,
                        "edge": {"url": edge, "lease": f"{self.lease:g}s"},
                        "strategy": {
                            "steps": [{"share": 5, "for": f"{step:g}s"}],
                            "bake": {"share": 95, "for": f"{bake:g}s"},
                            "judge": {"every": "1s"},
                            "deploy-deadline": "60s",
                        },
                    },
                    "dashboard": {
                        "strategy": {
                            "deploy-deadline": "60s",
                            "rolling": {"watch": "5s", "assets": "required"},
                        }
                    },
                },
            }
        )
        for part in (self.signing, self._measured, self.stored):
            if part:
                self.repository.configure(part.settings())
        if self._webhook:
            probed = {"path": "/webhooks/meta", "every": "2s"}
            self.repository.configure({"services": {"bot": {"webhook": probed}}})

    def _render_config(self, versions: Mapping[str, str]) -> dict[str, Any]:
        images = [
            {"ref": f"{IMAGE}@sha256:{digest_of(c)}", "commit": c, "version": v}
            for c, v in versions.items()
        ]
        env = {
            "META_APP_SECRET": APP_SECRET,
            "META_VERIFY_TOKEN": VERIFY_TOKEN,
            "AI_SECONDS": "0.05",
        }
        for part in (self._measured, self.stored):
            if part:
                env |= part.environment()
        history = [image["ref"] for image in images]
        bot = {"app": "bot", "runtime": "image", "image": IMAGE, "env": env}
        tracks = (("bot", 2, history), ("canary", 1, history[-1:]), ("staging", 1, history[-1:]))
        services: list[dict[str, Any]] = [
            {
                **bot,
                "id": self.service_id(track),
                "name": f"bot-{'stable' if track == 'bot' else track}",
                "port": self.ports[track],
                "num_instances": instances,
                "history": past,
                **(_autoscaling(instances) if track == "bot" else {}),
                "env": env | ({RENAMED: APP_SECRET} if track == "staging" else {}),
            }
            for track, instances, past in tracks
        ]
        dashboard = {
            "app": "dashboard",
            "runtime": "python",
            "repo": str(self.repository.path),
            "rootDir": "dashboard",
            "id": self.service_id("dashboard"),
            "name": "dashboard-staging",
            "port": self.ports["dashboard"],
            "history": list(versions),
            "env": {"STAGING_ONLY": "set"},
        }
        services.append(dashboard)
        if self.rolling:
            services.append(
                {
                    **dashboard,
                    "id": self.service_id("ui"),
                    "name": "dashboard",
                    "port": self.ports["ui"],
                    "num_instances": DASHBOARDS,
                    **_autoscaling(DASHBOARDS),
                    "env": {},
                }
            )
        return {
            "port": self.ports["render"],
            "api_key": self.keys.render,
            "state_dir": str(self.directory / "render"),
            "images": images,
            "services": services,
            # Minutes of Render's become seconds; its limits per minute would stop three
            # releases within one, so they are raised by as much.
            # The release is to see three failures in a row before Render takes the instance away.
            "timings": {"build": 0.5, "start_deadline": 15.0, "unroute_after": 8.0},
            "limits": {"service_writes": 200, "reads": 10_000, "other_writes": 500},
        }

    def _posthog_args(self) -> list[str]:
        project = str(self._example()["posthog"]["project"])
        keys = self.keys
        return [
            *("--port", str(self.ports["posthog"]), "--lag", str(self._lag)),
            *("--project", project, "--project-key", keys.posthog_project),
            *("--secret-key", keys.posthog_secret, "--personal-key", keys.posthog),
            *("--personal-key", f"{keys.colleague}={COLLEAGUE}"),
        ]

    def _github_args(self) -> list[str]:
        port, token = str(self.ports["github"]), self.keys.github
        git = str(self.repository.path)
        return ["--port", port, "--token", token, "--repo", REPOSITORY, "--git", git]

    def _pages_args(self) -> list[str]:
        return ["--port", str(self.ports["pages"]), "--secret", self.keys.page]

    def _load_args(self) -> list[str]:
        return [
            *("--url", self.url("edge"), "--sellers", str(SELLERS), "--rate", str(self._rate)),
            *("--seconds", "900", "--out", str(self.load_file), "--app-secret", APP_SECRET),
            *("--seed", str(SEED)),
        ]

    def _busy_hour(self) -> None:
        """Let sellers come as they usually do, for a moment: the edge knows them from then on."""
        out = self.directory / "load-busy.json"
        load = self.children.start(
            "load-busy",
            "sandbox.load",
            *("--url", self.url("edge"), "--sellers", str(SELLERS), "--rate", str(RATE)),
            *("--seconds", str(BUSY), "--out", str(out), "--app-secret", APP_SECRET),
            env={"PYTHONPATH": str(ROOT)},
        )
        load.process.wait(BUSY + 30)
        self.children.kill(load)

    def _ui_load_args(self) -> list[str]:
        return [
            *("--url", self.url("ui"), "--sellers", str(SELLERS), "--rate", str(DASHBOARD_RATE)),
            *("--seconds", "900", "--out", str(self.dashboard_load_file)),
            *("--webhooks", "0", "--path", "/"),
        ]

    def _edge_environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT / "edge"),
            "STABLE_ADDR": f"127.0.0.1:{self.ports['bot']}",
            "CANARY_ADDR": f"127.0.0.1:{self.ports['canary']}",
            "HEALTH_PATH": "/healthz",
            "EDGE_TOKEN": self.keys.edge,
            "POSTHOG_HOST": self.url("posthog"),
            "POSTHOG_PROJECT_TOKEN": self.keys.posthog_project,
            "POSTHOG_SECRET_KEY": self.keys.posthog_secret,
            "RELEASE_FLAG": self.flag,
            "PAGE_URL": self.page_url,
            "PAGE_SECRET": self.keys.page,
        }


def digest_of(commit: str) -> str:
    """Return the digest (hex) of the image that a world's first builds were made into."""
    return hashlib.sha256(commit.encode()).hexdigest()


def _are_served(load_file: Path) -> bool:
    try:
        load = json.loads(load_file.read_text())
    except (OSError, ValueError):
        return False
    return bool(load["requests"] > 0)


def _autoscaling(instances: int) -> dict[str, Any]:
    """What production promises by default; a canary must not have it."""
    return {"autoscaling": {"enabled": True, "min": instances, "max": instances + 2}}


def fresh(directory: Path) -> Path:
    """Return ``directory``, emptied."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different.

    Below those that the system gives to connections: one of them could be taken meanwhile.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            one = socket.socket()
            try:
                one.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            except OSError:
                one.close()
            else:
                sockets.append(one)
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def answers(url: str) -> bool:
    """Return whether ``url`` answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def fetch(url: str) -> bytes:
    """GET a page; raises ``OSError`` on anything but success."""
    with urllib.request.urlopen(url, timeout=5) as reply:
        return bytes(reply.read())


def post(url: str, body: Mapping[str, Any], token: str | None = None) -> Any:
    """POST JSON and return what came back; raises ``OSError`` on anything but success."""
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **bearer},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=5) as reply:
        return json.loads(reply.read() or b"null")
