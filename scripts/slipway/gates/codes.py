"""Why a build is refused: one code for each reason, listed in docs/verify-artifact.md.

Of several proofs that are refused, the one whose code is furthest down says most. That is the order
in which they are looked at; only that a proof is about another build stands before all that is
wrong with one about this build.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A reason to refuse. ``part.reason``: what was looked at, and what was wrong with it."""

    POLICY_NONE = "policy.none"
    """slipway.yml has no policy."""
    POLICY_KIND = "policy.kind"
    """The policy says nothing of this kind of build: an image, or a commit."""
    INTERNAL = "internal"
    """What was looked at made a library, or Slipway itself, fail."""
    MISSING_PART = "missing-part"
    """What verifies it is not installed."""

    NOT_A_DIGEST = "subject.not-a-digest"
    """The build is not named by ``sha256:<64 hex>``."""
    PROOF_SOURCE = "proof.source"
    """Whoever keeps the proofs did not answer as documented."""
    PROOF_NONE = "proof.none"
    """There is none for this build."""
    PROOF_MANY = "proof.too-many"
    """There are more than are looked at."""
    PROOF_SIZE = "proof.size"
    """It is larger than any proof is."""
    PROOF_FORM = "proof.form"
    """It is not what a proof looks like: not JSON, not Snappy, members that are missing."""
    SUBJECT_DIGEST = "subject.digest"
    """It is about another build."""

    ROOT_PIN = "root.pin"
    """The trusted root is another file than the one that was pinned."""
    ROOT_FORM = "root.form"
    """The trusted root cannot be read, or is not one of the instance that is asked for."""
    BUNDLE_NO_LOG = "bundle.no-log"
    """It is in no transparency log, and the instance has one."""
    BUNDLE_SIGNATURE = "bundle.signature"
    """The signature is not of this content."""
    BUNDLE_TIME = "bundle.time"
    """No trusted clock says when it was signed."""
    BUNDLE_CERTIFICATE = "bundle.certificate"
    """Its certificate comes from nobody who is trusted, or was not valid when it was used."""
    BUNDLE_LOG = "bundle.log"
    """Its entry in the transparency log is not as it must be, or is of something else."""
    KEY_TRUST = "key.trust-file"
    """The file of trusted keys cannot be read."""
    KEY_UNTRUSTED = "key.untrusted"
    """No trusted key has made this signature."""
    KEY_TIME = "key.time"
    """The key that made it was not, or is no longer, trusted."""
    KEY_REVOKED = "key.revoked"
    """The key that made it is revoked."""

    IDENTITY_MISSING = "identity.missing"
    """The certificate does not say who signed."""
    IDENTITY_ISSUER = "identity.issuer"
    IDENTITY_REPOSITORY = "identity.repository"
    IDENTITY_REPOSITORY_ID = "identity.repository-id"
    IDENTITY_OWNER_ID = "identity.owner-id"
    IDENTITY_WORKFLOW = "identity.workflow"
    """Another workflow signed, or the workflow at another ref."""
    IDENTITY_REF = "identity.ref"
    IDENTITY_RUNNER = "identity.runner"
    IDENTITY_TRIGGER = "identity.trigger"
    IDENTITY_COMMIT = "identity.commit"
    """It was built from another commit than the one that is released."""
    AGE_OLD = "age.too-old"
    AGE_FUTURE = "age.future"
    """It was signed later than now."""

    STATEMENT_PAYLOAD = "statement.payload-type"
    STATEMENT_FORM = "statement.form"
    STATEMENT_TYPE = "statement.type"
    STATEMENT_PREDICATE = "statement.predicate"
    STATEMENT_BUILD_TYPE = "statement.build-type"
    STATEMENT_SOURCE = "statement.source"
    """It names another source than the certificate."""
    STATEMENT_COMMIT = "statement.commit"
    """It names another commit than the certificate, or none."""

    COMMIT_UNSIGNED = "commit.unsigned"
    """GitHub does not call the signature of the commit valid."""
    COMMIT_UNVERIFIABLE = "commit.unverifiable"
    """GitHub could not look at the signature just now."""
    COMMIT_COMMITTER = "commit.committer"
    """It is signed by somebody who is not named."""
    COMMIT_BRANCH = "commit.branch"
    """It is not on the branch, or the branch is not protected."""
    COMMIT_CHECK_MISSING = "commit.check-missing"
    COMMIT_CHECK_APP = "commit.check-app"
    """A check of this name is there, and from another app."""
    COMMIT_CHECK_RUNNING = "commit.check-running"
    """A check has not ended yet."""
    COMMIT_CHECK_FAILED = "commit.check-failed"

    STAGING_NONE = "staging.none"
    """The build has not passed staging."""
    STAGING_BAD = "staging.bad"
    """The newest word of staging is that the build is bad."""
    STAGING_OLD = "staging.too-old"
    STAGING_APPROVAL = "staging.approval"
    """Too few of those who must approve have."""

    @property
    def may_pass_later(self) -> bool:
        """Whether nothing has to be mended: a workflow that the same push started is not done."""
        return self in (Code.COMMIT_CHECK_MISSING, Code.COMMIT_CHECK_RUNNING)

    @property
    def stage(self) -> int:
        """How far a proof came before it was refused for this."""
        return list(Code).index(self)
