"""The sample application: what Meta, a probe and a scraper see of one instance."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.livestreamsell.dashboard import asset_name
from sandbox.livestreamsell.meta import signature
from sandbox.livestreamsell.provider import Provider
from sandbox.livestreamsell.settings import Behaviour
from sandbox.serving import running as serving
from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.probe import HttpProber
from slipway.clients.webhooks import HttpWebhooks
from slipway.ports import MetaKeys
from slipway.release.webhook_probes import ProbeSet, Said
from tests.sandbox.render_support import PLAIN, ROOT, eventually

BUILD = "c" * 40
SECRET = "app-secret"
BODY = b'{"object": "page", "entry": [{"id": "1"}]}'


@contextlib.contextmanager
def instance(app: str, **environment: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """Run one instance of ``app``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.livestreamsell", app, "--port", "0"],
        cwd=ROOT,
        env={
            **os.environ,
            "BUILD": BUILD,
            "VERSION": "v7",
            "INSTANCE": "srv-x-y",
            "META_APP_SECRET": SECRET,
            "META_VERIFY_TOKEN": "token",
            **environment,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().split()[-1]
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False, verify=PLAIN
        ) as client:
            yield client, process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module")
def bot() -> Iterator[httpx.Client]:
    """A bot whose AI takes 0.15 to 0.45 seconds, where more than 0.1 is slow."""
    with instance("bot", AI_SECONDS="0.3", SLOW_SECONDS="0.1") as (client, _):
        yield client


def deliver(client: httpx.Client, body: bytes = BODY, signed: bytes = BODY) -> httpx.Response:
    """Deliver ``body`` as Meta would, with the signature of ``signed``."""
    headers = {"X-Hub-Signature-256": signature(SECRET, signed)}
    return client.post("/webhooks/meta", content=body, headers=headers)


def counted(client: httpx.Client, name: str) -> dict[str, float]:
    """Return a counter by its ``slow`` label."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [each for family in families for each in family.samples if each.name == name]
    assert all(each.labels["build"] == BUILD for each in samples)
    return {each.labels["slow"]: each.value for each in samples}


@pytest.mark.parametrize("app", ["bot", "dashboard"])
def test_the_smoke_probes_of_the_example_are_answered_as_they_say(app: str) -> None:
    staging = config.load(ROOT / "examples/livestreamsell/slipway.yml").services[app].staging
    assert staging
    assert staging.smoke
    with instance(app) as (client, _):
        for probe in staging.smoke:
            answer = HttpProber().probe(
                str(client.base_url).rstrip("/") + probe.path, timeout=5, text=probe.contains
            )
            assert (answer.status, answer.holds in (True, None)) == (probe.status, True)


def test_every_answer_names_its_build_and_its_instance(bot: httpx.Client) -> None:
    for path in ("/", "/healthz", "/metrics", "/api/orders", "/no/such/page"):
        headers = bot.get(path).headers
        assert (headers["x-build"], headers["x-instance"]) == (BUILD, "srv-x-y")
    assert bot.get("/healthz").json() == {
        "build": BUILD,
        "version": "v7",
        "service": "bot",
        "instance": "srv-x-y",
    }


def test_the_seller_is_named_in_the_body(bot: httpx.Client) -> None:
    assert bot.get("/api/orders", headers={"X-Seller-Id": "s-1"}).json()["seller"] == "s-1"


def test_a_webhook_is_acknowledged_at_once_and_counted_when_the_ai_has_answered(
    bot: httpx.Client,
) -> None:
    before = counted(bot, "bot_replies_total")
    assert set(before) == {"true", "false"}
    started = time.monotonic()
    assert deliver(bot).status_code == 200
    assert time.monotonic() - started < 0.14  # the AI takes 0.15 seconds at least
    assert counted(bot, "bot_replies_total") == before
    expected = {**before, "true": before["true"] + 1}
    eventually(lambda: counted(bot, "bot_replies_total") == expected, 3)
    assert counted(bot, "ai_calls_total") == expected


def test_a_fast_reply_is_not_slow() -> None:
    with instance("bot") as (client, _):
        deliver(client)
        eventually(lambda: counted(client, "bot_replies_total")["false"] == 1, 3)
        assert counted(client, "bot_replies_total")["true"] == 0
        page = client.get("/metrics").text
        assert 'bot_reply_seconds_bucket{build="' + BUILD + '",le="30.0"} 1.0' in page


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": signature("another secret", BODY)},
        {"X-Hub-Signature-256": signature(SECRET, BODY).removeprefix("sha256=")},
    ],
)
def test_a_webhook_that_meta_did_not_sign_is_refused(
    bot: httpx.Client, headers: dict[str, str]
) -> None:
    assert bot.post("/webhooks/meta", content=BODY, headers=headers).status_code == 401


def test_a_webhook_that_was_changed_on_the_way_is_refused(bot: httpx.Client) -> None:
    assert deliver(bot, body=BODY + b" ").status_code == 401


def test_metas_handshake_is_answered_with_its_challenge(bot: httpx.Client) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "4711"}
    assert bot.get("/webhooks/meta", params=query).text == "4711"
    for wrong in ({"hub.verify_token": "no"}, {"hub.mode": "unsubscribe"}):
        assert bot.get("/webhooks/meta", params={**query, **wrong}).status_code == 403


def message(mid: str) -> bytes:
    """Return what Meta delivers about one message."""
    event = {"sender": {"id": "7"}, "message": {"mid": mid}}
    return json.dumps({"object": "page", "entry": [{"id": "1", "messaging": [event]}]}).encode()


def kinds(client: httpx.Client) -> dict[str, float]:
    """Return how many deliveries of each kind were believed."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [each for family in families for each in family.samples]
    return {s.labels["kind"]: s.value for s in samples if s.name == "deliveries_total"}


def test_what_meta_delivers_twice_has_one_effect_and_a_probe_has_none() -> None:
    with instance("bot") as (client, _):
        for mid in ("m1", "m1", "deploy-probe-1", "deploy-probe-1", "m2"):
            assert deliver(client, message(mid), message(mid)).status_code == 200
        assert kinds(client) == {"new": 2, "probe": 1, "duplicate": 2}
        eventually(lambda: counted(client, "ai_calls_total")["false"] == 2, 3)


def test_a_build_can_forget_what_was_delivered() -> None:
    with instance("bot", **misbehaving(forgets_duplicates=True)) as (client, _):
        for _ in range(2):
            deliver(client, message("m1"), message("m1"))
        assert kinds(client)["new"] == 2


@pytest.mark.parametrize(
    ("behaviour", "bad"),
    [
        ({}, set()),
        ({"wrong_secret": True}, {"signed delivery"}),
        ({"reserializes": True}, {"signed delivery"}),
        ({"takes_unsigned": True}, {"delivery that is not signed"}),
        ({"challenge_as_json": True}, {"handshake"}),
    ],
)
def test_the_probes_of_a_webhook_find_what_is_wrong_with_a_build(
    behaviour: dict[str, Any], bad: set[str]
) -> None:
    with instance("bot", **misbehaving(**behaviour)) as (client, _):
        probes = ProbeSet(
            HttpWebhooks(),
            MetaKeys(secret=SECRET, token="token"),
            config.Webhook(),
            str(client.base_url).rstrip("/") + "/webhooks/meta",
            release="77.1",
            clock=SystemClock(),
        )
        found = [probes.handshake(), *probes.delivery(), *probes.forgeries()]
        assert {probed.asked for probed in found if probed.said is not Said.GOOD} == bad
        assert {probed.build for probed in found} == {BUILD}
        assert kinds(client)["new"] == 0


def misbehaving(**behaviour: Any) -> dict[str, str]:
    """Return the environment of a build that behaves so."""
    return {"BEHAVIOUR": json.dumps(behaviour)}


def test_the_dashboard_loads_a_script_named_by_its_hash_and_keeps_those_before_it() -> None:
    with instance("dashboard") as (client, _):
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert BUILD in page.text
        assert f'src="/assets/{asset_name("v7")}"' in page.text
        script = client.get(f"/assets/{asset_name('v7')}")
        assert hashlib.sha256(script.content).hexdigest()[:12] in asset_name("v7")
        assert "immutable" in script.headers["cache-control"]
        assert client.get(f"/assets/{asset_name('v6')}").status_code == 200
        assert client.get(f"/assets/{asset_name('v8')}").status_code == 404


def test_a_dashboard_can_forget_the_scripts_before_it() -> None:
    with instance("dashboard", **misbehaving(forgets_assets=True)) as (client, _):
        assert client.get(f"/assets/{asset_name('v7')}").status_code == 200
        assert client.get(f"/assets/{asset_name('v6')}").status_code == 404


def test_a_broken_build_fails_requests_but_not_its_health_check() -> None:
    with instance("bot", **misbehaving(error_rate=0.5)) as (client, _):
        statuses = [client.get("/api/orders").status_code for _ in range(60)]
        assert set(statuses) == {200, 500}
        assert {client.get("/healthz").status_code for _ in range(10)} == {200}


@pytest.mark.parametrize(("needed", "status"), [("BUILD", 200), ("NOWHERE", 503)])
def test_a_build_can_need_a_setting_that_an_environment_lacks(needed: str, status: int) -> None:
    with instance("dashboard", **misbehaving(needs=needed)) as (client, _):
        assert client.get("/healthz").status_code == status


def test_a_build_can_be_unhealthy_and_can_crash() -> None:
    with instance("bot", **misbehaving(unhealthy=True, crash_after=0.6)) as (client, process):
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["build"]) == (503, BUILD)
        assert process.wait(5) == 1


def test_a_misspelt_behaviour_is_not_ignored() -> None:
    with pytest.raises(TypeError, match="eror_rate"):
        Behaviour.parse({"eror_rate": 1})


def test_an_ending_instance_finishes_its_requests_and_its_replies() -> None:
    with instance("bot", AI_SECONDS="1.5") as (client, process):
        client.get("/healthz")
        host, port = client.base_url.host, client.base_url.port
        with socket.create_connection((host, port or 0), timeout=5) as slow:
            head = f"POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\n"
            slow.sendall(head.encode() + b"12345")
            time.sleep(0.1)
            assert deliver(client).status_code == 200
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            # It still answers whoever has not heard of its end, and says goodbye.
            late = client.get("/api/orders")
            assert (late.status_code, late.headers["connection"]) == (200, "close")
            slow.sendall(b"67890")
            answer = b"".join(iter(lambda: slow.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 200 ")
        assert process.wait(5) == 0


def test_a_leak_shows_after_a_while() -> None:
    with instance("bot", **misbehaving(error_rate=1, errors_after=1.5)) as (client, _):
        assert client.get("/api/orders").status_code == 200
        eventually(lambda: client.get("/api/orders").status_code == 500, 4)
        assert client.get("/api/orders").status_code == 500
        assert client.get("/healthz").status_code == 200


def test_a_pool_that_is_too_small_fails_under_load_and_recovers() -> None:
    with instance("bot", **misbehaving(error_rate=1, errors_above=10)) as (client, _):
        statuses = [client.get("/api/orders").status_code for _ in range(40)]
        assert statuses == [200] * 20 + [500] * 20  # more than 20 within two seconds
        time.sleep(2.1)
        assert client.get("/api/orders").status_code == 200


@contextlib.contextmanager
def provider(seconds: float) -> Iterator[str]:
    """Run the AI's provider; return its address."""
    with serving(Provider(seconds).app()) as url:
        yield url


def order(url: str, what: str, **body: Any) -> int:
    """Have a provider change, and return how it answered."""
    told = httpx.post(f"{url}/_sandbox/{what}", json=body, trust_env=False, verify=PLAIN)
    return told.status_code


def answers(client: httpx.Client, status: int) -> bool:
    return client.get("/api/orders").status_code == status


def slow(client: httpx.Client, name: str) -> tuple[float, float]:
    """Return how many there were, and how many of them were slow."""
    counts = counted(client, f"{name}_total")
    return sum(counts.values()), counts["true"]


def test_a_call_of_the_ai_takes_as_long_as_the_provider_and_the_build_need() -> None:
    with (
        provider(0.02) as url,
        instance("bot", AI_PROVIDER_URL=url, SLOW_SECONDS="0.4") as (good, _),
        instance("bot", AI_PROVIDER_URL=url, SLOW_SECONDS="0.4", **misbehaving(ai_seconds=0.5)) as (
            bad,
            _,
        ),
    ):
        for client in (good, bad):
            deliver(client)
        eventually(lambda: slow(good, "ai_calls") == (1, 0))
        eventually(lambda: slow(bad, "ai_calls") == (1, 1))
        assert order(url, "pace", seconds=1.0) == 200
        deliver(good)
        eventually(lambda: slow(good, "ai_calls") == (2, 1))
        eventually(lambda: slow(good, "bot_replies") == (2, 1))


def test_a_slow_bot_replies_late_though_meta_and_the_ai_are_answered_at_once() -> None:
    limits = {"SLOW_SECONDS": "0.3", "REPLY_SLOW_SECONDS": "0.5"}
    with (
        provider(0.02) as url,
        instance("bot", AI_PROVIDER_URL=url, **limits, **misbehaving(reply_delay=0.6)) as (bot, _),
    ):
        started = time.monotonic()
        assert deliver(bot).status_code == 200
        assert time.monotonic() - started < 0.5
        eventually(lambda: slow(bot, "bot_replies") == (1, 1))
        assert slow(bot, "ai_calls") == (1, 0)


def test_a_reply_is_slow_by_a_limit_of_its_own() -> None:
    limits = {"SLOW_SECONDS": "0.1", "REPLY_SLOW_SECONDS": "5"}
    with instance("bot", AI_SECONDS="0.3", **limits) as (bot, _):
        deliver(bot)
        eventually(lambda: slow(bot, "bot_replies") == (1, 0))
        assert slow(bot, "ai_calls") == (1, 1)


def test_where_the_store_fails_every_build_fails_as_often_until_it_is_back() -> None:
    with (
        provider(0.02) as url,
        instance("bot", AI_PROVIDER_URL=url) as (one, _),
        instance("bot", AI_PROVIDER_URL=url) as (other, _),
    ):
        for rate, status in ((1, 500), (0, 200)):
            assert order(url, "store", error_rate=rate) == 200
            for client in (one, other):
                eventually(partial(answers, client, status), 3)
                assert client.get("/healthz").status_code == 200


def test_where_a_part_of_the_store_fails_only_the_build_that_uses_it_is_sick() -> None:
    uses = json.dumps({"part": "wishlists"})
    with (
        provider(0.02) as url,
        instance("bot", AI_PROVIDER_URL=url) as (old, _),
        instance("bot", AI_PROVIDER_URL=url, BEHAVIOUR=uses) as (new, _),
    ):
        assert order(url, "store", error_rate=1, part="wishlists") == 200
        eventually(partial(answers, new, 500), 3)
        assert new.get("/healthz").status_code == 503
        assert answers(old, 200)
        assert old.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("what", "body"),
    [("store", {"error_rate": 1.1}), ("store", {"rate": 1}), ("pace", {"seconds": "soon"})],
)
def test_a_provider_refuses_what_it_cannot_do(what: str, body: dict[str, Any]) -> None:
    with provider(0.02) as url:
        assert order(url, what, **body) == 400
