"""Settings are checked before anything starts, and secrets do not show."""

from __future__ import annotations

import pytest

from slipway_edge.settings import SettingError, parse

GOOD = {
    "EDGE_BIND": "127.0.0.1:8080",
    "STABLE_ADDR": "bot-stable:8000",
    "CANARY_ADDR": "[::1]:8000",
    "EDGE_TOKEN": "edge-secret",
    "POSTHOG_HOST": "https://eu.i.posthog.com/",
    "POSTHOG_PROJECT_TOKEN": "phc_secret",
    "POSTHOG_SECRET_KEY": "phs_secret",
    "STATE_DIR": "/var/lib/slipway-edge",
}


def test_defaults_are_the_documented_ones() -> None:
    settings = parse(GOOD)
    assert settings.posthog_host == "https://eu.i.posthog.com"
    assert (settings.fast_poll, settings.slow_poll) == (5, 30)
    assert (settings.health_path, settings.release_flag) == ("/healthz", "release-canary")
    assert settings.haproxy_config.is_file()
    # Not 10000: at Render other services, and so other edges, cannot reach that port.
    assert parse({**GOOD, "EDGE_BIND": ""}).edge_bind == "*:8080"
    assert (settings.jwt_claim, settings.seller_path, settings.page_sellers) == (
        "seller_id",
        None,
        None,
    )
    assert (settings.edge_servers, settings.nameservers, settings.edge_threads) == (10, None, None)


def test_nameservers_have_a_port() -> None:
    settings = parse({**GOOD, "NAMESERVERS": "10.0.0.1, 10.0.0.2:5353, [fd00::1]:53"})
    assert settings.nameservers == ("10.0.0.1:53", "10.0.0.2:5353", "[fd00::1]:53")


def test_secrets_are_not_in_the_repr() -> None:
    assert "secret" not in repr(parse(GOOD))


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"EDGE_BIND"}))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        parse({**GOOD, name: " "})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EDGE_BIND", "127.0.0.1"),
        ("STABLE_ADDR", 'x:1" check\n'),
        ("HEALTH_PATH", "/health z"),
        ("WEBHOOK_PATH", "webhooks"),
        ("RELEASE_FLAG", "a b"),
        ("STATE_DIR", "/var/lib/a b"),
        ("STATE_DIR", "/" + "x" * 80),
        ("FAST_POLL", "soon"),
        ("FAST_POLL", "nan"),
        ("EDGE_THREADS", "0"),
        ("EDGE_SERVERS", "0"),
        ("JWT_CLAIM", "a')"),
        ("SELLER_PATH", "/s"),
        ("SELLER_PATH", "s/"),
        ("NAMESERVERS", "dns.example"),
        ("NAMESERVERS", "10.0.0.1;x"),
        ("POSTHOG_HOST", "https://a.example/path"),
        ("PAGE_URL", "hooks.example/a"),
        ("PAGE_URL", "https://user:word@hooks.example/a"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        parse({**GOOD, name: value})


def test_where_pages_go_is_a_secret() -> None:
    settings = parse({**GOOD, "PAGE_URL": "https://hooks.example/T0/secret?x=1"})
    assert settings.page_url == "https://hooks.example/T0/secret?x=1"
    assert "hooks.example" not in repr(settings)
    with pytest.raises(SettingError) as caught:
        parse({**GOOD, "PAGE_URL": "hooks.example/T0/secret"})
    assert "hooks.example" not in str(caught.value)
    assert (parse(GOOD).page_url, parse(GOOD).page_secret) == ("", "")


def test_a_wrong_secret_is_named_but_not_shown() -> None:
    with pytest.raises(SettingError) as caught:
        parse({**GOOD, "POSTHOG_SECRET_KEY": "phs secret"})
    assert "POSTHOG_SECRET_KEY" in str(caught.value)
    assert "phs secret" not in str(caught.value)
