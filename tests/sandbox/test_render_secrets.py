"""Which secrets a build that comes back runs with, where they were changed since."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slipway.clients.browser import HttpBrowser
from slipway.clients.clock import SystemClock
from slipway.clients.kept import KeptProber
from slipway.clients.probe import HttpProber
from slipway.clients.render import Render
from slipway.clients.webhooks import HttpWebhooks
from slipway.config import Webhook
from slipway.ports import MetaKeys
from slipway.release.deploys import Ports, live
from slipway.release.goback import RESTORED, go_back
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.release.webhook_probes import ProbeSet, Said
from tests.sandbox.render_support import BOT, KEY, Sandbox, reference, running
from tests.unit.open_gate import OpenGate

OLD, NEW = "secret", "the-secret-of-now"


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, version: str) -> str:
    file = repository / "bot" / "build.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'{{"version": "{version}"}}')
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", version)
    return git(repository, "rev-parse", "HEAD")


@contextmanager
def sandbox_of(directory: Path, *, from_git: bool) -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """A bot, and the body that deploys its second build."""
    if not from_git:
        with running(directory) as sandbox:
            yield sandbox, {"imageUrl": reference(2)}
        return
    repository = directory / "repository"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    first, second = (commit(repository, version) for version in ("v1", "v2"))
    of_git = {"runtime": "python", "repo": str(repository), "rootDir": "bot", "history": [first]}
    with running(directory, bot={**of_git, "image": None}) as sandbox:
        yield sandbox, {"commitId": second}


def ports_of(sandbox: Sandbox) -> Ports:
    clock = SystemClock()
    return Ports(
        platform=Render(KEY, base_url=f"{sandbox.url}/v1"),
        prober=HttpProber(),
        kept=KeptProber(),
        browser=HttpBrowser(),
        clock=clock,
        journal=Journal(clock),
        ledger=Ledger(lambda: None, "production/bot"),
        gate=OpenGate(),
        poll=0.1,
        confirm=0.3,
    )


def takes_what_is_signed_with(secret: str, sandbox: Sandbox) -> bool:
    url = f"{sandbox.services[BOT]}/webhooks/meta"
    keys = MetaKeys(secret=secret, token="token")
    probes = ProbeSet(HttpWebhooks(), keys, Webhook(), url, release="r", clock=SystemClock())
    return all(probed.said is Said.GOOD for probed in probes.delivery())


@pytest.mark.parametrize("from_git", [False, True], ids=["image", "git"])
def test_an_image_that_comes_back_has_the_secrets_of_now_and_a_rollback_of_git_those_of_then(
    tmp_path: Path, *, from_git: bool
) -> None:
    with sandbox_of(tmp_path, from_git=from_git) as (sandbox, second):
        ports = ports_of(sandbox)
        before = live(ports.platform.deploys(BOT))
        assert before is not None
        assert takes_what_is_signed_with(OLD, sandbox)

        path = f"/v1/services/{BOT}/env-vars/META_APP_SECRET"
        assert sandbox.client.put(path, json={"value": NEW}).is_success
        answer = sandbox.post(f"/services/{BOT}/deploys", **second)
        sandbox.until(answer.json()["id"], "live")
        assert takes_what_is_signed_with(NEW, sandbox)

        back = go_back(ports, BOT, before, image_backed=not from_git, deadline=20)
        assert back.identity == before.identity
        assert takes_what_is_signed_with(NEW, sandbox) is not from_git
        assert takes_what_is_signed_with(OLD, sandbox) is from_git
        said = [entry.text for entry in ports.journal.entries]
        assert (RESTORED in said) is from_git
