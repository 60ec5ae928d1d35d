"""Certificate signing requests of agents: their public key, and nothing else of them.

Subject, names and extensions that a request asks for are not looked at: what a certificate says is for the server to
decide (`certificates`, `kubelet_names`).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from rke2.supervisor.status import bad_request

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192
"""Bits. Go's TLS, which all clients of a kubelet use, takes no larger keys; they would only cost time to verify."""
_GOOD_KEYS = f"ECDSA with P-256, P-384 or P-521, Ed25519, or RSA with {_SMALLEST_RSA} to {_LARGEST_RSA} bits"


def public_key(body: bytes) -> CertificatePublicKeyTypes | None:
    """The key in a DER PKCS#10 request, None if the body is not one: the client is an old agent.

    Raises:
        StatusError: 400, the key must not be certified, or the request is not signed with it.
    """
    try:
        request = x509.load_der_x509_csr(body)
    except (ValueError, x509.InvalidVersion):
        return None
    try:
        key = request.public_key()
        # Before the signature: verifying it with a huge key takes long.
        good = _is_good(key)
        signed = good and request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        good = signed = False
    if not good:
        raise bad_request(f"the key of the certificate signing request is not supported; use {_GOOD_KEYS}")
    if not signed:
        raise bad_request("the certificate signing request is not signed by its key")
    return key


def _is_good(key: CertificatePublicKeyTypes) -> bool:
    match key:
        case ec.EllipticCurvePublicKey():
            return isinstance(key.curve, _CURVES)
        case rsa.RSAPublicKey():
            return _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA
        case _:
            return isinstance(key, ed25519.Ed25519PublicKey)
