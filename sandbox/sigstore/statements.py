"""What is signed: a statement about a build, as GitHub's attestation actions write it."""

from __future__ import annotations

from typing import Any

from sandbox.sigstore.claims import Claims


def provenance(
    digest_hex: str, claims: Claims, *, name: str = "registry.sandbox/shop/bot", **over: Any
) -> dict[str, Any]:
    """Return an in-toto statement with SLSA provenance that agrees with ``claims``.

    ``digest_hex``: 64 hex digits; ``name``: of the subject; ``over``: members of the statement
    that are to be others.
    """
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest_hex.removeprefix("sha256:")}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {
                    "workflow": {
                        "ref": claims.ref,
                        "repository": claims.source,
                        "path": claims.workflow,
                    }
                },
                "internalParameters": {
                    "github": {
                        "event_name": claims.trigger,
                        "repository_id": str(claims.repository_id),
                        "repository_owner_id": str(claims.owner_id),
                        "runner_environment": claims.runner,
                    }
                },
                "resolvedDependencies": [
                    {
                        "uri": f"git+{claims.source}@{claims.ref}",
                        "digest": {"gitCommit": claims.commit},
                    }
                ],
            },
            "runDetails": {
                "builder": {"id": claims.build_signer},
                "metadata": {"invocationId": claims.run_uri},
            },
        },
    } | over
