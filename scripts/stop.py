#!/usr/bin/env python3
"""The emergency stop: everybody off the canary, at the edge and in PostHog, side by side.

Needs Python 3.9 and nothing else: no package, no environment, no GitHub. Either half is enough to
protect users: the edge lets nobody on the canary after a kill, nor while the flag is off. It ends
with 0 where both halves are confirmed by reading them back (with --only: that one); with 1 where
one is, and the last lines say what to press by hand for the other; with 2 where none is, or it was
called wrongly. Keys come from the variables EDGE_TOKEN and POSTHOG_API_KEY (or SLIPWAY_ before
them), never as arguments.

A proxy named by HTTPS_PROXY and its like is used, as urllib does, but never to reach this machine
itself. Redirects are not followed: the key would go with them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

BEGAN = time.monotonic() - time.process_time()
"""When the process began: until here it has done nothing but compute."""
DEADLINE = 20.0
"""Seconds after which it ends, whatever still does not answer."""
TIMEOUT = 4.0
"""Seconds without a byte from the other side, for each attempt."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt. One attempt more than there are pauses."""
LARGEST = 4_000_000
"""Bytes of an answer: a page of PostHog's flags may hold 100 of them."""
PAGES = 10
FLAG = "release-canary"
REASON = "stopped by hand"
MOST_REASON = 200
"""Characters the edge takes."""
LEASE = "180 s"

BOTH, ONE, NONE = 0, 1, 2


class Failed(Exception):
    """A half is not confirmed; the message says why, and holds no secret."""


class Wrong(Exception):
    """It was called wrongly; the message names the setting and never shows a value."""


class Asked(argparse.Namespace):
    """What was asked for, checked. Attributes are the flags."""

    edge_url: str | None
    posthog_host: str | None
    posthog_project: str | None
    flag: str | None
    flag_id: int | None
    release: str | None
    reason: str
    only: str | None
    keep_filters: bool
    verbose: bool


class Arguments(argparse.ArgumentParser):
    """Does not repeat what was typed: a secret may have been typed there by mistake."""

    def error(self, message: str) -> NoReturn:
        raise Wrong(message.split(":", maxsplit=1)[0].partition(" '")[0])


class Log:
    """Prints lines with milliseconds; what the secrets are never gets out."""

    def __init__(self) -> None:
        self._secrets: list[str] = []
        self._lock = threading.Lock()
        self._over = False

    def hide(self, secret: str) -> None:
        """Replace this value wherever it would be printed."""
        if secret:
            self._secrets.append(secret)

    def say(self, who: str, text: str) -> None:
        """Print one line, whatever ``text`` holds."""
        line = plain(text)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        with self._lock:
            if self._over:
                return
            took = (time.monotonic() - BEGAN) * 1000
            # A terminal that is gone must not keep anybody on the canary.
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.write(f"{took:7.0f} ms  {who:8}{line}\n")
                sys.stdout.flush()

    def end(self, code: int) -> NoReturn:
        """End the process now: a half that hangs must not keep it."""
        with self._lock:
            self._over = True
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)


def plain(text: object, most: int = 600) -> str:
    """Return text from outside as one line that gives a terminal or a runner no orders."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return line.replace("##[", "# [")[:most].strip()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other here."""

    def redirect_request(self, *_: Any) -> None:
        """Go nowhere."""


class Api:
    """One side: its address, its key, and how to ask it."""

    def __init__(self, name: str, base: str, key: str, log: Log, verbose: bool) -> None:
        self.name = name
        self.base = base
        self._key = key
        self._log = log
        self._verbose = verbose
        here = urlsplit(base).hostname in ("localhost", "127.0.0.1", "::1")
        proxies = urllib.request.ProxyHandler({} if here else None)
        self._opener = urllib.request.build_opener(proxies, NoRedirect)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        fine: Sequence[int] = (200,),
    ) -> tuple[int, dict[str, Any]]:
        """Return status and JSON object; try again what may pass. Raises Failed."""
        why = ""
        for pause in (*PAUSES, None):
            status, answer, why, again = self._once(method, path, body, fine)
            if status is not None and not why:
                return status, answer
            if not again or pause is None or time.monotonic() - BEGAN + pause > DEADLINE:
                break
            self._log.say(self.name, f"{why}; trying again")
            time.sleep(pause)
        raise Failed(why)

    def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, fine: Sequence[int]
    ) -> tuple[int | None, dict[str, Any], str, bool]:
        """Return status, answer, what is wrong, and whether it may pass."""
        left = max(0.1, min(TIMEOUT, DEADLINE - (time.monotonic() - BEGAN)))
        # Only http and https get here: see check().
        request = urllib.request.Request(self.base + path, method=method)  # noqa: S310
        request.add_header("Authorization", "Bearer " + self._key)
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", "slipway-stop")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, data, timeout=left) as reply:
                status, raw = reply.status, reply.read(LARGEST)
        except urllib.error.HTTPError as error:
            status, raw = error.code, read_quietly(error)
        except (OSError, HTTPException, ValueError) as error:
            return None, {}, unreachable(error), not is_certificate(error)
        if self._verbose:
            self._log.say(self.name, f"{method} {self.base}{path}: {status}")
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if status in fine and isinstance(answer, dict):
            return status, answer, "", False
        if status in fine:
            return None, {}, f"answered {status} with what is not a JSON object", True
        return status, {}, refused(status, answer), status == 429 or status >= 500


def read_quietly(error: urllib.error.HTTPError) -> bytes:
    """Return the body of an error, or nothing."""
    try:
        return error.read(LARGEST)
    except (OSError, HTTPException, ValueError):
        return b""


def unreachable(error: Exception) -> str:
    """Say what is wrong with the connection; only words of the system, which hold no header."""
    cause = getattr(error, "reason", error)
    if is_certificate(error):
        return (
            "its TLS certificate is not accepted here (set SSL_CERT_FILE to this machine's "
            "authorities)"
        )
    if isinstance(cause, TimeoutError) or "timed out" in str(cause):
        return f"no answer within {TIMEOUT:g} s"
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else None
    return f"cannot be reached: {said or type(cause).__name__}"


def is_certificate(error: Exception) -> bool:
    """Return whether the other side's certificate is the trouble: trying again does not help."""
    cause = getattr(error, "reason", error)
    return "CertificateVerif" in type(cause).__name__ or "CertVerif" in type(cause).__name__


def refused(status: int, answer: object) -> str:
    """Say what an answer that was not wanted says."""
    said = ""
    if isinstance(answer, dict):
        said = next((answer[n] for n in ("detail", "error", "message") if answer.get(n)), "")
    hints = {
        401: "the key is not accepted",
        403: "the key may not do this",
        404: "there is no such thing",
        409: "another change stands in the way, or an approval is asked for",
    }
    return f"answered {status}: " + (plain(said, 200) or hints.get(status, "without a reason"))


def stop_edge(api: Api, asked: Asked, log: Log) -> str | None:
    """Put the edge at share 0 and read it back. Raises Failed; returns the flag it follows."""
    why = ""
    for pause in (0.0, *PAUSES[:3]):
        if why:
            log.say("edge", f"{why}; trying again")
        time.sleep(pause)
        _, state = api.ask(
            "POST", "/.slipway/kill", {"release": asked.release, "reason": asked.reason}
        )
        log.say("edge", f"took the kill: share {state.get('share')}")
        _, state = api.ask("GET", "/.slipway/state")
        share, lease = state.get("share"), state.get("lease")
        why = ""
        if isinstance(share, bool) or not isinstance(share, (int, float)) or share != 0:
            why = f"share {share} after the kill"
            other = lease.get("release") if isinstance(lease, dict) else None
            if asked.release is not None and other not in (None, asked.release):
                raise Failed(f"{why}: release {other} holds it. Without --release it is stopped")
        elif state.get("missing"):
            why = f"share 0, but these instances did not answer: {state['missing']}"
        else:
            log.say("edge", f"SHARE 0, read back ({state.get('why')})")
            key = state.get("flag")
            return key if isinstance(key, str) else None
    raise Failed(why)


def stop_posthog(api: Api, asked: Asked, log: Log) -> str | None:
    """Turn the flag off and read it back. Raises Failed; returns the flag's key."""
    known = asked.flag_id
    flag_id = find(api, asked, log) if known is None else known
    if asked.release is not None and not asked.keep_filters:
        other = release_of(api.ask("GET", one(asked, flag_id))[1])
        if other not in (None, asked.release):
            raise Failed(f"the record is of release {other}. Without --release it is stopped")
    body: dict[str, Any] = {"active": False}
    if not asked.keep_filters:
        # Filters that nobody has read: every write that was begun earlier then conflicts.
        body["filters"] = {"groups": [], "payloads": {}, "multivariate": None}
    fine = (200,) if known is None else (200, 404)
    status, flag = api.ask("PATCH", one(asked, flag_id), body, fine)
    if status == 404:
        log.say("posthog", f"there is no flag {flag_id}: looking for the key")
        asked.flag_id = None
        return stop_posthog(api, asked, log)
    log.say("posthog", f"took the change of flag {flag_id} ({flag.get('key')})")
    _, flag = api.ask("GET", one(asked, flag_id))
    key, groups = flag.get("key"), (flag.get("filters") or {}).get("groups")
    if flag.get("active") is not False or (groups != [] and not asked.keep_filters):
        raise Failed(f"flag {flag_id} is on again after it was turned off: somebody turned it on")
    if asked.flag is not None and key != asked.flag:
        if known is None:
            raise Failed(f"flag {flag_id} is {key} now, not {asked.flag}")
        log.say("posthog", f"flag {flag_id} is {key}, and off now; looking for {asked.flag}")
        asked.flag_id = None
        return stop_posthog(api, asked, log)
    log.say("posthog", f"FLAG OFF, read back ({key})")
    return key if isinstance(key, str) else None


def find(api: Api, asked: Asked, log: Log) -> int:
    """Return the id of the flag with exactly this key: the search finds parts of keys too."""
    key = asked.flag or FLAG
    offset = 0
    for _ in range(PAGES):
        path = f"{flags(asked)}?search={quote(key, safe='')}&limit=100&offset={offset}"
        page = api.ask("GET", path)[1]
        found = page.get("results")
        if not isinstance(found, list):
            raise Failed("answered without a list of flags")
        for flag in found:
            if not isinstance(flag, dict) or flag.get("key") != key or flag.get("deleted"):
                continue
            number = flag.get("id")
            if isinstance(number, int):
                log.say("posthog", f"{key} is flag {number}")
                return number
        if not found or not page.get("next"):
            break
        offset += len(found)
    raise Failed(f"there is no flag {key} in project {asked.posthog_project}")


def flags(asked: Asked) -> str:
    """Return the path of the project's flags."""
    return f"/api/projects/{asked.posthog_project}/feature_flags/"


def one(asked: Asked, flag_id: int) -> str:
    """Return the path of one flag."""
    return f"{flags(asked)}{flag_id}/"


def release_of(flag: Mapping[str, Any]) -> str | None:
    """Return the release that the flag's record names, if it names one."""
    payloads = (flag.get("filters") or {}).get("payloads") or {}
    try:
        record = json.loads(payloads.get("true", ""))
    except (AttributeError, TypeError, ValueError):
        return None
    named = record.get("release") if isinstance(record, dict) else None
    return named if isinstance(named, str) else None


class Half:
    """One of the two, on a thread of its own."""

    def __init__(
        self,
        name: str,
        act: Callable[[Api, Asked, Log], str | None],
        api: Api,
        asked: Asked,
        log: Log,
    ) -> None:
        self.name = name
        self.flag: str | None = None
        self.why: str | None = "no answer yet"
        self._act, self._api, self._asked, self._log = act, api, asked, log
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.flag = self._act(self._api, self._asked, self._log)
            self.why = None
        except Failed as error:
            self.why = str(error)
        except Exception as error:
            self.why = f"internal error: {type(error).__name__}"
        if self.why:
            self._log.say(self.name, f"NOT CONFIRMED: {self.why}")

    def wait(self) -> None:
        """Wait until it is over or time is up."""
        self._thread.join(max(0.0, DEADLINE - (time.monotonic() - BEGAN)))


def settings(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[Asked, str, str]:
    """Return what was asked for, and the two keys. Raises Wrong."""
    parser = Arguments(
        prog="stop.py",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--edge-url", help="https://… of the edge; or EDGE_URL")
    add("--posthog-host", help="https://eu.posthog.com or your own; or POSTHOG_HOST")
    add("--posthog-project", help="number of the project; or POSTHOG_PROJECT")
    add("--flag", help=f"key of the flag; or RELEASE_FLAG; default: {FLAG}")
    add("--flag-id", help="its number in PostHog, which saves a search; or RELEASE_FLAG_ID")
    add("--release", help="stop only this release; default: whatever is under way")
    add("--reason", help="shown at the edge")
    add("--only", choices=("edge", "posthog"), help="do one half; exit code 0 is then about it")
    add(
        "--keep-filters",
        action="store_true",
        help="only turn the flag off: its groups stay for later. Not for the release flag",
    )
    add("-v", "--verbose", action="store_true", help="print each request too")
    asked, others = parser.parse_known_args(arguments, Asked())
    if others:
        names = sorted({o.partition("=")[0] for o in others if o.startswith("-")})
        known = [n for n in names if re.fullmatch(r"--?[a-z][a-z-]*", n)]
        raise Wrong("does not take " + (", ".join(known) or "words without a flag before them"))

    def variable(name: str) -> str:
        return environ.get("SLIPWAY_" + name, "").strip() or environ.get(name, "").strip()

    for field, name in (
        ("edge_url", "EDGE_URL"),
        ("posthog_host", "POSTHOG_HOST"),
        ("posthog_project", "POSTHOG_PROJECT"),
        ("flag", "RELEASE_FLAG"),
        ("flag_id", "RELEASE_FLAG_ID"),
        ("release", "RELEASE"),
        ("reason", "REASON"),
    ):
        value = (getattr(asked, field) or variable(name)).strip()
        setattr(asked, field, value or None)
    check(asked)
    return asked, secret("EDGE_TOKEN", variable), secret("POSTHOG_API_KEY", variable)


def check(asked: Asked) -> None:
    """Check every setting. Raises Wrong."""
    for field in ("edge_url", "posthog_host"):
        value = getattr(asked, field)
        if value is None:
            continue
        if not re.fullmatch(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?", value) or not value.isascii():
            raise Wrong(f"--{field.replace('_', '-')} must be an http(s) URL without credentials")
        # The edge and the SDKs use eu.i.posthog.com, which does not have the API.
        value = re.sub(r"^(https://[a-z]+)\.i\.posthog\.com", r"\1.posthog.com", value)
        setattr(asked, field, value.rstrip("/"))
    for field, form in (
        ("posthog_project", r"[0-9]{1,18}|@current"),
        ("flag_id", r"[0-9]{1,18}"),
        ("flag", r"[A-Za-z0-9_-]{1,400}"),
    ):
        value = getattr(asked, field)
        if value is not None and not re.fullmatch(form, value):
            raise Wrong(f"--{field.replace('_', '-')} must match {form}")
    if asked.flag_id is not None:
        asked.flag_id = int(asked.flag_id)
    asked.reason = plain(asked.reason or REASON, MOST_REASON) or REASON
    if asked.keep_filters and (asked.only != "posthog" or (asked.flag or asked.flag_id) is None):
        raise Wrong("--keep-filters goes with --only posthog and --flag or --flag-id")


def secret(name: str, variable: Callable[[str], str]) -> str:
    """Return a key. Raises Wrong for one that cannot be sent."""
    value = variable(name)
    if not re.fullmatch(r"[!-~]*", value):
        raise Wrong(f"{name} has blanks or other characters that no key has")
    return value


def halves(asked: Asked, token: str, key: str, log: Log) -> tuple[list[Half], dict[str, str]]:
    """Start what there is everything for; return the halves, and what the others lack."""
    started: list[Half] = []
    lacks: dict[str, str] = {}
    needs = {
        "edge": (("--edge-url", asked.edge_url), ("EDGE_TOKEN", token)),
        "posthog": (
            ("--posthog-host", asked.posthog_host),
            ("--posthog-project", asked.posthog_project),
            ("POSTHOG_API_KEY", key),
        ),
    }
    for name, parts in needs.items():
        if asked.only not in (None, name):
            continue
        missing = [what for what, value in parts if not value]
        if missing:
            lacks[name] = "not given: " + ", ".join(missing)
            log.say(name, f"NOT CONFIRMED: {lacks[name]}")
        elif name == "edge":
            api = Api(name, asked.edge_url or "", token, log, asked.verbose)
            started.append(Half(name, stop_edge, api, asked, log))
        else:
            api = Api(name, asked.posthog_host or "", key, log, asked.verbose)
            started.append(Half(name, stop_posthog, api, asked, log))
    return started, lacks


def by_hand(name: str, asked: Asked) -> str:
    """Say how a person does this half."""
    if name == "edge":
        url = asked.edge_url or "https://<the edge>"
        return (
            """printf 'Authorization: Bearer %s\\n' "$EDGE_TOKEN" | """
            "curl -fsS -m 10 -X POST -H @- -H 'Content-Type: application/json' "
            f"""-d '{{"release":null,"reason":"by hand"}}' {shlex.quote(url + "/.slipway/kill")}"""
        )
    host = asked.posthog_host or "https://<PostHog>"
    project = asked.posthog_project or "<project>"
    page = f"{host}/project/{project}/feature_flags/{asked.flag_id or ''}"
    return f"open {page} and turn off {asked.flag or FLAG}"


def conclude(started: Sequence[Half], lacks: Mapping[str, str], asked: Asked, log: Log) -> int:
    """Say what is confirmed and what is to be pressed by hand; return the exit code."""
    open_ = {half.name: half.why for half in started if half.why is not None}
    open_.update(lacks)
    done = [half for half in started if half.why is None]
    names = {half.name: half.flag for half in done}
    if len(done) == 2 and names["edge"] != names["posthog"]:
        open_["posthog"] = (
            f"the edge follows {names['edge']}, and {names['posthog']} was turned off"
        )
    what = "the flag is off" if asked.only == "posthog" else "nobody is on the canary"
    if not open_:
        log.say("", f"CONFIRMED: {what}")
        return BOTH
    if done:
        log.say("", "USERS ARE PROTECTED: one half is confirmed; the other is not:")
    else:
        doubt = (
            "the flag may still be on" if asked.only == "posthog" else "users may be on the canary"
        )
        log.say("", f"NOTHING IS CONFIRMED: {doubt}")
    for name, why in open_.items():
        log.say("", f"{name}: {why}")
        log.say("", f"by hand: {by_hand(name, asked)}")
    if not done and asked.only is None:
        log.say(
            "",
            f"else: cancel the release's run (its lease lapses within {LEASE}), or suspend "
            "the canary service in Render's dashboard: the edge then answers from stable",
        )
    return ONE if done else NONE


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Do it and end the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    log = Log()
    for name in ("EDGE_TOKEN", "POSTHOG_API_KEY"):
        for prefix in ("", "SLIPWAY_"):
            log.hide(environ.get(prefix + name, "").strip())
    try:
        asked, token, key = settings(arguments, environ)
        started, lacks = halves(asked, token, key, log)
        if not started:
            raise Wrong("nothing can be done: give one half at least (--help says how)")
        try:
            for half in started:
                half.wait()
        except KeyboardInterrupt:
            log.say("", "interrupted")
        log.end(conclude(started, lacks, asked, log))
    except Wrong as error:
        log.say("usage", str(error))
    except Exception as error:
        log.say("", f"internal error: {type(error).__name__}")
    log.end(NONE)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
