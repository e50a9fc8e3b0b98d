"""Bundles that lie beside GitHub's API: fetched without a token, and unpacked within bounds."""

from __future__ import annotations

import ipaddress
import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from slipway.clients.http import why
from slipway.clients.plain import plain_session
from slipway.clients.replies import clean, read_body
from slipway.clients.retries import BoundedRetry, Notice, Patience, Sleep
from slipway.errors import ArtifactRefused, OutsideError, Unreachable
from slipway.gates.artifact import MOST_BYTES
from slipway.gates.codes import Code

_REMEDY: Final = (
    "Run again; where it stays so, fetch the bundle with `gh attestation download` and give the "
    "file as `proof`."
)


class Bundles:
    """Fetches bundles by their address. No token, no cookie and no ``.netrc`` is sent along.

    The address is signed and short-lived, so no error repeats more of it than the host.
    """

    def __init__(self, *, beside: str, patience: Patience, notice: Notice, sleep: Sleep) -> None:
        """``beside``: GitHub's API. Only if that is on this machine may bundles be, in plain."""
        self._local = _on_this_machine(urlsplit(beside))
        self._patience = patience
        self._session = session = plain_session()
        # Packed once more it could grow beyond any bound that is read from it.
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "slipway"})
        retries = BoundedRetry(
            patience=patience, name="GitHub's storage of bundles", notice=notice, pause=sleep
        )
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))

    def fetch(self, url: str, *, seconds: float) -> bytes:
        """Return a bundle, unpacked, within ``seconds`` (each try).

        Raises :class:`ArtifactRefused` (``proof.form``, ``proof.size``) for what is no bundle, and
        :class:`OutsideError` where it cannot be had. A redirect is not followed: the address is
        GitHub's word, and where another one leads is nobody's.
        """
        host = self._allowed(url)
        began = time.monotonic()
        for last in (self._patience.attempts == 1, True):
            left = seconds - (time.monotonic() - began)
            try:
                return unpack(self._read(url, host, max(0.1, left)))
            except urllib3.exceptions.HTTPError as error:  # the answer broke off
                if last:
                    raise _unreachable(host, error) from error
            except (requests.RequestException, UnicodeError) as error:
                raise _unreachable(host, error) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _read(self, url: str, host: str, seconds: float) -> bytes:
        limit = min(seconds, self._patience.read_timeout)
        with self._session.get(
            url,
            timeout=(self._patience.connect_timeout, limit),
            allow_redirects=False,
            stream=True,
        ) as response:
            if response.status_code != 200:
                raise OutsideError(
                    f"{host} answered {response.status_code} instead of the bundle",
                    remedy=_REMEDY,
                )
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
        unpacked = bytes(cramjam.snappy.decompress_raw(content))
    except Exception as error:  # its own error type is not among its public names
        raise ArtifactRefused(Code.PROOF_FORM, "it is neither JSON nor raw Snappy") from error
    if len(unpacked) != size:
        raise ArtifactRefused(Code.PROOF_FORM, "unpacked it has another size than it says")
    return unpacked


def _declared(content: bytes) -> int:
    """Return the size that raw Snappy declares: a little-endian varint of at most 32 bits."""
    size = 0
    for place, byte in enumerate(content[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 128:
            return size
    raise ArtifactRefused(Code.PROOF_FORM, "it is neither JSON nor raw Snappy")


def _on_this_machine(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _unreachable(host: str, error: Exception) -> Unreachable:
    return Unreachable(f"the bundle at {host} did not come: {why(error)}", remedy=_REMEDY)
