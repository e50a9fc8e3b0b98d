"""What the bench takes for measured, and what it refuses to."""

from __future__ import annotations

import asyncio

import pytest

from bench.load import Answer, NotMeasured, Paced, parse_wrk
from bench.switching import last_canary

SINCE = 100.0


def _answer(done: float, *, target: int = 0, canary: bool = True, ok: bool = True) -> Answer:
    return Answer(target=target, sent=done - 0.001, done=done, ok=ok, canary=canary)


def _switched(target: int, last: float, then: float) -> list[Answer]:
    return [
        _answer(SINCE - 1, target=target),
        _answer(last, target=target),
        _answer(then, target=target, canary=False),
    ]


def test_the_slowest_edge_is_what_a_kill_took() -> None:
    answers = _switched(0, 100.01, 100.02) + _switched(1, 100.05, 100.09) + _switched(2, 99.9, 100)
    assert last_canary(answers, SINCE, 3) == pytest.approx((0.05, 0.09))


def test_a_canary_that_was_gone_before_took_no_time_but_was_seen_so_later() -> None:
    assert last_canary(_switched(0, 99.9, 100.03), SINCE, 1) == pytest.approx((0, 0.03))


def test_an_edge_that_never_was_on_the_canary_measures_nothing() -> None:
    answers = _switched(0, 100.01, 100.02)
    with pytest.raises(NotMeasured, match="edge 2 was not on the canary before"):
        last_canary([*answers, _answer(101, target=1, canary=False)], SINCE, 2)


def test_an_edge_that_stays_on_the_canary_measures_nothing() -> None:
    stable_then_canary = [_answer(99), _answer(100.01, canary=False), _answer(100.5)]
    with pytest.raises(NotMeasured, match="not seen on stable after"):
        last_canary(stable_then_canary, SINCE, 1)


def test_an_answer_that_failed_shows_no_track() -> None:
    with pytest.raises(NotMeasured, match="not seen on stable"):
        last_canary([_answer(99), _answer(101, canary=False, ok=False)], SINCE, 1)


def test_wrk_is_read_in_milliseconds_and_with_every_kind_of_failure() -> None:
    line = '{"requests": 500, "microseconds": 2000000, "failed": 3, "p50": 120, "p99": 4500}'
    load = parse_wrk(f"Running 2s test\nRESULT {line}\n")
    assert (load.rate, load.failed, load.p50, load.p99) == (250, 3, 0.12, 4.5)


@pytest.mark.parametrize(
    "output",
    [
        "unable to connect to 127.0.0.1:1 Connection refused",
        'RESULT {"requests": 0, "microseconds": 1, "failed": 9, "p50": 0, "p99": 0}',
    ],
)
def test_wrk_without_an_answer_measured_nothing(output: str) -> None:
    with pytest.raises(NotMeasured, match="measured nothing"):
        parse_wrk(output)


def test_paced_requests_that_are_not_answered_with_200_count_as_failed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in (b"200 OK", b"503 Service Unavailable"):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 " + status + b"\r\nX-Served-By: canary\r\nContent-Length: 2\r\n\r\n"
            writer.write(head + b"ok")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()  # the third request gets no answer

    async def run() -> list[Answer]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[:2]
        async with server, Paced([address], rate=100, connections=1) as load:
            while len(load.answers) < 3:
                await asyncio.sleep(0.01)
        return load.answers[:3]

    answers = asyncio.run(asyncio.wait_for(run(), 20))
    assert [(a.ok, a.canary) for a in answers] == [(True, True), (False, True), (False, False)]
