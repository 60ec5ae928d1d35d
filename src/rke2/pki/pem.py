"""Certificates and private keys in PEM files: reading them with messages for the operator, and writing keys.

A missing or empty file is None, not an error: it was never written, or the machine lost power while it was.
The caller writes it again. Anything else that cannot be understood was put there by somebody and is never
overwritten.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from rke2.errors import PKIError
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.catalog import KEY_MODE

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# RKE2's own CAs have serial number 0, which RFC 5280 forbids and `cryptography` warns of.
warnings.filterwarnings("ignore", message="Parsed a serial number which wasn't positive")

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----\r?\n?", re.DOTALL)


@dataclass(frozen=True)
class Certificates:
    """A certificate file: the certificate itself and the CAs behind it, in the order of the file."""

    path: Path
    pem: bytes
    chain: tuple[x509.Certificate, ...]

    @property
    def first(self) -> x509.Certificate:
        return self.chain[0]


def certificate_path(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.crt")


def key_path(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.key")


def read_certificates(path: Path) -> Certificates | None:
    """The certificates in `path`, None if there are none.

    Raises:
        PKIError: the file cannot be read or holds something else.
    """
    pem = read_file(path)
    return parse_certificates(path, pem) if pem else None


def parse_certificates(path: Path, pem: bytes) -> Certificates:
    """Like `read_certificates`, for content that is already in memory; `path` is for messages."""
    try:
        return Certificates(path, pem, tuple(x509.load_pem_x509_certificates(pem)))
    except ValueError as error:
        raise PKIError(f"{path} holds no readable certificate: {error}", _unreadable_remedy(path)) from error


def read_key(path: Path) -> PrivateKey | None:
    """The (first) private key in `path`, None if the file is missing or empty.

    Raises:
        PKIError: the file cannot be read, holds no key, an encrypted one, or one that is neither EC nor RSA.
    """
    pem = read_file(path)
    return parse_key(path, pem) if pem else None


def read_file(path: Path) -> bytes | None:
    """The content of `path`, None if the file is missing or empty."""
    try:
        return path.read_bytes() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise PKIError(
            f"{path} cannot be read: {error.strerror}", "check what the path is and who may read it"
        ) from error


def first_key_pem(path: Path, pem: bytes) -> bytes:
    """The first private key block of a file that may hold several, and ``EC PARAMETERS`` before them."""
    for block in _BLOCK.finditer(pem):
        if block[1].endswith(b"PRIVATE KEY"):
            return block[0]
    raise PKIError(f"{path} holds no private key in PEM form", _unreadable_remedy(path))


def parse_key(path: Path, pem: bytes) -> PrivateKey:
    """Like `read_key`, for content that is already in memory; `path` is for messages."""
    block = first_key_pem(path, pem)
    try:
        # Validating the primes of an RSA key takes longer than all the rest of a start; a wrong key is found
        # by comparing it with its certificate.
        key = serialization.load_pem_private_key(block, None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        raise PKIError(f"{path} is protected by a passphrase", "store the key without one") from error
    except ValueError as error:
        raise PKIError(f"{path} holds no readable private key: {error}", _unreadable_remedy(path)) from error
    if not isinstance(key, PrivateKey):
        raise PKIError(f"{path} is a {type(key).__name__}", "use an EC or an RSA key")
    return key


def public_keys(path: Path, pem: bytes) -> list[PublicKeyTypes]:
    """Every key of a file that may hold several, as its public half.

    Raises:
        PKIError: it holds none, or one that cannot be read.
    """
    found = []
    for block in _BLOCK.finditer(pem):
        try:
            if block[1].endswith(b"PRIVATE KEY"):
                found.append(serialization.load_pem_private_key(block[0], None).public_key())
            elif block[1].endswith(b"PUBLIC KEY"):
                found.append(serialization.load_pem_public_key(block[0]))
        except (TypeError, ValueError) as error:
            raise PKIError(f"{path} holds a key that cannot be read: {error}") from error
    if not found:
        raise PKIError(f"{path} holds no key in PEM form")
    return found


def _unreadable_remedy(path: Path) -> str:
    if path.stem.endswith(("-ca", "service")):
        return "put the original file back; every node and token depends on it"
    return "delete the file to have a new one made"


def restore_mode(path: Path, mode: int) -> None:
    """Give `path` its documented permissions back."""
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def new_ec_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_rsa_key() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_pem(key: PrivateKey) -> bytes:
    """`key` as ``EC PRIVATE KEY`` or ``RSA PRIVATE KEY``, the forms RKE2 writes."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def ensure_key(path: Path, make: Callable[[], PrivateKey] = new_ec_key) -> PrivateKey:
    """The key in `path`, made and stored durably if there is none.

    Keys are written before their certificates: a crash in between leaves a key that the next start certifies.
    """
    key = read_key(path)
    if key is None:
        key = make()
        ensure_dir(path.parent, 0o700)
        write_atomic(path, key_pem(key), KEY_MODE, durable=True)
    return key


def belongs_to(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """Whether `certificate` certifies `key`."""
    return key.public_key() == certificate.public_key()
