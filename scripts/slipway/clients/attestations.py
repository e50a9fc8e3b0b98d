"""GitHub's attestations of a digest, as its API gives them.

``GET /repos/{owner}/{repo}/attestations/{digest}`` answers ``{"attestations": [{"bundle",
"bundle_url", "repository_id", "initiator"}]}``. Where ``bundle`` is ``null`` the bundle lies at
``bundle_url``: on another host, by an address that is itself the key, as raw Snappy. What a bundle
says, ids of the repository included, is decided on its certificate; nothing here is believed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from slipway.clients.bundles import Bundles
from slipway.clients.fields import Fields, wrong
from slipway.clients.github_rest import MOST_PAGES, PAGE, GitHubRest
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import ArtifactRefused, OutsideError, Unreachable
from slipway.gates.artifact import MOST_PROOFS
from slipway.gates.codes import Code
from slipway.ports import Proof, Proofs

PERMISSION: Final = "attestations: read"
GITHUBS_OWN: Final = "github"
"""Initiator of what GitHub attests of a release: no workflow has made it. A workflow's is
``user``."""


class Attestations(Proofs):
    """The attestations of one repository."""

    def __init__(
        self,
        token: str,
        *,
        repository: str,
        base_url: str,
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest = GitHubRest(
            token,
            repository=repository,
            base_url=base_url,
            patience=patience,
            notice=notice,
            sleep=sleep,
            clock=clock,
        )
        self._bundles = Bundles(
            beside=base_url, patience=self._rest.patience, notice=notice, sleep=sleep
        )

    def of(self, digest: str) -> Sequence[Proof]:
        """Return at most one more than are looked at; of too many, none is fetched.

        One that cannot be had is among them, broken: it hides no other. Raises
        :class:`ArtifactRefused` (``proof.source``) where the list cannot be read.
        """
        try:
            entries = self._entries(digest)
        except OutsideError as error:
            raise ArtifactRefused(Code.PROOF_SOURCE, error.found, remedy=error.remedy) from error
        names = [f"attestation {number}" for number in range(1, len(entries) + 1)]
        if len(entries) > MOST_PROOFS:
            return [Proof(name=name, raw=b"") for name in names]
        return [self._proof(*one) for one in zip(names, entries, strict=True)]

    def _entries(self, digest: str) -> Sequence[Fields]:
        found: list[Fields] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            reply = self._rest.get(
                f"/attestations/{quote(digest, safe=':')}",
                permission=PERMISSION,
                params={"per_page": PAGE} | ({"after": after} if after else {}),
                accept=frozenset({404}),
            )
            if reply.status == 404:  # there is none of this digest
                return found
            listed = reply.object().items("attestations")
            found += [entry for entry in listed if entry.raw.get("initiator") != GITHUBS_OWN]
            if len(found) > MOST_PROOFS:
                return found[: MOST_PROOFS + 1]
            if not reply.next:
                return found
            # Only the cursor is taken: the token is sent to no address that an answer names.
            after = next(iter(parse_qs(urlsplit(reply.next).query).get("after", ())), None)
            if after is None:
                raise wrong(reply.where, "the next page has no cursor (`after`)")
        raise wrong("GitHub, attestations", f"more than {MOST_PAGES} pages came")

    def _proof(self, name: str, entry: Fields) -> Proof:
        try:
            return Proof(name=name, raw=self._bundle(entry))
        except ArtifactRefused as error:
            return Proof(name=name, raw=b"", broken=error)
        except OutsideError as error:
            broken = ArtifactRefused(Code.PROOF_SOURCE, error.found, remedy=error.remedy)
            return Proof(name=name, raw=b"", broken=broken)

    def _bundle(self, entry: Fields) -> bytes:
        inline = entry.child_or_none("bundle")
        if inline is not None:
            return json.dumps(inline.raw).encode()
        url = entry.text_or_none("bundle_url")
        if not url:
            raise ArtifactRefused(
                Code.PROOF_FORM, "it has neither `bundle` nor the address of one (`bundle_url`)"
            )
        left = self._rest.left()
        if left <= 0:
            raise Unreachable(
                "there was no time left to fetch it",
                remedy="GitHub is slow: see githubstatus.com, then run again.",
            )
        return self._bundles.fetch(url, seconds=left)
