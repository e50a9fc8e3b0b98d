"""HTTP with a key: every call has a timeout, few retries, and errors that say what to do.

The key is sent as a bearer token, or beside a user name as a password, to the host it belongs to,
and appears nowhere else: not in ``repr``, not in an error, not on another host after a redirect.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from slipway.clients.fields import wrong
from slipway.clients.replies import Reply, clean, read_body, said
from slipway.clients.retries import (
    SAFE_METHODS,
    TOO_MANY,
    BoundedRetry,
    Notice,
    Patience,
    Sleep,
    silent,
)
from slipway.errors import NotFound, OutsideError, Unauthorized, Unreachable, UsageError

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes of an answer that are read; a page of 100 deploys is well under 1 MB."""
MAX_REDIRECTS: Final = 5
_REQUEST_IDS: Final = ("Render-Request-Id", "X-Request-Id", "X-GitHub-Request-Id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A secret, and what to tell the user when it is not accepted."""

    value: str = field(repr=False)
    setting: str
    """The setting it came from, such as ``render-api-key``."""
    renew: str
    """Where to make a new one: a sentence."""

    def __post_init__(self) -> None:
        # requests would refuse such a key too, and print it.
        if not self.value or not re.fullmatch(r"[\x21-\x7e]+", self.value):
            raise UsageError(
                f"{self.setting} is empty, or holds a space, a line break or a character that no "
                "key has",
                remedy=f"Copy the key again into {self.setting}, without what surrounds it. "
                f"{self.renew}",
            )


class _Authorization(AuthBase):
    """Sets the header per request, so that a ``.netrc`` cannot replace it. Without a key: none."""

    def __init__(self, key: Key | None, user: str | None) -> None:
        self._key = key
        self._user = user

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key is not None:
            basic = self._user is not None
            kind = "Basic" if basic else "Bearer"
            request.headers["Authorization"] = f"{kind} {self.secrets()[0]}"
        return request

    def secrets(self) -> tuple[str, ...]:
        """Return what no message may repeat: first what the header holds."""
        if self._key is None:
            return ()
        if self._user is None:
            return (self._key.value,)
        pair = f"{self._user}:{self._key.value}".encode()
        return base64.b64encode(pair).decode(), self._key.value


_WHY: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((urllib3.exceptions.NameResolutionError,), "the host name does not resolve"),
    ((urllib3.exceptions.NewConnectionError,), "no connection could be made"),
    ((requests.ConnectTimeout,), "no connection in time"),
    ((requests.Timeout, urllib3.exceptions.TimeoutError), "no answer in time"),
    ((urllib3.exceptions.DecodeError,), "the answer could not be unpacked"),
    (
        (urllib3.exceptions.ProtocolError,),
        "the connection was cut before the answer was complete",
    ),
    ((ValueError,), "the address is not a URL"),
)


class Http:
    """One outside system, spoken to over kept-alive connections.

    Every call raises :class:`Unauthorized`, :class:`NotFound`, :class:`Unreachable` or plain
    :class:`OutsideError`, and whatever ``sleep`` raises (a cancelled clock: ``Aborted``).
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        key: Key | None,
        *,
        user: str | None = None,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        """``key`` ``None``: none is sent. With a ``user`` it is sent as a password.

        ``headers`` are sent with every request.
        """
        if user is not None and (":" in user or not user.isprintable()):
            raise UsageError(
                f"The user name for {name} holds a colon or a character that no user name has",
                remedy="Give the user name alone; the token is a setting of its own.",
            )
        self.name = name
        self.patience = patience or Patience()
        self._base = _checked(name, base_url)
        self._key = key
        self._session = session = requests.Session()
        session.auth = self._authorization = _Authorization(key, user)
        session.max_redirects = MAX_REDIRECTS
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers.update({"Accept": "application/json", "User-Agent": "slipway"})
        session.headers.update(headers or {})
        retries = BoundedRetry(patience=self.patience, name=name, notice=notice, pause=sleep)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))

    def __repr__(self) -> str:
        return f"Http({self.name!r}, {self._base!r})"

    def get(self, path: str, **kwargs: Any) -> Reply:
        """GET. See :meth:`request`."""
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **kwargs: Any) -> Reply:
        """POST, never repeated once it may have arrived. See :meth:`request`."""
        return self.request("POST", path, body=body, **kwargs)

    def patch(self, path: str, body: Mapping[str, Any], **kwargs: Any) -> Reply:
        """PATCH, never repeated once it may have arrived. See :meth:`request`."""
        return self.request("PATCH", path, body=body, **kwargs)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: frozenset[int] = frozenset(),
        read_timeout: float | None = None,
        secret: bool = False,
    ) -> Reply:
        """Send one request and return a 2xx answer, or one whose status is in ``accept``.

        ``path`` follows the base URL; ``read_timeout`` (seconds) replaces the usual one. Of an
        answer that may hold a ``secret`` no error repeats a word.
        Redirects are followed for GET and HEAD only: any other method would lose its body.
        """
        where = f"{self.name}, {method} {clean(path, limit=200)}"
        limit = self.patience.read_timeout if read_timeout is None else read_timeout
        response, content, whole = self._exchange(
            method, path, where, limit=limit, params=params, json=body
        )
        if not whole:
            raise wrong(where, f"the answer is longer than {MAX_BODY} bytes")
        reply = self._reply(response, content, where)
        if secret:
            reply = replace(reply, said="")
        if 200 <= reply.status < 300 or reply.status in accept:
            return reply
        raise self.refusal(reply)

    def _exchange(
        self, method: str, path: str, where: str, *, limit: float, **content: Any
    ) -> tuple[requests.Response, bytes, bool]:
        """Send and read. The session repeats what did not begin to answer (see ``retries``)."""
        safe = method in SAFE_METHODS
        # An answer to a read that breaks off is asked for once more.
        for last in (not safe or self.patience.attempts == 1, True):
            try:
                with self._session.request(
                    method,
                    self._base + path,
                    timeout=(self.patience.connect_timeout, limit),
                    allow_redirects=safe,
                    stream=True,
                    **content,
                ) as response:
                    return response, *read_body(response, limit=MAX_BODY, seconds=limit)
            except urllib3.exceptions.HTTPError as error:
                if last:
                    raise self._unreachable(where, error) from error
            except requests.RequestException as error:
                raise self._unreachable(where, error) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _reply(self, response: requests.Response, content: bytes, where: str) -> Reply:
        ids = [response.headers[name] for name in _REQUEST_IDS if name in response.headers]
        reason = said(content)
        for secret in self._authorization.secrets():
            reason = reason.replace(secret, "***")
        return Reply(
            status=response.status_code,
            content_type=clean(response.headers.get("Content-Type", ""), limit=80),
            body=content,
            where=f"{where} (request {clean(ids[0], limit=80)})" if ids else where,
            said=clean(reason),
            next=response.links.get("next", {}).get("url", ""),
        )

    def refusal(self, reply: Reply) -> OutsideError:
        """Make the error for an answer outside 2xx."""
        status = reply.status
        found = f"{reply.where}: {status}" + (f", {reply.said.rstrip('.')}" if reply.said else "")
        setting = self._key.setting if self._key else "its token"
        if status in (401, 403):
            return self._not_accepted(found)
        if status in (404, 410):
            return NotFound(
                found,
                remedy=f"Check the id in slipway.yml, and that the owner of {setting} may see it.",
            )
        if status == TOO_MANY:
            return OutsideError(
                f"{found}. Still over the rate limit after {self.patience.attempts} attempts",
                remedy="Nothing was carried out. Run again in a few minutes; fewer releases at "
                "once use fewer calls.",
            )
        if 300 <= status < 400:
            return OutsideError(
                f"{found}. It points to another address",
                remedy=f"Give the final address of {self.name} in the settings.",
            )
        if status >= 500:
            return OutsideError(
                found,
                remedy=f"{self.name} failed; whether the request was carried out is not known. "
                "Look at its status page, then run again.",
            )
        return OutsideError(
            f"{found} ({reply.content_type or 'no content type'})",
            remedy="The request was refused for the reason above; correct what it names.",
        )

    def _not_accepted(self, found: str) -> Unauthorized:
        if self._key is None:
            return Unauthorized(f"{found}. No key was sent", remedy=f"{self.name} wants a token.")
        setting = self._key.setting
        return Unauthorized(
            f"{found}. The key in {setting} was not accepted",
            remedy=f"Check that {setting} is complete, not expired, and allowed to do this. "
            f"{self._key.renew}",
        )

    def _unreachable(self, where: str, error: Exception) -> OutsideError:
        if isinstance(error, requests.TooManyRedirects):
            return OutsideError(
                f"{where}: more than {MAX_REDIRECTS} redirects",
                remedy=f"Check the address of {self.name} in the settings.",
            )
        host = urlsplit(self._base).netloc
        return Unreachable(
            f"{where}: {why(error)} ({host})",
            remedy=f"Check that {self.name} is up and that the runner may reach {host}; "
            "then run again.",
        )


def why(error: BaseException) -> str:
    """Say in a few words why there was no answer."""
    root = _root(error)
    if isinstance(error, requests.exceptions.SSLError):
        return f"the TLS certificate or connection is not good: {clean(str(root))}"
    if "refused" in str(root).lower():
        return "the connection was refused"
    for kinds, words in _WHY:
        if isinstance(root, kinds) or isinstance(error, kinds):
            return words
    return f"no answer ({type(root).__name__})"


def _root(error: BaseException) -> BaseException:
    """Return the reason inside the errors that requests and urllib3 wrap around it."""
    for _ in range(5):
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def _checked(name: str, base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise UsageError(
            f"The address of {name} is not a plain http(s) URL",
            remedy="Give it as https://host/path, without user name or password.",
        )
    return base_url.rstrip("/")
