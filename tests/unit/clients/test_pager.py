"""A page: taken by Slack and by whoever checks its signature, and not lost to one failure."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sandbox.pages import Receiver
from sandbox.serving import running
from slipway.clients.pager import WebhookPager, message, signed
from slipway.errors import OutsideError, UsageError
from slipway.ports import Alarm
from tests.unit.clients.stub import Said, serve

SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four by.").decode()
HIDDEN = "T0/B0/xyzzy-secret"
ALARM = Alarm(
    id="slipway-0123",
    title="❌ bot: rolled back",
    text="5 of 100 <!channel> & more",
    action="Press Rollback on dep-1",
    facts=(("Service", "bot"), ("To 0 %", "0.04 s")),
    url="https://github.example/acme/bot/actions/runs/7",
)


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver(SECRET)
    with running(receiver.app()) as url:
        yield receiver, f"{url}/services/{HIDDEN}"


class Naps:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def pager(url: str, naps: Naps, secret: str = SECRET) -> WebhookPager:
    return WebhookPager(url, secret, sleep=naps.sleep, monotonic=naps.monotonic)


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), SECRET.rstrip("=")])
def test_a_receiver_that_checks_the_signature_takes_it(secret: str) -> None:
    with receiving() as (receiver, url):
        pager(url, Naps(), secret).page(ALARM)
        assert receiver.refused == []
        (page,) = receiver.pages
    assert page["id"] == "slipway-0123"
    assert "rolled back" in page["text"]
    assert "Press Rollback on dep-1" in page["text"]


@pytest.mark.parametrize("secret", ["whsec_" + base64.b64encode(b"another").decode(), ""])
def test_another_secret_or_none_is_not_taken_and_not_tried_again(secret: str) -> None:
    naps = Naps()
    with receiving() as (receiver, url), pytest.raises(OutsideError, match="HTTP 400"):
        pager(url, naps, secret).page(ALARM)
    assert (receiver.pages, naps.slept) == ([], [])


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    # The vector that the reference libraries of Standard Webhooks are tested with.
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_text_from_outside_can_name_nobody_and_link_nowhere() -> None:
    told = message(replace(ALARM, url="https://x|<!here>"))
    assert "<!channel>" not in str(told)
    assert "&lt;!channel&gt; &amp; more" in told["text"]
    assert "!here" not in str(told)


def test_what_is_long_is_cut_and_still_taken() -> None:
    facts = tuple((f"fact {number}", "<" * 3000) for number in range(12))
    with receiving() as (receiver, url):
        pager(url, Naps()).page(replace(ALARM, text="<&" * 3000, facts=facts))
        assert receiver.refused == []
        assert len(receiver.pages) == 1


def test_one_failure_loses_no_page_and_the_id_stays() -> None:
    naps = Naps()
    with serve(Said(500), Said(503, headers={"Retry-After": "3"}), Said(200)) as stub:
        pager(stub.url, naps).page(ALARM)
    assert [heard.headers["webhook-id"] for heard in stub.heard] == ["slipway-0123"] * 3
    assert naps.slept == [0.5, 3.0]


def test_it_gives_up_within_twenty_seconds() -> None:
    naps = Naps()
    with serve(Said(500)) as stub, pytest.raises(OutsideError, match="HTTP 500"):
        pager(stub.url, naps).page(ALARM)
    assert 4 < len(stub.heard) < 8
    assert naps.now < 20


def test_a_pause_that_is_longer_than_there_is_time_is_said_and_not_waited_for() -> None:
    naps = Naps()
    with (
        serve(Said(429, headers={"Retry-After": "600"})) as stub,
        pytest.raises(OutsideError, match="asks to wait 600 s"),
    ):
        pager(stub.url, naps).page(ALARM)
    assert naps.slept == []


def test_no_redirect_is_followed() -> None:
    with serve(Said(200)) as other:
        there = Said(307, headers={"Location": other.url})
        with serve(there) as stub, pytest.raises(OutsideError, match="HTTP 307"):
            pager(stub.url, Naps()).page(ALARM)
    assert other.heard == []


@pytest.mark.parametrize("answer", [Said(404, b"no_service"), Said(404, HIDDEN.encode())])
def test_neither_the_address_nor_the_secret_is_ever_told(answer: Said) -> None:
    with serve(answer) as stub:
        pages = pager(f"{stub.url}/{HIDDEN}", Naps())
        with pytest.raises(OutsideError) as told:
            pages.page(ALARM)
    assert ("no_service" in str(told.value)) == (answer.body == b"no_service")
    with pytest.raises(OutsideError) as refused:
        pager(f"http://127.0.0.1:9/{HIDDEN}", Naps()).page(ALARM)
    for said in (str(told.value), repr(pages), str(refused.value)):
        assert HIDDEN not in said
        assert "127.0.0.1" not in said
        assert SECRET not in said
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    ["ftp://x.example/a", "file:///etc/passwd", "https://u:p@x.example/", "hooks", "", "http://[x"],
)
def test_only_a_plain_http_address_is_one(url: str) -> None:
    with pytest.raises(UsageError) as told:
        WebhookPager(url)
    assert "x.example" not in str(told.value)


def test_a_receiver_that_never_answers_is_not_waited_for_for_ever() -> None:
    hung = threading.Event()

    def hang(_: object) -> Said:
        hung.wait(10)
        return Said(200)

    with serve(hang) as stub:
        began = time.monotonic()
        with pytest.raises(OutsideError, match="no answer in time"):
            WebhookPager(stub.url, deadline=0.5).page(ALARM)
        assert time.monotonic() - began < 5
        hung.set()
