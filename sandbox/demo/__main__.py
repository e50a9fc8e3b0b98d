"""``python -m sandbox.demo [SCENARIO]``: play releases through the real actions, and watch.

Exit codes: 0 everything ended as it must and was seen to; 1 something did not; 2 an unknown
scenario; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from types import FrameType

from sandbox import act
from sandbox.demo.press import Stage, press, say, shown
from sandbox.demo.presses import Press
from sandbox.demo.processes import NotReady, adopt_orphans, descendants, end_descendants
from sandbox.demo.scenarios import SCENARIOS
from sandbox.demo.world import RATE, ROOT, World, fresh
from sandbox.observer import Observer

OUT = ROOT / "out" / "demo"


def main() -> int:
    """Play one scenario and say how it ended."""
    parser = argparse.ArgumentParser(prog="make demo SCENARIO=…", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="all", choices=sorted(SCENARIOS))
    scenario = parser.parse_args().scenario
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    adopt_orphans()
    OUT.parent.mkdir(exist_ok=True)
    with (OUT.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another `make demo` is running in this directory", file=sys.stderr)
            return 2
        return _in_world(scenario)


def _in_world(scenario: str) -> int:
    """Make the world, play in it, and leave nothing of it running."""
    presses = SCENARIOS[scenario]
    rolling = any(one.dashboard for one in presses)
    judged = any("bot" in one.services for one in presses)
    # Sellers share the machine with those of the dashboard; a judged canary needs enough of them.
    rate = RATE if not rolling else RATE * 3 / 4 if judged else RATE / 4
    world = World(
        fresh(OUT),
        rolling=rolling,
        rate=next((one.rate for one in presses if one.rate is not None), rate),
        lease=min(one.lease for one in presses),
        edges=max(one.edges for one in presses),
        step=max(one.step for one in presses),
        bake=max(one.bake for one in presses),
        measured=any(one.measured for one in presses),
        stored=any(one.stored for one in presses),
        migrates=any(one.files for one in presses),
        webhook=any(one.webhook for one in presses),
    )
    try:
        return _play(world, SCENARIOS[scenario])
    except KeyboardInterrupt:
        print("\nstopped; ending every process", flush=True)
        return 130
    except (NotReady, act.ActFailed) as error:
        print(f"the demonstration could not be played: {error}", file=sys.stderr)
        return 1
    finally:
        _ignore_signals()
        world.stop()
        end_descendants()
        left = descendants()
        if left:
            print(f"left behind: {left}", file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """A second Ctrl-C must not stop the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _play(world: World, presses: tuple[Press, ...]) -> int:
    began = time.monotonic()
    say("starting Render, PostHog, GitHub, the edge and 400 sellers on this machine")
    world.start()
    suite = act.copy_suite(ROOT, world.plain / "suite")
    observer = Observer(
        edge_url=world.url("edge"),
        edge_token=world.keys.edge,
        render_url=world.url("render"),
        load_file=world.load_file,
        more_loads={"dashboard": world.dashboard_load_file} if world.rolling else None,
    )
    observer.start()
    problems: list[str] = []
    try:
        for number, one in enumerate(presses, start=1):
            say(f"release {number} of {len(presses)}: {one.name}")
            problems += press(Stage(world, suite, observer, OUT), one, number)
    finally:
        observer.stop()
        observer.write(OUT)
    problems += [f"{child.name} died: {child.log}" for child in world.children.dead()]
    say(f"report: {shown(OUT / 'report.json')}, {shown(OUT / 'report.html')}")
    for page in sorted(OUT.glob("pull-request-*.html")):
        say(f"what the pull request said: {shown(page)}")
    for problem in problems:
        say(f"PROBLEM: {problem}")
    verdict = "everything ended as it must" if not problems else "it did not go as it must"
    say(f"{verdict}, after {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
