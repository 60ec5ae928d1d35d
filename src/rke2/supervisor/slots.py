"""What the supervisor serves and trusts, and what may be exchanged while it runs.

::

    slot ── exchange(new) ──▶ everything derived from it is made again ──▶ stamp + 1 ──▶ listeners are told
                                        │ one cannot be made
                                        ▼
                              the old value stays, with all that was derived from it; the exchange raises

Whoever needs such a value holds the slot, not what is in it, and so has the new one with the next request or the next
connection. All of this happens on the event loop without a pause, so nobody sees one half of an exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rke2.join.passwd import Passwd
from rke2.pki.catalog import CLIENT_CA, SERVER_CA
from rke2.pki.pem import certificate_path

T = TypeVar("T")


class Slot(Generic[T]):
    """A value that can be exchanged."""

    def __init__(self, value: T) -> None:
        self._value, self._stamp = value, 0
        self._derived: list[Derived[Any]] = []
        self._listeners: list[Callable[[], None]] = []

    @property
    def value(self) -> T:
        """What is in the slot now."""
        return self._value

    @property
    def stamp(self) -> int:
        """How often the value was exchanged: who keeps something made of it sees by this that it is stale."""
        return self._stamp

    def exchange(self, value: T) -> bool:
        """Put `value` in place of what is there; False if it is that already.

        Raises:
            Exception: what making a derived value raised; the old value is still there, and so is all that is derived.
        """
        if value == self._value:
            return False
        # In its place already: `make` looks into the slots.
        before, self._value = self._value, value
        try:
            made = [(each, each.make()) for each in self._derived]
        except BaseException:
            self._value = before
            raise
        # Only when all could be made: nobody sees some of the new value and some of the old one.
        for each, new in made:
            each.value = new
        self._stamp += 1
        # A copy: a listener may be one that listens no more once it was told.
        for listener in list(self._listeners):
            listener()
        return True

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (which must not block) after each exchange.

        Returns:
            what ends that; a listener that ends before the slot must call it once.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


class Derived(Generic[T]):
    """Something made of slots, as a TLS context is of certificates; made again whenever one of them is exchanged.

    Args:
        make: makes it of what is in the slots at that moment.
        slots: whose exchange makes it stale.

    Attributes:
        value: the latest one.
    """

    def __init__(self, make: Callable[[], T], *slots: Slot[Any]) -> None:
        self.make, self.value = make, make()
        for slot in slots:
            slot._derived.append(self)


@dataclass(frozen=True)
class Passwords:
    """Every password that lets somebody in.

    Args:
        passwd: of servers and of agents.
        agents: further passwords of agents.
    """

    passwd: Passwd
    agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slots:
    """What can be exchanged in a running supervisor, beside its serving certificate (`GrowingCertificate.slot`).

    Args:
        server_ca: PEM bundle by which clients check servers; its first certificate signs the serving certificate.
        client_ca: PEM bundle of the authorities whose client certificates are accepted.
        passwords: who may authenticate with a password.
    """

    server_ca: Slot[bytes]
    client_ca: Slot[bytes]
    passwords: Slot[Passwords]

    @classmethod
    def read(cls, tls: Path, passwords: Passwords) -> Slots:
        """With the authorities in the folder `tls`.

        Raises:
            OSError: one of them cannot be read.
        """
        return cls(Slot(_bundle(tls, SERVER_CA.file)), Slot(_bundle(tls, CLIENT_CA.file)), Slot(passwords))

    def read_authorities(self, tls: Path) -> bool:
        """Take over what is in the folder `tls` now, certificates and keys; whether anything is another.

        Raises:
            OSError: a bundle cannot be read; nothing has changed.
            PKIError, ssl.SSLError: one of them cannot be used; it has not changed.
        """
        # Both are read before one is exchanged: a file that is missing leaves everything as it was.
        server_ca, client_ca = _bundle(tls, SERVER_CA.file), _bundle(tls, CLIENT_CA.file)
        # Both, whatever the first one says.
        changed = [self.client_ca.exchange(client_ca), self.server_ca.exchange(server_ca)]
        return any(changed)


def _bundle(tls: Path, name: str) -> bytes:
    return certificate_path(tls / name).read_bytes()
