"""Bundles that lie beside GitHub's API: fetched without a token, and unpacked within bounds."""

from __future__ import annotations

import ipaddress
import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3

from slipway.background import in_thread, within
from slipway.clients.http import why
from slipway.clients.plain import plain_session
from slipway.clients.replies import clean, read_body
from slipway.clients.retries import PASSING_STATUSES, TOO_MANY, Notice, Patience, Sleep
from slipway.errors import ArtifactRefused, OutsideError, Unreachable
from slipway.gates.codes import Code
from slipway.gates.strict import MOST_BYTES

_REMEDY: Final = (
    "Run again; where it stays so, fetch the bundle with `gh attestation download` and give the "
    "file as `proof`."
)
_PASSING: Final = PASSING_STATUSES | {TOO_MANY}


class Bundles:
    """Fetches bundles by their address. No token, no cookie and no ``.netrc`` is sent along.

    The address is signed and short-lived, so no error repeats more of it than the host.
    """

    def __init__(self, *, beside: str, patience: Patience, notice: Notice, sleep: Sleep) -> None:
        """``beside``: GitHub's API. Only if that is on this machine may bundles be, in plain."""
        self._local = _on_this_machine(urlsplit(beside))
        self._patience = patience
        self._notice = notice
        self._sleep = sleep
        self._session = session = plain_session()
        # Packed once more it could grow beyond any bound that is read from it.
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "slipway"})

    def fetch(self, url: str, *, seconds: float) -> bytes:
        """Return a bundle, unpacked, within ``seconds`` (plus what one try takes).

        Raises :class:`ArtifactRefused` (``proof.form``, ``proof.size``) for what is no bundle, and
        :class:`OutsideError` where it cannot be had. A redirect is not followed: the address is
        GitHub's word, and where another one leads is nobody's.
        """
        host = self._allowed(url)
        ends = time.monotonic() + seconds
        # Not urllib3's own retries: they write the address to the log.
        for attempt in range(1, self._patience.attempts + 1):
            last = attempt == self._patience.attempts or time.monotonic() >= ends
            try:
                content = self._within(url, host, last=last)
            except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
                if last:
                    # Without its cause, whose words hold the address.
                    raise Unreachable(
                        f"the bundle at {host} did not come: {why(error)}", remedy=_REMEDY
                    ) from None
            else:
                if content is not None:
                    return unpack(content)
            pause = min(self._patience.backoff_max, self._patience.backoff * 2 ** (attempt - 1))
            self._notice(f"The bundle at {host} did not come: again in {pause:.1f} s")
            self._sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _within(self, url: str, host: str, *, last: bool) -> bytes | None:
        """Read within a try's time, whatever trickles in: even what comes before the answer."""
        seconds = self._patience.connect_timeout + 3 * self._patience.read_timeout
        what = f"the bundle at {host} did not come"
        return within(in_thread, seconds, what, lambda: self._read(url, host, last=last))

    def _read(self, url: str, host: str, *, last: bool) -> bytes | None:
        """Return what lies there; ``None``: it is away for a moment, and this was not the last."""
        limit = self._patience.read_timeout
        with self._session.get(
            url,
            timeout=(self._patience.connect_timeout, limit),
            allow_redirects=False,
            stream=True,
        ) as response:
            status = response.status_code
            if not last and status in _PASSING:
                return None
            if status != 200:
                raise OutsideError(f"{host} answered {status}, no bundle", remedy=_REMEDY)
            content, whole = read_body(response, limit=MOST_BYTES, seconds=limit)
        if not whole:
            raise ArtifactRefused(Code.PROOF_SIZE, f"it has more than {MOST_BYTES} bytes")
        return content

    def _allowed(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, user = parts.hostname, parts.username
        except ValueError:
            host = None
        if host is None or user is not None:
            raise ArtifactRefused(Code.PROOF_FORM, "the address of the bundle is no plain URL")
        plain = parts.scheme == "http" and self._local and _on_this_machine(parts)
        if parts.scheme != "https" and not plain:
            raise ArtifactRefused(
                Code.PROOF_FORM, f"its address is {clean(parts.scheme, limit=20)}://, not https://"
            )
        return clean(host, limit=100)


def unpack(content: bytes) -> bytes:
    """Return the JSON of a bundle that came as raw Snappy, or as it is.

    Raw Snappy begins with the size of what is inside, seven bits a byte; the first byte is below
    128 only for less than 128 bytes, and no bundle is that small. JSON begins below 128.
    Raises :class:`ArtifactRefused` (``proof.size``, ``proof.form``, ``missing-part``).
    """
    if not content:
        raise ArtifactRefused(Code.PROOF_FORM, "it is empty")
    if content[0] < 128:
        return content
    size = _declared(content)
    if size > MOST_BYTES:
        raise ArtifactRefused(Code.PROOF_SIZE, f"unpacked it has {size} bytes")
    try:
        import cramjam  # noqa: PLC0415 - only where GitHub keeps bundles packed
    except ImportError as error:
        raise ArtifactRefused(
            Code.MISSING_PART,
            "what unpacks it is not installed: cramjam",
            remedy="The actions install it; in an environment of your own: pip install -r "
            "requirements/verify.txt.",
        ) from error
    try:
        return bytes(cramjam.snappy.decompress_raw(content))
    except Exception as error:  # its own error type is not among its public names
        raise ArtifactRefused(Code.PROOF_FORM, "it is neither JSON nor raw Snappy") from error


def _declared(content: bytes) -> int:
    """Return the size that raw Snappy declares: a little-endian varint of at most 32 bits."""
    size = 0
    for place, byte in enumerate(content[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 128:
            return size
    raise ArtifactRefused(Code.PROOF_FORM, "it is neither JSON nor raw Snappy")


def _on_this_machine(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
