"""Attestations come as GitHub's API gives them: in pages, in place or packed on another host."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.attestations import Attestations
from slipway.clients.bundles import Bundles, unpack
from slipway.clients.retries import Patience, silent
from slipway.errors import Aborted, ArtifactRefused, OutsideError
from slipway.gates.artifact import MOST_PROOFS
from slipway.gates.strict import MOST_BYTES
from slipway.ports import Proof
from tests.unit.clients.stub import Heard, Said, refused_url, serve, serve_raw

TOKEN = "ghs_s3cret"
DIGEST = f"sha256:{'a' * 64}"
BUNDLE = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": "é" * 99}
PACKED = bytes(cramjam.snappy.compress_raw(json.dumps(BUNDLE).encode()))
QUICK = Patience(attempts=2, backoff=0, jitter=0, connect_timeout=2, read_timeout=1)


def asked(url: str, **more: Any) -> list[Proof]:
    more.setdefault("sleep", lambda _seconds: None)
    client = Attestations(TOKEN, repository="acme/bot", base_url=url, patience=QUICK, **more)
    return list(client.of(DIGEST))


def entry(bundle: Any = BUNDLE, *, url: str = "", initiator: str | None = "user") -> Any:
    named = {} if initiator is None else {"initiator": initiator}
    return {"bundle": bundle, "bundle_url": url, "repository_id": 7, **named}


def page(*entries: Any, headers: dict[str, str] | None = None) -> Said:
    return Said(200, {"attestations": list(entries)}, headers or {})


def only(proofs: list[Proof]) -> Any:
    (proof,) = proofs
    assert proof.broken is None
    return json.loads(proof.raw)


def broken(proofs: list[Proof]) -> ArtifactRefused:
    (proof,) = proofs
    assert proof.broken is not None
    assert proof.raw == b""
    return proof.broken


def elsewhere(content: Any = PACKED, *, status: int = 200, listed: str = "{}/b?sig=s3cret") -> Any:
    """One server as both hosts: the list, and the bundle where it points to."""

    def answer(heard: Heard) -> Said:
        if heard.path.startswith("/repos/"):
            return page(entry(None, url=listed.format(f"http://{heard.headers['Host']}")))
        return Said(status, content)

    return serve(answer)


# The list


def test_a_bundle_in_the_answer_is_given_as_it_is() -> None:
    with serve(page(entry())) as stub:
        assert only(asked(stub.url)) == BUNDLE
    (heard,) = stub.heard
    assert urlsplit(heard.path).path == f"/repos/acme/bot/attestations/{DIGEST}"
    assert heard.headers["Authorization"] == f"Bearer {TOKEN}"
    assert heard.headers["Accept"] == "application/vnd.github+json"
    assert heard.headers["X-GitHub-Api-Version"] == "2022-11-28"


def test_none_is_none_whether_github_lists_nothing_or_knows_no_such_digest() -> None:
    for said in (Said(404, {"message": "Not Found"}), page()):
        with serve(said) as stub:
            assert asked(stub.url) == []


def test_what_github_attests_of_releases_is_left_out() -> None:
    said = page(entry({"a": 1}, initiator="github"), entry(), entry({"b": 1}, initiator=None))
    with serve(said) as stub:
        proofs = asked(stub.url)
    assert [json.loads(one.raw) for one in proofs] == [BUNDLE, {"b": 1}]


def test_all_pages_are_read_by_their_cursor() -> None:
    link = '<{}/repositories/1/attestations/x?per_page=100&after=Y3Vy%3D>; rel="next"'
    first = page(entry({"n": 1}), headers={"Link": link.format("https://elsewhere.example")})
    with serve(first, page(entry({"n": 2}))) as stub:
        assert [json.loads(one.raw) for one in asked(stub.url)] == [{"n": 1}, {"n": 2}]
    queries = [parse_qs(urlsplit(heard.path).query) for heard in stub.heard]
    assert queries == [{"per_page": ["100"]}, {"per_page": ["100"], "after": ["Y3Vy="]}]


def test_of_more_than_are_looked_at_one_more_is_named_and_none_fetched() -> None:
    many = [entry(None, url="https://127.0.0.1:9/b") for _ in range(60)]
    link = {"Link": '<https://x/?after=z>; rel="next"'}
    with serve(page(*many, headers=link)) as stub:
        proofs = asked(stub.url)
    assert len(proofs) == MOST_PROOFS + 1
    assert len(stub.heard) == 1
    assert not any(one.broken for one in proofs)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ('<https://x/?after=z>; rel="next"', "more than 10 pages"),
        ('<https://x/>; rel="next"', "no cursor"),
    ],
)
def test_pages_without_end_or_without_a_cursor_are_refused(link: str, said: str) -> None:
    answer = page(entry(initiator="github"), headers={"Link": link})
    with serve(answer) as stub, pytest.raises(ArtifactRefused, match=said) as caught:
        asked(stub.url)
    assert caught.value.code == "proof.source"
    assert len(stub.heard) <= 10


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_may_not_read_them_is_told_which_permission_it_needs(status: int) -> None:
    said = Said(status, {"message": "Resource not accessible by integration"})
    with serve(said) as stub, pytest.raises(ArtifactRefused) as caught:
        asked(stub.url)
    assert caught.value.code == "proof.source"
    assert "`attestations: read`" in caught.value.remedy
    assert TOKEN not in str(caught.value) + caught.value.remedy


def test_a_limit_is_not_called_a_missing_permission() -> None:
    said = Said(403, {"message": "API rate limit exceeded for installation"})
    with serve(said) as stub, pytest.raises(ArtifactRefused) as caught:
        asked(stub.url)
    assert "permissions" not in caught.value.remedy


@pytest.mark.parametrize(
    "said",
    [
        Said(500, {"message": "oops"}),
        Said(503),
        Said(200, b"<html>"),
        Said(200, b"[" * 50_000),
        Said(200, []),
        Said(200, {}),
        Said(200, {"attestations": None}),
        Said(200, {"attestations": [1]}),
        Said(204),
        Said(302, None, {"Location": "/login"}),
    ],
)
def test_an_answer_that_is_none_is_a_refusal_and_never_an_empty_list(said: Said) -> None:
    with serve(said) as stub, pytest.raises(ArtifactRefused) as caught:
        asked(stub.url)
    assert caught.value.code == "proof.source"
    assert caught.value.remedy
    assert len(stub.heard) < 10


def test_an_answer_that_breaks_off_or_does_not_come_is_a_refusal() -> None:
    with (
        serve(Said(200, {"attestations": []}, cut=5)) as stub,
        pytest.raises(ArtifactRefused) as caught,
    ):
        asked(stub.url)
    assert caught.value.code == "proof.source"
    with pytest.raises(ArtifactRefused, match="connection was refused"):
        asked(refused_url())


def test_a_proxy_that_is_away_for_a_moment_is_asked_again() -> None:
    with serve(Said(502), page(entry())) as stub:
        assert only(asked(stub.url)) == BUNDLE


def test_a_job_that_is_cancelled_goes_on_being_cancelled() -> None:
    def cancelled(_seconds: float) -> None:
        raise Aborted("cancelled", remedy="none")

    with serve(Said(502)) as stub, pytest.raises(Aborted):
        asked(stub.url, sleep=cancelled)


def test_everything_together_has_a_deadline() -> None:
    ticks = iter([0.0])
    with serve(page(entry(), entry(None, url="https://127.0.0.1:9/b"))) as stub:
        good, late = asked(stub.url, clock=lambda: next(ticks, 1000.0))
    assert good.broken is None
    assert late.broken is not None
    assert "no time left" in late.broken.found


# Bundles that lie elsewhere


def test_a_bundle_elsewhere_is_fetched_without_anything_of_ours_and_unpacked() -> None:
    with elsewhere() as stub:
        assert only(asked(stub.url)) == BUNDLE
    listed, fetched = stub.heard
    assert listed.headers["Authorization"]
    assert fetched.path == "/b?sig=s3cret"
    assert TOKEN not in str(fetched.headers)
    assert "Authorization" not in fetched.headers
    assert "Cookie" not in fetched.headers


def test_a_cookie_of_githubs_is_not_sent_along() -> None:
    def answer(heard: Heard) -> Said:
        if heard.path.startswith("/repos/"):
            url = f"http://{heard.headers['Host']}/b"
            said = page(entry(None, url=url), entry(None, url=url))
            return Said(200, said.body, {"Set-Cookie": "session=1; Path=/"})
        return Said(200, PACKED, {"Set-Cookie": "other=1; Path=/"})

    with serve(answer) as stub:
        asked(stub.url)
    assert len(stub.heard) == 3
    assert not any("Cookie" in heard.headers for heard in stub.heard)


def test_a_netrc_gives_no_password_to_the_other_host(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with elsewhere() as stub:
        asked(stub.url)
    assert "Authorization" not in stub.heard[1].headers


def test_a_bundle_elsewhere_may_be_plain_json() -> None:
    with elsewhere(json.dumps(BUNDLE).encode()) as stub:
        assert only(asked(stub.url)) == BUNDLE


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "proof.form"),
        (b"\x80\x01", "proof.form"),
        (b"\xff" * 9, "proof.form"),
        (b"\xff\xff\xff\xff\x0f" + b"x" * 20, "proof.size"),
        (PACKED[:-3], "proof.form"),
        (b"\x90" + PACKED[1:], "proof.form"),
        (bytes(cramjam.snappy.compress_raw(b" " * (MOST_BYTES + 1))), "proof.size"),
        (b"{" + b" " * MOST_BYTES, "proof.size"),
    ],
)
def test_what_is_no_bundle_is_broken_with_a_code(content: bytes, code: str) -> None:
    with elsewhere(content) as stub:
        assert broken(asked(stub.url)).code == code


@pytest.mark.parametrize("status", [204, 301, 302, 307, 403, 404, 500, 503])
def test_a_bundle_that_is_not_there_is_broken_and_no_redirect_followed(status: int) -> None:
    def answer(heard: Heard) -> Said:
        if heard.path.startswith("/repos/"):
            return page(entry(None, url=f"http://{heard.headers['Host']}/b?sig=s3cret"))
        return Said(status, PACKED, {"Location": "/other"})

    with serve(answer) as stub:
        error = broken(asked(stub.url))
    assert error.code == "proof.source"
    assert str(status) in error.found
    assert "s3cret" not in error.found + error.remedy
    assert {heard.path for heard in stub.heard[1:]} == {"/b?sig=s3cret"}


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.example/b",
        "ftp://127.0.0.1/b",
        "file:///etc/passwd",
        "https://me:pw@storage.example/b",
        "https://[::1/b",
        "//storage.example/b",
        "b",
    ],
)
def test_an_address_that_is_not_https_is_not_asked(url: str) -> None:
    with serve(page(entry(None, url=url))) as stub:
        assert broken(asked(stub.url)).code == "proof.form"
    assert len(stub.heard) == 1


def test_plain_http_on_this_machine_is_for_an_api_on_this_machine() -> None:
    far = Bundles(beside="https://api.github.com", patience=QUICK, notice=silent, sleep=print)
    with serve(Said(200, PACKED)) as stub:
        with pytest.raises(ArtifactRefused) as caught:
            far.fetch(f"{stub.url}/b", seconds=1)
        near = Bundles(beside=stub.url, patience=QUICK, notice=silent, sleep=print)
        assert json.loads(near.fetch(f"{stub.url}/b", seconds=1)) == BUNDLE
    assert caught.value.code == "proof.form"
    assert len(stub.heard) == 1


@pytest.mark.parametrize("bad", [entry(None), entry([1]), entry(None, url="http://far/b")])
def test_one_that_is_broken_hides_no_other(bad: Any) -> None:
    with serve(page(bad, entry())) as stub:
        first, second = asked(stub.url)
    assert first.broken is not None
    assert (first.name, second.name) == ("attestation 1", "attestation 2")
    assert json.loads(second.raw) == BUNDLE


def test_a_bundle_that_trickles_or_never_ends_is_given_up() -> None:
    def trickles(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{")
        while not over.wait(0.05):
            peer.sendall(b" ")

    def trickles_before(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.05):
            peer.sendall(b" ")

    def floods(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{")
        while not over.is_set():
            peer.sendall(b" " * 65536)

    assert fetched(trickles).code == "proof.source"
    assert fetched(trickles_before).code == "proof.source"
    assert fetched(floods).code == "proof.size"


def fetched(talk: Callable[[socket.socket, threading.Event], None]) -> ArtifactRefused:
    with serve_raw(talk) as raw, serve(page(entry(None, url=f"{raw.url}/b"))) as stub:
        return broken(asked(stub.url))


def test_the_address_of_a_bundle_is_a_secret_that_nothing_tells(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    told: list[str] = []
    with serve(page(entry(None, url=f"{refused_url()}/b?sig=s3cret"))) as stub:
        error = broken(asked(stub.url, notice=told.append))
    assert "connection was refused" in error.found
    assert len(told) == 1
    bundles = Bundles(beside=stub.url, patience=QUICK, notice=silent, sleep=lambda _s: None)
    address = f"{refused_url()}/b?sig=s3cret"  # a trace shows the line that calls
    with pytest.raises(OutsideError) as caught:
        bundles.fetch(address, seconds=9)
    traces = [*traceback.format_exception(error), *traceback.format_exception(caught.value)]
    assert "s3cret" not in "".join([*traces, *told, caplog.text, error.remedy])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_bundle_that_is_away_for_a_moment_is_fetched_again(status: int) -> None:
    tried: list[int] = []

    def answer(heard: Heard) -> Said:
        if heard.path.startswith("/repos/"):
            return page(entry(None, url=f"http://{heard.headers['Host']}/b"))
        tried.append(1)
        return Said(status if len(tried) == 1 else 200, PACKED)

    with serve(answer) as stub:
        assert only(asked(stub.url)) == BUNDLE


def test_time_that_is_over_leaves_one_try() -> None:
    waits: list[float] = []
    with serve(Said(503)) as stub:
        near = Bundles(beside=stub.url, patience=QUICK, notice=silent, sleep=waits.append)
        with pytest.raises(OutsideError, match="503"):
            near.fetch(f"{stub.url}/b", seconds=0)
    assert (len(stub.heard), waits) == (1, [])


def test_a_bundle_that_breaks_off_is_fetched_once_more() -> None:
    tried: list[int] = []

    def answer(heard: Heard) -> Said:
        if heard.path.startswith("/repos/"):
            return page(entry(None, url=f"http://{heard.headers['Host']}/b"))
        tried.append(1)
        return Said(200, PACKED, cut=9 if len(tried) == 1 else None)

    with serve(answer) as stub:
        assert only(asked(stub.url)) == BUNDLE


@given(st.binary(min_size=128, max_size=4000))
def test_whatever_is_packed_comes_out_as_it_was(content: bytes) -> None:
    assert unpack(bytes(cramjam.snappy.compress_raw(content))) == content


@given(st.binary(max_size=300))
def test_any_bytes_are_unpacked_within_bounds_or_refused(content: bytes) -> None:
    try:
        found = unpack(content)
    except ArtifactRefused as error:
        assert error.code in ("proof.form", "proof.size")  # noqa: PT017 - either may happen
    else:
        assert len(found) <= MOST_BYTES
