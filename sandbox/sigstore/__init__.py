"""A whole Sigstore on this machine: certificates, log and clock, with keys made anew each time.

It proves nothing to anybody: its root is trusted only where a test or the demonstration says so.
"""

from sandbox.sigstore.bundles import IN_TOTO, Sigstore
from sandbox.sigstore.claims import Claims
from sandbox.sigstore.statements import provenance

__all__ = ["IN_TOTO", "Claims", "Sigstore", "provenance"]
