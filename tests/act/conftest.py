"""A shop's repository, the suite as its users get it, and something that answers for Render."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sandbox.act import Act, Request, Run, copy_suite, prepare_users, replacements

ROOT = Path(__file__).parents[2]
SECRETS = {
    "RENDER_API_KEY": "rnd_of-the-shop",
    "POSTHOG_API_KEY": "phx_of-the-shop",
    "EDGE_TOKEN": "edge-of-the-shop",
    "GITHUB_TOKEN": "ghs_of-the-job",
}


@dataclass(slots=True)
class Outside:
    """What answers for Render, PostHog, GitHub, the edge and the registry: always the same."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    images: list[dict[str, Any]] = field(default_factory=list)
    """What the registry was told."""
    asked: list[str] = field(default_factory=list)
    """Method and path of every other request."""

    @property
    def changed(self) -> list[str]:
        """The requests that would have changed something."""
        return [request for request in self.asked if not request.startswith("GET ")]


@pytest.fixture
def outside() -> Iterator[Outside]:
    told = Outside()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = told.status, told.body
            if self.path == "/_sandbox/images":
                told.images.append(json.loads(body))
                status, content = 201, b"{}"
            else:
                told.asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """LiveStreamSell's repository on this machine, and the suite it uses."""

    repository: Path
    suite: Path
    act: Act
    environment: Mapping[str, str]
    probe_file: Path

    @property
    def commit(self) -> str:
        return git(self.repository, "rev-parse", "HEAD")

    def run(
        self,
        workflow: str,
        event: str,
        *,
        inputs: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] = SECRETS,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        workflows = self.repository / ".github/workflows"
        request = Request(
            repository=self.repository,
            workflow=workflow,
            event=event,
            inputs=inputs or {},
            payload={"ref": "refs/heads/main", "repository": {"default_branch": "main"}},
            secrets=secrets,
            variables={"REGISTRY": "registry.sandbox"},
            environment={**self.environment, **(environment or {})},
            replacements=replacements(self.suite, workflows.glob("*.yml")),
        )
        return self.act.run(request, timeout=60)

    def workflow(self, name: str, text: str) -> None:
        """Add a workflow to the shop's repository."""
        (self.repository / ".github/workflows" / name).write_text(text, encoding="utf-8")

    def probe(self) -> None:
        """Put the probe where the suite's package is."""
        shutil.copy(Path(__file__).parent / "probe.py", self.suite / "scripts/slipway/__main__.py")

    def seen(self) -> list[dict[str, Any]]:
        """Return what the probe wrote down, one entry per command that was run."""
        lines = self.probe_file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the suite keeps its Python environment, once for all runs."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def shop(tmp_path: Path, outside: Outside, environments: Path) -> Shop:
    repository = tmp_path / "shop"
    shutil.copytree(ROOT / "examples/livestreamsell", repository)
    prepare_users(repository)
    configure(repository / "slipway.yml", outside)
    build = repository / "bot/build.json"
    build.parent.mkdir()
    build.write_text('{"version": "v2", "behaviour": {"ai_seconds": 0.1}}', encoding="utf-8")
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=The bot, version 2")
    return Shop(
        repository=repository,
        suite=copy_suite(ROOT, tmp_path / "suite"),
        act=Act(tmp_path / "act"),
        environment={
            "SANDBOX_RENDER_URL": outside.url,
            "SLIPWAY_CACHE": str(environments),
            "PROBE_FILE": str(tmp_path / "probe.jsonl"),
            "GITHUB_API_URL": outside.url,
            "GITHUB_REPOSITORY": "livestreamsell/shop",
        },
        probe_file=tmp_path / "probe.jsonl",
    )


def configure(file: Path, outside: Outside) -> None:
    """Point a slipway.yml at ``outside`` for everything."""
    text = file.read_text(encoding="utf-8")
    for host in ("https://eu.posthog.com", "https://bot.livestreamsell.example"):
        text = text.replace(host, outside.url)
    text += f"\nrender:\n  api-url: {outside.url}\n  poll: 100ms\n"
    file.write_text(text, encoding="utf-8")


def git(repository: Path, *arguments: str) -> str:
    """Run git as nobody in particular, and return what it printed."""
    identity = ["-c", "user.name=Ana", "-c", "user.email=ana@livestreamsell.example"]
    command = ["git", "-C", str(repository), *identity, "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()
