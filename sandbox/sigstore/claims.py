"""What a certificate says of the workflow that signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asn1crypto import core

PREFIX = "1.3.6.1.4.1.57264.1"
"""Fulcio's extensions: github.com/sigstore/fulcio, docs/oid-info.md."""
GITHUB_ACTIONS = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a certificate authority copies from the token of a GitHub workflow."""

    repository: str = "acme/shop"
    workflow: str = ".github/workflows/build.yml"
    """The workflow that was started."""
    ref: str = "refs/heads/main"
    commit: str = "a" * 40
    trigger: str = "push"
    runner: str = "github-hosted"
    issuer: str = GITHUB_ACTIONS
    repository_id: int = 1001
    owner_id: int = 77
    run: int = 1
    visibility: str = "public"
    signer: str = ""
    """URI of a reusable workflow, with its ref; empty: the workflow that was started signs."""
    signer_commit: str = ""
    """Of a reusable workflow."""
    server: str = "https://github.com"
    without: frozenset[int] = frozenset()
    """Extensions that are left out, by their last number."""
    more_names: tuple[str, ...] = ()
    """Further alternative names of the subject."""

    @property
    def source(self) -> str:
        """URI of the repository."""
        return f"{self.server}/{self.repository}"

    @property
    def build_config(self) -> str:
        """URI of the workflow that was started."""
        return f"{self.source}/{self.workflow}@{self.ref}"

    @property
    def build_signer(self) -> str:
        """URI of the workflow that signs, and the subject's name."""
        return self.signer or self.build_config

    @property
    def run_uri(self) -> str:
        return f"{self.source}/actions/runs/{self.run}/attempts/1"

    def extensions(self) -> Iterator[tuple[str, bytes]]:
        """Yield the extensions as object identifier and value."""
        # The first six are older, and hold the text itself.
        plain = (self.issuer, self.trigger, self.commit, "Build", self.repository, self.ref)
        encoded = (
            self.issuer,
            self.build_signer,
            self.signer_commit or self.commit,
            self.runner,
            self.source,
            self.commit,
            self.ref,
            str(self.repository_id),
            f"{self.server}/{self.repository.partition('/')[0]}",
            str(self.owner_id),
            self.build_config,
            self.commit,
            self.trigger,
            self.run_uri,
            self.visibility,
        )
        values = {number: text.encode() for number, text in enumerate(plain, 1)}
        values |= {number: core.UTF8String(text).dump() for number, text in enumerate(encoded, 8)}
        for number, value in values.items():
            if number not in self.without:
                yield f"{PREFIX}.{number}", value
