"""The API server of this node, when it shows a certificate that has been renewed since.

kube-apiserver reads every certificate again but the one with which it asks the supervisor for connections to nodes: the
files of its egress selector are read once, when it starts. A year later it would reach no kubelet any more. The renewed
certificate has the same key, and lies in a file that is no secret: whoever can show the earlier one could show it as
well, so nothing is gained by refusing. A new key (``rke2 certificate rotate``) ends that, and so does a new authority.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from rke2.errors import PKIError
from rke2.pki.authority import Subject
from rke2.pki.pem import certificate_path, read_certificates

FILE = "client-kube-apiserver"


class EarlierCertificate:
    """Knows earlier certificates of this node's API server.

    Args:
        tls: folder of the server's certificates.
    """

    def __init__(self, tls: Path) -> None:
        self._path = certificate_path(tls / FILE)

    def subject(self, shown: bytes, now: datetime | None = None) -> Subject | None:
        """Whom an expired certificate names, if a valid one with the same key and the same name has taken its place.

        Args:
            shown: DER; that an authority of clients has signed it is known.
        """
        moment = now or datetime.now(UTC)
        earlier = x509.load_der_x509_certificate(shown)
        # For the expired alone: one that is not valid yet, or was
        # refused for its names, does not get in this way.
        if moment <= earlier.not_valid_after_utc:
            return None
        current = self._current()
        if current is None or not current.not_valid_before_utc <= moment <= current.not_valid_after_utc:
            return None
        same = earlier.subject == current.subject and earlier.public_key() == current.public_key()
        return Subject.read(current.subject) if same else None

    def _current(self) -> x509.Certificate | None:
        try:
            found = read_certificates(self._path)
        except PKIError:
            # A file that cannot be read vouches for nobody.
            return None
        return found.first if found else None
