"""What the edge does when a part of it, or of what surrounds it, dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.edge.harness import EVERYBODY, NO_TLS, Edge, World, eventually

SELLER = {"X-Seller-Id": EVERYBODY}


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def is_listening(port: int) -> bool:
    """Tell whether a connection to a loopback port is accepted."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionError:
        return False
    return True


class Load:
    """Sellers that keep sending requests from a few threads; what each was answered is kept."""

    def __init__(self, base: str, threads: int = 4) -> None:
        self.answers: list[tuple[int | None, str | None]] = []
        self._base = base
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=20)

    def _send(self) -> None:
        with httpx.Client(base_url=self._base, timeout=10, verify=NO_TLS) as client:
            while not self._ended.is_set():
                try:
                    answer = client.get("/", headers=SELLER)
                    self.answers.append((answer.status_code, answer.headers.get("X-Served-By")))
                except httpx.TransportError:
                    self.answers.append((None, None))
                time.sleep(0.005)


def test_sellers_are_served_while_the_canary_is_dead_and_its_errors_are_counted(
    fresh: World,
) -> None:
    fresh.raised("r1")
    before = fresh.edge.counts()["tracks"]
    with Load(fresh.edge.base) as load:
        eventually(lambda: load.answers.count((200, "canary")) > 50, within=5)
        fresh.canary.kill()
        eventually(lambda: load.answers.count((200, "stable")) > 100, within=5)
        fresh.canary.start()
        back = len(load.answers)
        eventually(lambda: (200, "canary") in load.answers[back:], within=5)
    by_stable = load.answers.count((200, "stable"))
    lost = [answer for answer in load.answers if answer[0] != 200]
    # At most the request that each of the four connections had in flight at the kill.
    assert len(lost) <= 4
    after = fresh.edge.counts()["tracks"]
    assert after["stable"] == before["stable"]
    assert after["canary"]["requests"] == len(load.answers)
    assert after["canary"]["errors"] == by_stable + len(lost)


def test_a_request_that_falls_back_is_told_its_true_track(fresh: World) -> None:
    fresh.raised("r1")
    fresh.canary.kill()
    answer = fresh.edge.client.post("/", headers=SELLER, json={})
    assert answer.json()["track"] == ["stable"]
    assert answer.json()["seller"] == [EVERYBODY]
    assert answer.headers["X-Served-By"] == "stable"


def test_answers_by_stable_for_a_dead_canary_are_its_root_errors_and_not_its_latency(
    fresh: World,
) -> None:
    fresh.raised("r1")
    fresh.canary.kill()
    eventually(lambda: fresh.edge.served_by() == "stable", within=5)
    time.sleep(0.05)
    before = fresh.edge.counts()["tracks"]
    for _ in range(3):
        assert fresh.edge.served_by() == "stable"
    another = fresh.edge.client.get("/slow", headers={"X-Seller-Id": "another"})
    assert another.headers["X-Served-By"] == "stable"
    time.sleep(0.05)
    after = fresh.edge.counts()["tracks"]
    # The first seller has been counted before already.
    for name, added in (("requests", 4), ("errors", 4), ("root_errors", 1)):
        assert after["canary"][name] - before["canary"][name] == added, name
    assert after["canary"]["latency"] == before["canary"]["latency"]
    assert after["stable"] == before["stable"]


def test_when_haproxy_dies_the_edge_ends_and_starts_again_with_everybody_on_stable(
    fresh: World,
) -> None:
    fresh.raised("r1")
    epoch = fresh.edge.counts()["epoch"]
    os.kill(fresh.edge.haproxy_pid(), signal.SIGKILL)
    assert fresh.edge.process is not None
    assert fresh.edge.process.wait(timeout=5) == 1
    fresh.edge.start()
    assert fresh.edge.served_by() == "stable"
    assert fresh.edge.canary("r1", fresh.version)["share"] == 100
    assert fresh.edge.served_by() == "canary"
    assert fresh.edge.counts()["epoch"] != epoch


def test_a_killed_agent_leaves_no_haproxy(fresh: World) -> None:
    fresh.raised("r1")
    haproxy = fresh.edge.haproxy_pid()
    assert fresh.edge.stop(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not is_running(haproxy), within=2)
    # The last of its threads may end a moment after the first.
    eventually(lambda: not is_listening(fresh.edge.port), within=2)


def test_a_restart_forgets_the_lease_but_not_the_kill(fresh: World) -> None:
    fresh.raised("r1")
    fresh.edge.post("kill", {"release": "r1", "reason": "5xx"})
    assert fresh.edge.stop(signal.SIGKILL) == -signal.SIGKILL
    fresh.edge.start()
    assert fresh.edge.state()["lease"] is None
    state = fresh.edge.canary("r1", fresh.version)
    assert (state["share"], state["killed"]) == (0, "r1")
    version = fresh.publish(100, release="r1")
    assert fresh.edge.canary("r1", version)["share"] == 0
    fresh.raised("r2")
    fresh.edge.stop(signal.SIGKILL)
    fresh.edge.start()
    assert fresh.edge.state()["killed"] is None


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_edge_after_the_requests_in_progress(
    fresh: World, sign: signal.Signals
) -> None:
    haproxy = fresh.edge.haproxy_pid()
    answers: list[int] = []
    request: Callable[[], None] = lambda: answers.append(  # noqa: E731
        httpx.get(f"{fresh.edge.base}/slow", timeout=5, verify=NO_TLS).status_code
    )
    slow = threading.Thread(target=request)
    slow.start()
    time.sleep(0.2)
    assert fresh.edge.stop(sign) == 0
    slow.join(timeout=5)
    assert answers == [200]
    assert not is_running(haproxy)


def test_leftovers_of_a_crash_do_not_keep_the_edge_from_starting(stopped: World) -> None:
    state = stopped.edge.state_dir
    state.mkdir()
    (state / "cohort.map").write_bytes(b"* many\n\xff\x00 x\n")
    (state / "cohort.map.new").write_text("* 1152921504606846975\n")
    (state / "killed.json").write_text("{")
    for name in ("agent.sock", "haproxy.sock", "relay.sock"):
        (state / name).write_text("not a socket")
    # The damaged kill is taken for a kill of the release that shows up first.
    version = stopped.publish(100, release="r1")
    stopped.edge.start()
    assert stopped.edge.served_by() == "stable"
    assert stopped.edge.canary("r1", version)["killed"] == "r1"
    stopped.raised("r2")
    assert stopped.edge.served_by() == "canary"


def test_a_kill_that_haproxy_does_not_confirm_is_not_called_done(fresh: World) -> None:
    fresh.raised("r1")
    haproxy = fresh.edge.haproxy_pid()
    transport = httpx.HTTPTransport(verify=NO_TLS, uds=str(fresh.edge.state_dir / "agent.sock"))
    with httpx.Client(transport=transport, headers=fresh.edge.api.headers, timeout=10) as agent:
        os.kill(haproxy, signal.SIGSTOP)
        try:
            answer = agent.post("http://edge/.slipway/kill", json={"release": None, "reason": ""})
            assert answer.status_code == 503
            assert "not confirmed" in answer.json()["error"]
        finally:
            os.kill(haproxy, signal.SIGCONT)
    # It is not forgotten either: the share falls as soon as HAProxy listens again.
    eventually(lambda: fresh.edge.served_by() == "stable", within=5)
    assert fresh.edge.state()["killed"] == "r1"


def test_a_kill_that_cannot_be_saved_holds_and_says_so(fresh: World) -> None:
    fresh.raised("r1")
    obstacle = fresh.edge.state_dir / "killed.json.new"
    obstacle.mkdir()
    answer = fresh.edge.post("kill", {"release": None, "reason": ""})
    assert answer.status_code == 500
    assert (answer.json()["share"], answer.json()["killed"]) == (0, "r1")
    assert fresh.edge.served_by() == "stable"
    obstacle.rmdir()
    saved = fresh.edge.state_dir / "killed.json"
    eventually(saved.exists, within=2)
    assert json.loads(saved.read_text())["kills"][0]["release"] == "r1"


def test_a_second_edge_neither_shares_the_port_nor_the_state(shared: World) -> None:
    same_port = dict(shared.edge.environment, STATE_DIR=str(shared.edge.state_dir) + "-2")
    same_state = dict(shared.edge.environment, EDGE_BIND="127.0.0.1:0")
    for environment, reason in ((same_port, "in use"), (same_state, "another edge")):
        second = run_edge(shared.edge, environment)
        assert second.returncode == 1
        assert reason in second.stderr
    shared.raised("undisturbed")
    eventually(lambda: shared.edge.served_by() == "canary", within=3)


def test_the_edge_starts_where_few_files_may_be_open(stopped: World) -> None:
    stopped.edge.command = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", *stopped.edge.command]
    stopped.edge.start()
    assert stopped.edge.served_by() == "stable"
    told = dict(line.split(": ", 1) for line in stopped.edge.runtime("show info").splitlines()[:-1])
    assert int(told["Ulimit-n"]) <= 1024
    assert int(told["Maxconn"]) > 300


def test_a_wrong_setting_is_named_and_no_secret_shown(shared: World) -> None:
    ended = run_edge(shared.edge, dict(shared.edge.environment, CANARY_ADDR="nowhere"))
    assert ended.returncode == 2
    assert "CANARY_ADDR" in ended.stderr
    assert "phs_test" not in ended.stderr


def run_edge(edge: Edge, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run another edge, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "slipway_edge"],
        cwd=edge.state_dir.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def test_while_the_agent_hangs_nobody_is_on_the_canary(fresh: World) -> None:
    fresh.raised("r1")
    assert fresh.edge.served_by() == "canary"
    assert fresh.edge.process is not None
    os.kill(fresh.edge.process.pid, signal.SIGSTOP)
    try:
        eventually(lambda: fresh.edge.served_by() == "stable", within=15)
    finally:
        os.kill(fresh.edge.process.pid, signal.SIGCONT)
    eventually(lambda: fresh.edge.served_by() == "canary", within=15)
