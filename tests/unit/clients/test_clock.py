"""A clock that can be stopped, except where stopping would leave users on a bad build."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC

import pytest

from slipway.clients.clock import SystemClock
from slipway.errors import Cancelled


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def on_usr1(clock: SystemClock) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: clock.cancel("SIGUSR1"))
    yield
    signal.signal(signal.SIGUSR1, before)


def later(seconds: float, act: object) -> threading.Timer:
    timer = threading.Timer(seconds, act)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_now_is_aware_and_in_utc(clock: SystemClock) -> None:
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize(("seconds", "least"), [(0.05, 0.05), (0, 0), (-3, 0)])
def test_a_sleep_takes_its_time(clock: SystemClock, seconds: float, least: float) -> None:
    began = clock.monotonic()
    clock.sleep(seconds)
    assert least <= clock.monotonic() - began < least + 0.5


def test_a_signal_wakes_the_sleeper_at_once(clock: SystemClock, on_usr1: None) -> None:
    timer = later(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    began = time.monotonic()
    with pytest.raises(Cancelled, match="SIGUSR1"):
        clock.sleep(30)
    assert time.monotonic() - began < 2
    timer.join()


def test_signals_in_a_row_at_any_moment_of_a_sleep_do_no_harm(
    clock: SystemClock, on_usr1: None
) -> None:
    def storm() -> None:
        for _ in range(200):
            os.kill(os.getpid(), signal.SIGUSR1)

    timer = later(0, storm)
    for _ in range(200):
        try:
            clock.sleep(0.0005)
        except Cancelled:
            continue
    timer.join()
    with pytest.raises(Cancelled):
        clock.sleep(0)


def test_every_sleeping_thread_is_woken(clock: SystemClock) -> None:
    aborted: list[str] = []

    def sleeper() -> None:
        try:
            clock.sleep(30)
        except Cancelled as error:
            aborted.append(str(error))

    threads = [threading.Thread(target=sleeper) for _ in range(4)]
    for thread in threads:
        thread.start()
    clock.cancel("a person")
    for thread in threads:
        thread.join(5)
    assert aborted == ["The job is being stopped (a person)"] * 4


def test_a_cancelled_clock_lets_nobody_sleep_not_even_for_nothing(clock: SystemClock) -> None:
    clock.cancel()
    for _ in range(2):
        with pytest.raises(Cancelled):
            clock.sleep(0)


def test_the_first_reason_is_the_one_that_is_told(clock: SystemClock) -> None:
    clock.cancel("SIGINT")
    clock.cancel("SIGTERM")
    with pytest.raises(Cancelled, match="SIGINT"):
        clock.sleep(0)


def test_a_shielded_sleep_is_not_cut_short(clock: SystemClock, on_usr1: None) -> None:
    timer = later(0.02, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    began = time.monotonic()
    with clock.shielded():
        clock.sleep(0.1)
    assert time.monotonic() - began >= 0.1
    assert clock.cancelled
    timer.join()


def test_after_the_shield_the_cancellation_holds_again(clock: SystemClock) -> None:
    clock.cancel()
    with clock.shielded():
        with clock.shielded():
            clock.sleep(0)
        clock.sleep(0)
    with pytest.raises(Cancelled):
        clock.sleep(0)


def test_a_shield_falls_when_what_it_guards_fails(clock: SystemClock) -> None:
    clock.cancel()
    with pytest.raises(ValueError, match="x"), clock.shielded():
        raise ValueError("x")
    with pytest.raises(Cancelled):
        clock.sleep(0)
