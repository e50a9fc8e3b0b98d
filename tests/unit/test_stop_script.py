"""scripts/stop.py as a person in a hurry has it: one file, any Python, nothing installed."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.clients.stub import Heard, Said, Stub, refused_url, serve, serve_raw

SCRIPT = Path(__file__).parents[2] / "scripts/stop.py"
EDGE_TOKEN = "edge-token-0123"
POSTHOG_KEY = "phx_0123456789"
KEYS = {"EDGE_TOKEN": EDGE_TOKEN, "POSTHOG_API_KEY": POSTHOG_KEY}
NOWHERE = {
    "PIP_INDEX_URL": "https://index.invalid/simple",
    "GITHUB_API_URL": "https://github.invalid",
    "HTTP_PROXY": "http://proxy.invalid:1",
    "http_proxy": "http://proxy.invalid:1",
}
"""Surroundings in which nothing but the two sides can be reached."""
FLAGS = "/api/projects/12345/feature_flags/"


@dataclass
class Sides:
    """An edge and a PostHog that remember what they hold."""

    share: float = 5.0
    follows: str = "release-canary"
    holder: str = "7.1-abc"
    edge_says: list[Said] = field(default_factory=list)
    """Answers before the edge behaves."""
    posthog_says: list[Said] = field(default_factory=list)
    flags: dict[int, dict[str, Any]] = field(default_factory=dict)
    sticky: bool = False
    """Whether somebody turns the flag on again at once."""
    missing: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for number, key in ((6, "release-canary-old"), (7, "release-canary"), (8, "pay-x")):
            self.flags[number] = {
                "id": number,
                "key": key,
                "active": True,
                "deleted": False,
                "filters": {
                    "groups": [{"properties": [], "rollout_percentage": 5}],
                    "payloads": {"true": json.dumps({"release": "7.1-abc"})},
                    "multivariate": None,
                },
            }

    def edge(self, heard: Heard) -> Said:
        self.tokens.add(heard.headers["Authorization"])
        if self.edge_says:
            return self.edge_says.pop(0)
        if heard.path == "/.slipway/kill" and heard.body["release"] in (None, self.holder):
            self.share = 0
        state = {
            "share": self.share,
            "flag": self.follows,
            "why": "killed",
            "lease": {"release": self.holder},
            "missing": self.missing,
        }
        return Said(body=state)

    def posthog(self, heard: Heard) -> Said:
        self.tokens.add(heard.headers["Authorization"])
        if self.posthog_says:
            return self.posthog_says.pop(0)
        path, _, query = heard.path.partition("?")
        if path == FLAGS:
            wanted = query.partition("search=")[2].partition("&")[0]
            found = [f for f in self.flags.values() if wanted in f["key"]]
            return Said(body={"results": found, "next": None})
        flag = self.flags.get(int(path.rstrip("/").rpartition("/")[2]))
        if flag is None:
            return Said(404, {"detail": "Not found."})
        if heard.method == "PATCH":
            flag |= heard.body
            if self.sticky:
                flag["active"] = True
                return Said(body={**flag, "active": False})
        return Said(body=flag)


@dataclass(frozen=True)
class Ended:
    code: int
    log: str


def run(*arguments: str, env: Mapping[str, str] = KEYS, seconds: float = 60) -> Ended:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *arguments],
        env=NOWHERE | dict(env),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    log = done.stdout + done.stderr
    for secret in (EDGE_TOKEN, POSTHOG_KEY):
        assert secret not in log
    assert "Traceback" not in log
    return Ended(done.returncode, log)


@contextmanager
def both(sides: Sides) -> Iterator[tuple[list[str], Stub, Stub]]:
    with serve(sides.edge) as edge, serve(sides.posthog) as posthog:
        yield at(edge.url, posthog.url), edge, posthog


def at(edge: str, posthog: str) -> list[str]:
    return ["--edge-url", edge, "--posthog-host", posthog, "--posthog-project", "12345"]


def is_off(flag: Mapping[str, Any]) -> bool:
    return not flag["active"] and flag["filters"] == {
        "groups": [],
        "payloads": {},
        "multivariate": None,
    }


def test_it_needs_no_newer_python_than_3_9_and_nothing_but_the_standard_library() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 9))

    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)


def test_both_sides_are_stopped_and_read_back() -> None:
    sides = Sides()
    with both(sides) as (where, edge, posthog):
        ended = run(*where, "--reason", "orders are lost")

    assert ended.code == 0, ended.log
    assert sides.share == 0
    assert is_off(sides.flags[7])
    assert sides.flags[6]["active"], "a flag whose key only contains ours was turned off"
    assert sides.flags[8]["active"]
    assert "CONFIRMED: nobody is on the canary" in ended.log
    assert re.search(r"\d+ ms +edge +SHARE 0, read back", ended.log)
    kill = edge.heard[0]
    assert (kill.method, kill.path) == ("POST", "/.slipway/kill")
    assert kill.body == {"release": None, "reason": "orders are lost"}
    (patch,) = (heard for heard in posthog.heard if heard.method == "PATCH")
    assert set(patch.body) == {"active", "filters"}, "with a version a kill could lose"
    assert sides.tokens == {f"Bearer {EDGE_TOKEN}", f"Bearer {POSTHOG_KEY}"}


def test_a_known_flag_id_saves_the_search() -> None:
    sides = Sides()
    with both(sides) as (where, _, posthog):
        ended = run(*where, "--flag-id", "7")

    assert ended.code == 0, ended.log
    assert [heard.method for heard in posthog.heard] == ["PATCH", "GET"]
    assert is_off(sides.flags[7])


@pytest.mark.parametrize(("number", "told"), [("99", "there is no flag 99"), ("8", "pay-x")])
def test_a_flag_id_that_is_not_that_flag_any_more_does_not_keep_the_right_one_on(
    number: str, told: str
) -> None:
    sides = Sides()
    with both(sides) as (where, _, _):
        ended = run(*where, "--flag-id", number, "--flag", "release-canary")

    assert ended.code == 0, ended.log
    assert is_off(sides.flags[7])
    assert told in ended.log


def test_variables_do_in_the_place_of_flags() -> None:
    sides = Sides()
    with both(sides) as (where, _, _):
        env = {
            "SLIPWAY_EDGE_TOKEN": EDGE_TOKEN,
            "SLIPWAY_POSTHOG_API_KEY": POSTHOG_KEY,
            "EDGE_URL": where[1],
            "POSTHOG_HOST": where[3],
            "SLIPWAY_POSTHOG_PROJECT": "12345",
            "RELEASE_FLAG": "release-canary",
        }
        ended = run(env=env)

    assert ended.code == 0, ended.log
    assert sides.share == 0
    assert is_off(sides.flags[7])


def test_a_side_that_hiccups_is_asked_again() -> None:
    hiccups = [Said(500, {"error": "x"}), Said(503, b"<html>"), Said(200, b"[]")]
    sides = Sides(edge_says=list(hiccups), posthog_says=[Said(429), *hiccups])
    with both(sides) as (where, _, _):
        ended = run(*where)

    assert ended.code == 0, ended.log
    assert sides.share == 0
    assert is_off(sides.flags[7])


@pytest.mark.parametrize("status", [401, 403, 409])
def test_a_refusal_is_told_at_once_and_the_other_side_is_stopped(status: int) -> None:
    sides = Sides(posthog_says=[Said(status, {"detail": f"no: {POSTHOG_KEY} \x1b[31m"})] * 9)
    with both(sides) as (where, _, posthog):
        ended = run(*where)

    assert ended.code == 1, ended.log
    assert sides.share == 0
    assert "USERS ARE PROTECTED" in ended.log
    assert f"answered {status}: no: ***" in ended.log
    assert "/project/12345/feature_flags/ and turn off release-canary" in ended.log
    assert "\x1b" not in ended.log
    assert len(posthog.heard) == 1


@pytest.mark.parametrize("status", [401, 409])
def test_an_edge_that_refuses_leaves_the_flag_off(status: int) -> None:
    sides = Sides(edge_says=[Said(status, {"error": "no"})] * 9)
    with both(sides) as (where, _, _):
        ended = run(*where)

    assert ended.code == 1, ended.log
    assert is_off(sides.flags[7])
    (line,) = re.findall(r"by hand: (printf .*)", ended.log)
    assert """printf 'Authorization: Bearer %s\\n' "$EDGE_TOKEN" | curl""" in line, (
        "the key must not be an argument of a process"
    )


def test_either_side_may_be_down() -> None:
    sides = Sides()
    with both(sides) as (_, edge, posthog):
        without_posthog = run(*at(edge.url, refused_url()))
        assert sides.share == 0
        assert sides.flags[7]["active"]
        without_edge = run(*at(refused_url(), posthog.url))

    assert without_posthog.code == without_edge.code == 1
    assert is_off(sides.flags[7])
    assert "edge: cannot be reached: Connection refused" in without_edge.log


def test_with_both_down_it_says_so_and_what_is_left() -> None:
    ended = run(*at(refused_url(), refused_url()))

    assert ended.code == 2, ended.log
    assert "NOTHING IS CONFIRMED" in ended.log
    assert "suspend the canary service" in ended.log


def silent(_: Any, over: threading.Event) -> None:
    over.wait(60)


def drip(peer: Any, over: threading.Event) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not over.wait(0.2):
        peer.sendall(b" ")


@pytest.mark.parametrize("talk", [silent, drip])
def test_a_side_that_never_answers_delays_nobody_and_ends(
    talk: Callable[[Any, threading.Event], None],
) -> None:
    sides = Sides()
    with serve_raw(talk) as hole, both(sides) as (_, edge, _):
        began = time.monotonic()
        ended = run(*at(edge.url, hole.url))
        took = time.monotonic() - began

    assert ended.code == 1, ended.log
    assert took < 40  # it gives itself 20 s
    assert "posthog: no answer" in ended.log
    confirmed = re.search(r"(\d+) ms +edge +SHARE 0", ended.log)
    assert confirmed
    assert int(confirmed[1]) < 4000, "the edge waited for PostHog"


def test_a_missing_half_still_does_the_other() -> None:
    sides = Sides()
    with both(sides) as (where, _, _):
        ended = run(*where, env={"POSTHOG_API_KEY": POSTHOG_KEY})

    assert ended.code == 1, ended.log
    assert is_off(sides.flags[7])
    assert "not given: EDGE_TOKEN" in ended.log


def test_only_one_half_is_enough_where_only_that_was_asked_for() -> None:
    sides = Sides()
    with both(sides) as (where, _, posthog):
        at_edge = run(*where, "--only", "edge", env={"EDGE_TOKEN": EDGE_TOKEN})
        assert posthog.heard == []
        off = run(*where, "--only", "posthog", "--flag", "pay-x", "--keep-filters")
        unknown = run(*where, "--only", "posthog", "--flag", "pay-y", "--keep-filters")

    assert (at_edge.code, off.code) == (0, 0), at_edge.log + off.log
    assert "CONFIRMED: the flag is off" in off.log
    assert unknown.code == 2
    assert "NOTHING IS CONFIRMED: the flag may still be on" in unknown.log
    pay = sides.flags[8]
    assert not pay["active"]
    assert pay["filters"]["groups"], "the list of testers of a payment flag was thrown away"


def test_a_flag_that_is_turned_on_again_is_not_confirmed() -> None:
    sides = Sides(sticky=True)
    with both(sides) as (where, _, _):
        ended = run(*where)

    assert ended.code == 1
    assert "is on again" in ended.log


def test_a_flag_that_the_edge_does_not_follow_is_not_the_other_half() -> None:
    sides = Sides(follows="release-canary-2")
    with both(sides) as (where, _, _):
        ended = run(*where)

    assert ended.code == 1
    assert "the edge follows release-canary-2" in ended.log


def test_an_unknown_flag_is_not_taken_for_one_that_is_off() -> None:
    sides = Sides()
    with both(sides) as (where, _, _):
        ended = run(*where, "--flag", "relaese-canary")

    assert ended.code == 1
    assert "there is no flag relaese-canary" in ended.log


def test_an_instance_of_the_edge_that_does_not_answer_is_named() -> None:
    sides = Sides(missing=["10.0.0.7"])
    with both(sides) as (where, _, _):
        ended = run(*where)

    assert ended.code == 1
    assert "did not answer: ['10.0.0.7']" in ended.log


def test_a_release_that_took_over_is_not_ended_in_the_place_of_the_one_that_is_named() -> None:
    sides = Sides(holder="8.1-def")
    sides.flags[7]["filters"]["payloads"] = {"true": json.dumps({"release": "8.1-def"})}
    with both(sides) as (where, _, _):
        ended = run(*where, "--release", "7.1-abc")

    assert ended.code == 2
    assert sides.share == 5
    assert sides.flags[7]["active"]
    assert "8.1-def" in ended.log


@pytest.mark.parametrize(
    "wrong",
    [
        ["--edge-token", EDGE_TOKEN],
        [f"--posthog-api-key={POSTHOG_KEY}"],
        ["--only", EDGE_TOKEN],
        [EDGE_TOKEN],
        ["--edge-url", f"https://user:{EDGE_TOKEN}@edge.example"],
        ["--edge-url", f"file:///{EDGE_TOKEN}"],
        ["--posthog-project", POSTHOG_KEY],
        ["--flag-id", "seven"],
        ["--flag", "a b"],
        ["--keep-filters"],
        [],
    ],
)
def test_a_wrong_call_is_told_without_repeating_it_and_changes_nothing(wrong: list[str]) -> None:
    ended = run(*wrong)

    assert ended.code == 2
    assert "usage" in ended.log


@pytest.mark.parametrize("bad", ["two words", "line\r\nX-Other: 1", "kläxon"])
def test_a_key_that_cannot_be_one_is_not_sent_and_not_shown(bad: str) -> None:
    sides = Sides()
    with both(sides) as (where, edge, _):
        ended = run(*where, env={"EDGE_TOKEN": bad, "POSTHOG_API_KEY": POSTHOG_KEY})

    assert ended.code == 2
    assert bad not in ended.log
    assert "EDGE_TOKEN has blanks" in ended.log
    assert edge.heard == []


def test_a_redirect_does_not_get_the_key() -> None:
    with serve(Said(200, {})) as other:
        moved = Said(302, {}, {"Location": f"{other.url}/x"})
        sides = Sides(edge_says=[moved] * 9, posthog_says=[moved] * 9)
        with both(sides) as (where, _, _):
            ended = run(*where)
        assert other.heard == []

    assert ended.code == 2


def test_a_proxy_of_the_surroundings_is_used_but_not_for_this_machine() -> None:
    sides = Sides()
    with both(sides) as (where, _, _), serve(Said(200, {"share": 0})) as proxy:
        env = KEYS | {"http_proxy": proxy.url, "HTTP_PROXY": proxy.url}
        here = run(*where, env=env)
        assert proxy.heard == []
        run("--edge-url", "http://edge.invalid", "--only", "edge", env=env)
        assert proxy.heard[0].path == "http://edge.invalid/.slipway/kill"

    assert here.code == 0, here.log


def test_verbose_shows_requests_and_no_key() -> None:
    sides = Sides()
    with both(sides) as (where, edge, _):
        ended = run(*where, "-v")

    assert f"POST {edge.url}/.slipway/kill: 200" in ended.log


def test_the_example_workflow_gives_the_script_what_it_reads_and_waits_for_nobody() -> None:
    path = SCRIPT.parents[1] / "examples/livestreamsell/.github/workflows/stop.yml"
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    step = job["steps"][-1]
    sides = Sides()
    with both(sides) as (where, edge, _):
        env = step["env"] | KEYS
        env |= {"EDGE_URL": where[1], "POSTHOG_HOST": where[3], "REASON": "orders are lost"}
        ended = run(env=env)

    assert ended.code == 0, ended.log
    assert edge.heard[0].body["reason"] == "orders are lost"
    assert step["run"] == "exec python3 -I -S scripts/stop.py"
    assert "github.run_id" in workflow["concurrency"]["group"]
    assert set(workflow[True]) == {"workflow_dispatch"}  # YAML 1.1 reads the key `on` as true
    assert job["timeout-minutes"] <= 5


def test_a_terminal_that_is_gone_does_not_stop_the_stop() -> None:
    sides = Sides()
    with both(sides) as (where, _, _):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), *where],
            env=dict(KEYS),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout
        process.stdout.close()
        with contextlib.closing(process.stdout):
            code = process.wait(60)

    assert code == 0
    assert sides.share == 0
