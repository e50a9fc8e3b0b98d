"""What a set of probes of Meta's webhook comes to: bad, held, or nothing against it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import Held, SlipwayError, Tripped
from slipway.ports import MetaKeys, Reply
from slipway.release import webhook
from slipway.release.deliveries import body_of
from slipway.release.deploys import Ports
from slipway.release.guards import Look
from slipway.release.journal import Kind
from slipway.release.webhook import WebhookGuard
from tests.unit.builds import commit_of
from tests.unit.world import World, settings
from tests.unit.world_webhook import (
    DELIVERY,
    HANDSHAKE,
    KEYS,
    MUST_REFUSE,
    MUST_TAKE,
    TAMPERED,
    App,
    reply,
)

URL = "https://srv-canary.example"
BUILD, OLD = commit_of("v2"), commit_of("v1")


def ports_for(app: App, keys: MetaKeys = KEYS) -> Ports:
    return replace(World().ports(), webhooks=app, meta=keys)


def guard_of(
    app: App,
    *,
    own: bool = True,
    build: str | None = BUILD,
    ports: Ports | None = None,
    **told: Any,
) -> WebhookGuard:
    ports = ports or ports_for(app)
    found = webhook.at(ports, settings(webhook=told), URL, release="77.1-v2", build=build, own=own)
    assert found is not None
    return WebhookGuard(found, ports.journal.trouble)


def looks(guard: WebhookGuard, count: int) -> list[Look]:
    return [guard.look() for _ in range(count)]


def require(app: App, ports: Ports | None = None, **told: Any) -> Ports:
    ports = ports or ports_for(app)
    webhook.require(ports, settings(webhook=told), f"{URL}/healthz", build=BUILD, release="77.1-v2")
    return ports


def troubles(ports: Ports) -> list[str]:
    return [entry.text for entry in ports.journal.entries if entry.kind is Kind.TROUBLE]


# What is asked


def test_a_good_application_is_asked_everything_and_nothing_is_held_against_it() -> None:
    app = App()
    assert guard_of(app).look() == Look()
    assert app.asked == [HANDSHAKE, DELIVERY, DELIVERY, *MUST_REFUSE]
    assert set(app.urls) == {f"{URL}/webhooks/meta"}


def test_the_same_delivery_comes_twice_and_every_other_has_an_id_of_its_own() -> None:
    app = App()
    guard = guard_of(app)
    looks(guard, 2)
    assert app.mids[0] == app.mids[1]
    assert len(set(app.mids)) == len(app.mids) - 2
    assert all(mid.startswith("deploy-probe-77.1-v2-") for mid in app.mids)


@pytest.mark.parametrize("about", ["page", "instagram", "user", "whatsapp_business_account"])
def test_a_delivery_is_of_the_reserved_entry_and_changes_when_it_is_written_anew(
    about: str,
) -> None:
    body = body_of(about, "deploy-probe-1", 1_700_000_000)
    told = json.loads(body)
    assert (told["object"], told["entry"][0]["id"]) == (about, "0")
    assert b"\\u00e9" in body
    assert b"deploy-probe-1" in body
    for ascii_only in (True, False):
        for separators in (None, (",", ":")):
            again = json.dumps(told, ensure_ascii=ascii_only, separators=separators)
            assert again.encode() != body


def test_each_challenge_is_another() -> None:
    app, seen = App(), list[Reply]()

    class Kept(App):
        def get(self, url: str, query: Any, *, timeout: float) -> Reply:
            answer = app.get(url, query, timeout=timeout)
            seen.append(replace(answer, body=query["hub.challenge"].encode()))
            return answer

    looks(guard_of(Kept()), 3)
    assert len({each.body for each in seen}) == 6


# What must be taken


@pytest.mark.parametrize("app", [App(secret="another"), App(reserializes=True)])
def test_a_build_that_refuses_what_meta_signs_is_bad_after_three_times(app: App) -> None:
    found = looks(guard_of(app), 3)
    assert [look.trip is None for look in found] == [True, True, False]
    assert all(look.hold for look in found[:2])
    assert "signed delivery: expected HTTP 200 within 5 s, found HTTP 401" in str(found[2].trip)
    assert str(found[2].trip).endswith("3 times in a row")


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b'"{challenge}"'),
        reply(200, b"<p>1</p>"),
        reply(204),
        reply(302),
        reply(403),
        reply(500),
        reply(None),
    ],
)
def test_a_handshake_that_is_not_exactly_the_challenge_is_bad_after_three_times(
    answer: Reply,
) -> None:
    found = looks(guard_of(App(says={HANDSHAKE: answer})), 3)
    assert [look.trip is None for look in found] == [True, True, False]


def test_a_challenge_with_a_line_end_is_another_body() -> None:
    class Lines(App):
        def get(self, url: str, query: Any, *, timeout: float) -> Reply:
            answer = super().get(url, query, timeout=timeout)
            return replace(answer, body=answer.body + b"\n")

    look = guard_of(Lines()).look()
    assert look.hold is not None
    assert "another body than the challenge" in look.hold


@pytest.mark.parametrize("status", [201, 202, 204, 301, 401, 500, 503, None])
def test_a_delivery_counts_as_taken_only_with_200(status: int | None) -> None:
    (look,) = looks(guard_of(App(says={DELIVERY: reply(status)}), failures=1), 1)
    assert isinstance(look.trip, Tripped)


def test_a_delivery_that_fails_the_second_time_is_not_taken() -> None:
    answers = [reply(200), reply(500)]
    app = App(says={DELIVERY: lambda: answers.pop(0)})
    look = guard_of(app, failures=1).look()
    assert look.trip is not None
    assert "the same delivery again" in look.trip.found


def test_a_good_answer_begins_the_count_anew() -> None:
    answers = [reply(s) for s in (500, 500, 200, 200, 500, 500, 200, 200)]
    app = App(says={DELIVERY: lambda: answers.pop(0)})
    assert all(look.trip is None for look in looks(guard_of(app), 6))


def test_no_answer_and_a_wrong_answer_are_counted_apart() -> None:
    answers = [reply(s) for s in (500, None, 500, None, 500, 500, 500)]
    app = App(says={HANDSHAKE: lambda: answers.pop(0)})
    found = looks(guard_of(app), 7)
    assert [look.trip is None for look in found] == [True] * 6 + [False]


def test_a_slow_delivery_is_told_once_and_is_not_bad() -> None:
    app = App(says={DELIVERY: reply(200, seconds=1.4)})
    ports = ports_for(app)
    assert looks(guard_of(app, ports=ports), 3) == [Look()] * 3
    (told,) = [text for text in troubles(ports) if "signed delivery" in text]
    assert "1.4 s" in told


# What must be refused


@pytest.mark.parametrize("kind", MUST_REFUSE)
@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_forgery_that_is_taken_once_is_bad_at_once(kind: str, status: int) -> None:
    look = guard_of(App(says={kind: reply(status)})).look()
    assert isinstance(look.trip, Tripped)
    assert f"HTTP {status}" in look.trip.found


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_a_challenge_that_comes_back_for_a_wrong_token_is_bad_whatever_the_status(
    status: int,
) -> None:
    class Echoes(App):
        def get(self, url: str, query: Any, *, timeout: float) -> Reply:
            wrong = query["hub.verify_token"] != KEYS.token
            said = super().get(url, query, timeout=timeout)
            told = f"no: {query['hub.challenge']}".encode()
            return reply(status, told) if wrong else said

    look = guard_of(Echoes()).look()
    assert look.trip is not None
    assert "with the challenge in it" in look.trip.found


@pytest.mark.parametrize("kind", MUST_REFUSE)
@pytest.mark.parametrize("status", [None, 301, 408, 425, 429, 500, 502, 503])
def test_what_neither_takes_nor_refuses_a_forgery_holds(kind: str, status: int | None) -> None:
    look = guard_of(App(says={kind: reply(status)})).look()
    assert look.trip is None
    assert look.hold is not None


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_any_clear_refusal_will_do(status: int) -> None:
    assert guard_of(App(says=dict.fromkeys(MUST_REFUSE, reply(status)))).look() == Look()


def test_a_forgery_that_was_taken_stays_bad_when_it_is_refused_later() -> None:
    answers = [reply(200), *[reply(401)] * 5]
    guard = guard_of(App(says={TAMPERED: lambda: answers.pop(0)}))
    assert all(look.trip is not None for look in looks(guard, 4))


STATUSES = st.sampled_from([None, 200, 204, 302, 400, 401, 403, 404, 429, 500, 503])


@given(
    taken=st.lists(STATUSES, max_size=12),
    forged=st.lists(st.tuples(st.sampled_from(MUST_REFUSE), STATUSES), max_size=12),
    own=st.booleans(),
)
def test_no_order_of_answers_makes_a_pass_of_a_forgery_that_was_taken(
    taken: list[int | None], forged: list[tuple[str, int | None]], own: bool
) -> None:
    app = App(build=None if own else BUILD)
    accepted: list[int] = []

    def next_taken() -> Reply:
        return reply(taken.pop(0)) if taken else reply(200)

    def next_forged(kind: str) -> Callable[[], Reply]:
        def answer() -> Reply:
            status = forged.pop(0)[1] if forged and forged[0][0] == kind else 401
            if status is not None and 200 <= status < 300:
                accepted.append(status)
            return reply(status)

        return answer

    app.says = {DELIVERY: next_taken, **{kind: next_forged(kind) for kind in MUST_REFUSE}}
    guard = guard_of(app, own=own)
    for _ in range(16):
        look = guard.look()
        if accepted:
            assert look.trip is not None
        if look.trip is None and look.hold is None:
            # What passes was taken and refused as it must be, all of it, in this very look.
            assert [probed.said.value for probed in guard.last] == ["good"] * 7


# Whose answers they are


def test_answers_of_the_build_before_at_the_public_address_are_told_and_not_blamed() -> None:
    app = App(secret="another", build=OLD)
    ports = ports_for(app)
    assert looks(guard_of(app, own=False, ports=ports), 5) == [Look()] * 5
    assert any("from another build than the candidate" in text for text in troubles(ports))


def test_answers_of_the_candidate_at_the_public_address_are_blamed() -> None:
    app = App(secret="another", build=BUILD)
    assert looks(guard_of(app, own=False), 3)[-1].trip is not None


def test_a_good_answer_of_the_build_before_does_not_end_the_candidates_streak() -> None:
    bad, good = replace(reply(500), build=BUILD), replace(reply(200), build=OLD)
    answers = [bad, good, good, bad, good, good, bad]
    app = App(says={DELIVERY: lambda: answers.pop(0)}, build=OLD)
    found = looks(guard_of(app, own=False), 5)
    assert [look.trip is None for look in found] == [True] * 4 + [False]


@pytest.mark.parametrize("kind", [*MUST_TAKE, *MUST_REFUSE])
def test_where_nobody_says_which_build_answered_in_public_it_holds(kind: str) -> None:
    wrong = reply(500) if kind in MUST_TAKE else reply(200)
    for build in (BUILD, None):
        app = App(says={kind: wrong})
        found = looks(guard_of(app, own=False, build=build), 4)
        assert all(look.trip is None and look.hold for look in found)


# One whole set before anybody is on it


def test_a_candidate_that_is_good_passes_the_gate_and_it_is_said() -> None:
    app = App()
    ports = require(app)
    assert app.asked == [HANDSHAKE, DELIVERY, DELIVERY, *MUST_REFUSE]
    assert [e.text for e in ports.journal.entries if e.kind is Kind.GATE] == [
        f"{URL}/webhooks/meta takes what Meta would send and refuses what it would not: 7 probes"
    ]


def test_a_cold_start_is_waited_for_and_a_forgery_is_asked_once_even_then() -> None:
    answers = [reply(None), reply(503), *[reply(200)] * 2]
    app = App(says={DELIVERY: lambda: answers.pop(0)})
    require(app)
    assert app.asked.count(DELIVERY) == 4
    assert [app.asked.count(kind) for kind in MUST_REFUSE] == [1] * 4


def test_a_wrong_secret_is_bad_before_anybody_is_on_it() -> None:
    app = App(secret="another")
    with pytest.raises(Tripped, match="3 times in a row"):
        require(app)
    assert not set(MUST_REFUSE) & set(app.asked)


@pytest.mark.parametrize("kind", MUST_REFUSE)
def test_a_forgery_that_is_taken_is_bad_before_anybody_is_on_it(kind: str) -> None:
    with pytest.raises(Tripped):
        require(App(says={kind: reply(200)}))


@pytest.mark.parametrize("kind", MUST_REFUSE)
def test_an_unclear_answer_to_a_forgery_is_not_asked_again_until_it_is_good(kind: str) -> None:
    answers = [reply(503), *[reply(401)] * 5]
    app = App(says={kind: lambda: answers.pop(0)})
    with pytest.raises(Held, match="could not be judged"):
        require(app)
    assert app.asked.count(kind) == 1


def test_another_build_on_the_candidates_own_address_is_waited_for_and_then_holds() -> None:
    with pytest.raises(Held, match="another build answered"):
        require(App(build=OLD))


@pytest.mark.parametrize("status", [200, 401])
def test_a_forgery_that_another_build_answered_says_nothing_of_the_candidate(status: int) -> None:
    with pytest.raises(Held, match="another build answered the signed delivery with one byte"):
        require(App(says={TAMPERED: replace(reply(status), build=OLD)}))


def test_a_wait_keeps_alive_what_has_to_be() -> None:
    ports, beats = ports_for(App(secret="another")), list[float]()
    with pytest.raises(Tripped):
        webhook.require(
            ports,
            settings(webhook={}),
            f"{URL}/healthz",
            build=BUILD,
            release="r",
            pulse=lambda: beats.append(ports.clock.monotonic()),
        )
    assert len(beats) >= 6


def test_where_it_is_only_observed_it_is_noted() -> None:
    ports = replace(ports_for(App(secret="another")), observe=True)
    require(App(), ports)
    assert len(ports.journal.would_have) == 1


def test_without_a_webhook_nothing_is_asked() -> None:
    app = App()
    webhook.require(ports_for(app), settings(), f"{URL}/healthz", build=BUILD, release="r")
    assert app.asked == []


# Secrets


@pytest.mark.parametrize("kind", [*MUST_TAKE, *MUST_REFUSE])
def test_no_secret_is_in_what_is_told(kind: str) -> None:
    leaky = Reply(status=None, body=b"", seconds=1, error=f"cut: ?t={KEYS.token}&s={KEYS.secret}")
    app = App(says={kind: leaky})
    ports, told = ports_for(app), list[str]()
    for build in (BUILD, None):
        guard = guard_of(app, ports=ports, build=build)
        for look in looks(guard, 4):
            told += [look.hold or "", look.trip.found if look.trip else ""]
            told += [look.trip.remedy if look.trip else "", repr(guard.last)]
    try:
        require(app, ports)
    except SlipwayError as error:
        told += [error.found, error.remedy]
    told += [entry.text for entry in ports.journal.entries] + [repr(ports.meta)]
    assert not [text for text in told if KEYS.secret in text or KEYS.token in text]
