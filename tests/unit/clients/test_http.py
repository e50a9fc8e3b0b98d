"""HTTP with a key: what is tried again, how long it waits, what errors say, where the key goes."""

from __future__ import annotations

import base64
import socket
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.http import Http, Key
from slipway.clients.replies import EXCERPT, clean
from slipway.clients.retries import Patience
from slipway.errors import (
    Aborted,
    NotFound,
    OutsideError,
    Unauthorized,
    Unreachable,
    UsageError,
)
from tests.unit.clients.stub import Heard, Said, refused_url, serve, serve_raw

TOKEN = "rnd_s3cret-value"
QUICK = Patience(
    attempts=3, backoff=0, jitter=0, rate_limit_cap=60, connect_timeout=2, read_timeout=2
)
BUSY = Said(429, {"message": "slow down"})
Talk = Callable[[socket.socket, threading.Event], None]


def key(value: str = TOKEN) -> Key:
    return Key(value=value, setting="render-api-key", renew="Make one in Account Settings.")


def client(url: str, patience: Patience = QUICK, **kwargs: Any) -> Http:
    kwargs.setdefault("sleep", lambda _seconds: None)
    return Http("Render", url, key(), patience=patience, **kwargs)


class Waits:
    """Records pauses and notices instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.notices: list[str] = []

    def client(self, url: str, patience: Patience = QUICK) -> Http:
        return client(url, patience, sleep=self.seconds.append, notice=self.notices.append)


# What is tried again


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_get_is_repeated_while_a_proxy_says_the_service_is_away(status: int) -> None:
    with serve(Said(status), Said(status), Said(200, {"ok": True})) as stub:
        assert client(stub.url).get("/x").json() == {"ok": True}
    assert len(stub.heard) == 3


def test_a_get_is_given_up_after_the_attempts_it_has() -> None:
    with serve(Said(503, {"message": "away"})) as stub, pytest.raises(OutsideError, match="503"):
        client(stub.url).get("/x")
    assert len(stub.heard) == QUICK.attempts


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_write_that_may_have_been_carried_out_is_sent_once(method: str, status: int) -> None:
    said = Said(status, {"message": "oops"}, {"Retry-After": "1"})
    with serve(said) as stub, pytest.raises(OutsideError) as caught:
        client(stub.url).request(method, "/x", body={})
    assert len(stub.heard) == 1
    assert "not known" in caught.value.remedy


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_any_request_refused_for_the_rate_limit_is_sent_again(method: str) -> None:
    with serve(BUSY, Said(200, {})) as stub:
        client(stub.url).request(method, "/x", body={"a": 1})
    assert [heard.body for heard in stub.heard] == [{"a": 1}, {"a": 1}]


def _hang_up(peer: socket.socket, _over: threading.Event) -> None:
    peer.close()


def _stay_silent(_peer: socket.socket, over: threading.Event) -> None:
    over.wait(5)


@pytest.mark.parametrize("talk", [_hang_up, _stay_silent], ids=["hangs up", "stays silent"])
@pytest.mark.parametrize(("method", "sent"), [("GET", 3), ("POST", 1), ("PATCH", 1)])
def test_only_a_read_is_repeated_when_no_answer_came(talk: Talk, method: str, sent: int) -> None:
    patience = Patience(attempts=3, backoff=0, jitter=0, read_timeout=0.1)
    with serve_raw(talk) as raw, pytest.raises(Unreachable):
        client(raw.url, patience).request(method, "/x")
    assert raw.connections == sent


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_any_request_that_was_never_sent_is_tried_again(method: str) -> None:
    waits = Waits()
    with pytest.raises(Unreachable, match="refused"):
        waits.client(refused_url()).request(method, "/x")
    assert len(waits.seconds) == QUICK.attempts - 1


def test_retries_pass_through_a_mocked_transport_too() -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://api.test/x", status=503)
        mock.get("https://api.test/x", json={"ok": 1})
        assert client("https://api.test").get("/x").json() == {"ok": 1}
        assert len(mock.calls) == 2


# How long it waits


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "7", "Ratelimit-Reset": "55"}, 7),
        ({"Ratelimit-Reset": "41"}, 41),
        ({"Retry-After": "soon", "Ratelimit-Reset": "9"}, 9),
        ({"Retry-After": "9999999999999999999999"}, 60),
        ({"Ratelimit-Reset": "3494"}, 60),
        ({"Ratelimit-Reset": "-5"}, 0),
    ],
)
def test_a_rate_limit_is_waited_out_as_the_answer_asks_up_to_the_cap(
    headers: dict[str, str], seconds: float
) -> None:
    waits = Waits()
    with serve(Said(429, {}, headers), Said(200, {})) as stub:
        waits.client(stub.url).post("/x", {})
    assert waits.seconds == [seconds]
    assert waits.notices == [f"Render asks to wait: {seconds} s, then attempt 2 of 3"]


def test_a_reset_that_is_an_epoch_is_counted_from_now() -> None:
    waits = Waits()
    reset = {"Ratelimit-Reset": str(int(time.time()) + 30)}
    with serve(Said(429, {}, reset), Said(200, {})) as stub:
        waits.client(stub.url).get("/x")
    assert waits.seconds[0] == pytest.approx(30, abs=2)


@pytest.mark.parametrize("value", ["", "nan", "later"])
def test_a_rate_limit_that_says_nothing_usable_is_waited_with_growing_pauses(value: str) -> None:
    waits = Waits()
    patience = Patience(attempts=4, backoff=1, backoff_max=3, jitter=0.5)
    with serve(Said(429, {}, {"Ratelimit-Reset": value})) as stub, pytest.raises(OutsideError):
        waits.client(stub.url, patience).get("/x")
    for pause, least in zip(waits.seconds, [1, 2, 3], strict=True):
        assert least <= pause <= least + 0.5


def test_a_rate_limit_that_lasts_is_an_error_that_says_nothing_was_carried_out() -> None:
    with serve(BUSY) as stub, pytest.raises(OutsideError, match="rate limit") as caught:
        client(stub.url).post("/x", {})
    assert len(stub.heard) == 3
    assert "Nothing was carried out" in caught.value.remedy


def test_a_wait_for_the_rate_limit_ends_when_the_job_is_cancelled() -> None:
    def cancelled(_seconds: float) -> None:
        raise Aborted("stopped", remedy="")

    with serve(BUSY) as stub, pytest.raises(Aborted):
        client(stub.url, sleep=cancelled).post("/x", {})
    assert len(stub.heard) == 1


# What errors say


def test_a_page_instead_of_json_is_named_with_status_type_and_a_short_excerpt() -> None:
    page = b"<html><script>x</script><h1>Bad\n\x1b[31m gateway</h1>" + b"<p>sorry</p>" * 500
    said = Said(200, page, {"Content-Type": "text/html"})
    with serve(said) as stub, pytest.raises(OutsideError) as caught:
        client(stub.url).get("/x").json()
    found = str(caught.value)
    assert "200" in found
    assert "text/html" in found
    assert "Bad [31m gateway sorry" in found
    assert found.isprintable()
    assert len(found) < 300


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_an_outside_error(body: bytes) -> None:
    with serve(Said(200, body)) as stub, pytest.raises(OutsideError):
        client(stub.url).get("/x").json()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_by_its_setting_with_where_to_make_another(status: int) -> None:
    with serve(Said(status, {"message": "no"})) as stub, pytest.raises(Unauthorized) as caught:
        client(stub.url).get("/x")
    assert "render-api-key" in str(caught.value)
    assert "Account Settings" in caught.value.remedy


@pytest.mark.parametrize("status", [404, 410])
def test_what_does_not_exist_is_not_found(status: int) -> None:
    with serve(Said(status, {"message": "gone"})) as stub, pytest.raises(NotFound, match="gone"):
        client(stub.url).get("/x")


@pytest.mark.parametrize("header", ["Render-Request-Id", "x-request-id"])
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_every_refusal_carries_the_id_of_the_request(header: str, status: int) -> None:
    said = Said(status, {"message": "no"}, {header: "req-77"})
    with serve(said) as stub, pytest.raises(OutsideError, match="req-77"):
        client(stub.url).get("/x")


def test_an_answer_that_drips_is_given_up_at_the_read_timeout() -> None:
    def drip(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not over.wait(0.05):
            peer.sendall(b"x")

    began = time.monotonic()
    with serve_raw(drip) as raw, pytest.raises(Unreachable, match="in time"):
        client(raw.url, Patience(attempts=1, read_timeout=0.3)).get("/x")
    assert time.monotonic() - began < 2


def test_an_answer_that_breaks_off_is_unreachable_and_not_half_read() -> None:
    broken = Said(200, {"a": "x" * 500}, cut=20)
    with serve(broken) as stub, pytest.raises(Unreachable, match="cut"):
        client(stub.url).get("/x")


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("POST", 1)])
def test_only_a_read_whose_answer_broke_off_is_repeated(method: str, sent: int) -> None:
    with serve(Said(200, {"a": "x" * 500}, cut=20), Said(200, {})) as stub:
        if method == "GET":
            assert client(stub.url).get("/x").json() == {}
        else:
            with pytest.raises(Unreachable, match="cut"):
                client(stub.url).post("/x", {})
    assert len(stub.heard) == sent


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"resolve.*nowhere\.invalid"):
        client("https://nowhere.invalid", Patience(attempts=1)).get("/x")


def test_a_server_without_tls_is_not_spoken_to_in_the_clear() -> None:
    with serve(Said(200, {})) as stub, pytest.raises(Unreachable, match="TLS"):
        client(stub.url.replace("http:", "https:")).post("/x", {})
    assert not stub.heard


def test_a_loop_of_redirects_ends() -> None:
    with serve(Said(302, None, {"Location": "/x"})) as stub, pytest.raises(OutsideError) as caught:
        client(stub.url).get("/x")
    assert "redirects" in str(caught.value)


@given(st.text())
def test_text_from_outside_becomes_one_short_printable_line(text: str) -> None:
    line = clean(text)
    assert line.isprintable()
    assert len(line) <= EXCERPT
    assert "::" not in line
    assert "##[" not in line


# Where the key goes


def test_with_a_user_the_key_is_its_password() -> None:
    with serve(Said(200, {})) as stub:
        Http("Prometheus", stub.url, key(), user="löwe", patience=QUICK).get("/x")
    kind, _, pair = str(stub.heard[0].headers["Authorization"]).partition(" ")
    assert (kind, base64.b64decode(pair).decode()) == ("Basic", f"löwe:{TOKEN}")


def test_without_a_key_nothing_is_sent_not_even_what_a_netrc_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(Said(200, {}), Said(401, {"message": "who are you"})) as stub:
        http = Http("Prometheus", stub.url, None, patience=QUICK)
        http.get("/x")
        with pytest.raises(Unauthorized, match="No key was sent"):
            http.get("/x")
    assert [heard.headers["Authorization"] for heard in stub.heard] == [None, None]


def test_a_password_is_in_no_error_however_it_is_repeated() -> None:
    def echo(heard: Heard) -> Said:
        return Said(400, {"message": f"{heard.headers['Authorization']} is {TOKEN}"})

    with serve(echo) as stub, pytest.raises(OutsideError, match=r"Basic \*\*\* is \*\*\*"):
        Http("Prometheus", stub.url, key(), user="ann", patience=QUICK).get("/x")


@pytest.mark.parametrize("user", ["a:b", "a\nb"])
def test_a_user_that_cannot_be_one_is_refused(user: str) -> None:
    with pytest.raises(UsageError, match="user name"):
        Http("Prometheus", "https://api.test", key(), user=user)


def test_a_redirect_to_another_host_does_not_carry_the_key() -> None:
    with serve(Said(200, {"ok": 1}), host="127.0.0.2") as other:
        away = Said(302, None, {"Location": f"{other.url}/elsewhere"})
        with serve(away) as stub:
            assert client(stub.url).get("/x").json() == {"ok": 1}
    assert stub.heard[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert other.heard[0].headers["Authorization"] is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_write_is_refused_instead_of_turning_into_a_read(status: int) -> None:
    moved = Said(status, None, {"Location": "/y"})
    with serve(moved) as stub, pytest.raises(OutsideError, match="another address"):
        client(stub.url).post("/x", {"a": 1})
    assert len(stub.heard) == 1


def test_a_netrc_entry_does_not_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(Said(200, {})) as stub:
        client(stub.url).get("/x")
    assert stub.heard[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_the_key_is_in_no_error_even_if_the_other_side_repeats_it() -> None:
    def echo(heard: Heard) -> Said:
        return Said(400, {"message": f"you sent {heard.headers['Authorization']}"})

    with serve(echo) as stub, pytest.raises(OutsideError) as caught:
        client(stub.url).get("/x")
    assert "you sent Bearer ***" in str(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_the_key_is_in_no_repr() -> None:
    http = client("https://api.test")
    assert TOKEN not in repr(http) + repr(key()) + repr(vars(http)) + repr(http._session.auth)


@pytest.mark.parametrize("value", ["", " ", f"{TOKEN}\n", f"Bearer {TOKEN}", f"{TOKEN}é"])
def test_a_key_copied_wrongly_is_refused_by_name_and_not_shown(value: str) -> None:
    with pytest.raises(UsageError, match="render-api-key") as caught:
        key(value)
    assert TOKEN not in str(caught.value) + caught.value.remedy


@pytest.mark.parametrize("url", ["api.test", "ftp://api.test", "https://u:p@api.test", "https://"])
def test_an_address_that_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        client(url)


def test_cookies_are_not_kept() -> None:
    with serve(Said(200, {}, {"Set-Cookie": "a=b; Path=/"})) as stub:
        http = client(stub.url)
        http.get("/x")
        http.get("/x")
    assert stub.heard[1].headers["Cookie"] is None


def test_one_connection_serves_many_calls_errors_included() -> None:
    with serve(Said(200, {"a": 1}), Said(404, {"message": "no"}), Said(200, {})) as stub:
        http = client(stub.url)
        http.get("/x")
        with pytest.raises(NotFound):
            http.get("/x")
        http.post("/x", {})
    assert len({heard.peer for heard in stub.heard}) == 1
