"""Every line that `slipway runbook` prints, as it is printed, against services that really run."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.demo.world import World, post
from tests.end_to_end.conftest import Shop, get, secrets_of
from tests.end_to_end.test_release import FAST
from tests.end_to_end.test_stop import WITHIN, environment, flag

GATEWAY = "pay-by-card"


def lines_of(page: Path) -> list[str]:
    return re.findall(r"(?ms)^```bash\n(.*?)^```$", page.read_text(encoding="utf-8"))


def run_as_printed(shop: Shop, line: str, **more: str) -> None:
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        env={**environment(shop), **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, line + said
    assert not any(secret in said for secret in secrets_of(shop.world))


def printed(shop: Shop, page: Path, **how: Any) -> list[str]:
    job = shop.run("runbook", output=str(page), **how)
    assert job.exit_code == 0, job.log
    assert not any(secret in page.read_text(encoding="utf-8") for secret in secrets_of(shop.world))
    return lines_of(page)


def gateway(world: World, key: str) -> None:
    at = f"{world.url('posthog')}/api/projects/12345/feature_flags/"
    groups = [{"properties": [], "rollout_percentage": 100}]
    post(at, {"key": key, "active": True, "filters": {"groups": groups}}, world.keys.posthog)


@pytest.mark.parametrize("named", [True, False])
def test_a_gateway_goes_off_and_keeps_its_groups(steady: Shop, tmp_path: Path, named: bool) -> None:
    key = f"{GATEWAY}-{'named' if named else 'any'}"
    gateway(steady.world, key)
    page = tmp_path / "runbook.md"
    lines = printed(steady, page, flags=key) if named else printed(steady, page)
    (line,) = [one for one in lines if "--keep-filters" in one]
    assert flag(steady, key)["active"] is True
    run_as_printed(steady, line, **({} if named else {"FLAG": key}))
    after = flag(steady, key)
    assert after["active"] is False
    assert after["filters"]["groups"][0]["rollout_percentage"] == 100  # type: ignore[index]


def test_every_line_back_brings_the_build_that_it_names(steady: Shop, tmp_path: Path) -> None:
    stable = steady.world.service_id("bot")
    image, commit = steady.push_image("good", {})
    released = steady.run("release", settings=FAST, image=image, commit=commit)
    assert released.outputs["result"] == "promoted", released.log
    page = tmp_path / "runbook.md"
    lines = [line for line in printed(steady, page) if f"/services/{stable}/" in line]
    assert lines
    # The newest that served last: the shop must end on the build it began on.
    for line in reversed(lines):
        (digest,) = re.findall(r"@sha256:([0-9a-f]{64})", line)
        run_as_printed(steady, line)
        await_live(steady, stable, f"sha256:{digest}")


def test_what_render_has_built_goes_back_by_the_printed_line_and_forth_by_the_next(
    steady: Shop, tmp_path: Path
) -> None:
    site = steady.world.service_id("dashboard")
    settings = {"services.dashboard.stable": {"service": site}, "services.dashboard.staging": None}
    first = live(steady, site)
    for number in range(2):  # there and back again: others use it too
        page = tmp_path / f"runbook-{number}.md"
        (line, *_) = printed(steady, page, settings=settings, service="dashboard")
        assert f"/services/{site}/rollback" in line
        run_as_printed(steady, line)
        there = live_soon(steady, site, live_before=first if number == 0 else "")
        assert (there == first) is (number == 1)


def live_soon(shop: Shop, service: str, live_before: str) -> str:
    until = time.monotonic() + WITHIN
    while (now := live(shop, service)) == live_before or running_deploys(shop, service):
        assert time.monotonic() < until
        time.sleep(0.3)
    return now


def running_deploys(shop: Shop, service: str) -> bool:
    return any(one["status"].endswith(("in_progress", "created")) for one in deploys(shop, service))


def await_live(shop: Shop, service: str, identity: str) -> None:
    until = time.monotonic() + WITHIN
    while live(shop, service) != identity:
        assert time.monotonic() < until, f"{identity} is not live: {live(shop, service)}"
        time.sleep(0.3)
    while len(shop.state()["serving"].get(service, ())) != 1:  # the old instances drain
        assert time.monotonic() < until
        time.sleep(0.3)


def live(shop: Shop, service: str) -> str:
    """Return the digest, or the commit, of the live deploy."""
    for one in deploys(shop, service):
        if one["status"] == "live":
            return str(one["image"]["sha"] if one.get("image") else one["commit"]["id"])
    return ""


def deploys(shop: Shop, service: str) -> list[dict[str, Any]]:
    at = f"{shop.world.url('render')}/v1/services/{service}/deploys?limit=20"
    return [item["deploy"] for item in get(at, shop.world.keys.render)]
