"""Requests that are nobody's: no key, no cookie, no retry."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
import urllib3
from requests.auth import AuthBase

FAILURES: Final = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)
"""What a request raises where there is no whole answer."""


def plain_session() -> requests.Session:
    """Return a session without credentials, not even those of a ``.netrc``, and without cookies."""
    session = requests.Session()
    session.auth = _Nobody()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": "slipway-probe", "Cache-Control": "no-cache"})
    return session


class _Nobody(AuthBase):
    """Replaces what a ``.netrc`` would give."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request
