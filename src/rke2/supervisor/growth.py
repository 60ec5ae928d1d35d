"""The serving certificate while the server runs: it gains the names by which clients reach this server.

Mirrors the supervisor reference §1.1 and the controllers reference §6.6. A name may come from the address a client
connected to, the name it asked for in TLS, or a Host header that is an address; wildcards are never added. With
``tls-san-security`` only addresses of this machine and of server nodes are, besides what the certificate had from the
start. RKE2 adds any name as long as it does not know the nodes, so whoever comes first may put names there for good.
The filter is on unless it is switched off, whatever some releases have; addresses are compared as such, not in RKE2's
debug form.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from ipaddress import ip_address

from rke2.config.model import NodeConfig
from rke2.config.names import is_dns_name
from rke2.errors import PKIError
from rke2.host.addresses import unmapped
from rke2.kube.backoff import Backoff
from rke2.pki.issue import issued_by
from rke2.pki.names import AltNames
from rke2.supervisor.serving import (
    ServingCertificate,
    ensure_serving_certificate,
    initial_names,
    issue,
    serves,
    serving_authority,
    store,
)
from rke2.supervisor.tls import server_context

log = logging.getLogger(__name__)

_MOST_NAMES = 250
"""Nobody may make the certificate grow without end; ours, RKE2 has no limit."""
_RENEWAL_CHECK_SECONDS = 6 * 3600.0
_RENEWAL_RETRY_SECONDS = 300.0
_STORE_AGAIN = (1.0, 60.0)
"""Seconds until a certificate that could not be stored is stored again: the first time, and at most."""


class GrowingCertificate:
    """The certificate in use and its TLS context; changes hold from the next connection on.

    Args:
        config: the server's configuration; its CAs must exist.
        admits: whether a name that is not in the certificate may be added.

    Raises:
        ConfigError: TLS settings cannot be used.
        PKIError: the server CA cannot be used.
    """

    def __init__(self, config: NodeConfig, admits: Callable[[str], bool]) -> None:
        self._config, self._admits = config, admits
        self._authority = serving_authority(config)
        self._certificate = ensure_serving_certificate(config)
        self._names = frozenset(self._certificate.names.entries())
        self._context = self._new_context()
        self._unsaved = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def current(self) -> ServingCertificate:
        return self._certificate

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (which must not block) whenever the certificate has changed.

        Returns:
            what ends that; a listener that ends before the certificate must call it once.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def gain(self, name: str, *, proven: bool = False) -> None:
        """Add `name`, a DNS name or an address as text, if it is one, is new, and is `proven` or admitted.

        Args:
            proven: it is an address of this machine, as the kernel says.
        """
        name = _canonical(name)
        if not name or name in self._names or not (proven or self._admits(name)):
            return
        if len(self._names) >= _MOST_NAMES:
            log.debug("The certificate of the supervisor names too much already to add %s", name)
            return
        log.info("Adding %s to the certificate of the supervisor", name)
        self._replace(self._issue(self._certificate.names | AltNames.of(name)))

    def merge(self, other: ServingCertificate) -> None:
        """Take over what another server's certificate has that this one has not.

        All servers end with the same certificate: one that names everything is adopted with its key.
        """
        if other == self._certificate or not issued_by(other.parsed(), self._authority.bundle.first):
            return
        if serves(other, self._certificate.names | initial_names(self._config), self._authority):
            self._replace(other)
        elif not self._certificate.names.covers(other.names):
            self._replace(self._issue(self._certificate.names | other.names))

    async def run(self) -> None:
        """Store changes and renew in time, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._save_changes())
            tasks.create_task(self._renew())

    async def _save_changes(self) -> None:
        backoff, told = Backoff(*_STORE_AGAIN), ""
        while True:
            await self._unsaved.wait()
            try:
                await self._save()
            except OSError as error:
                # Not the whole message: it names another temporary file each time.
                reason = error.strerror or str(error)
                if reason != told:
                    log.error("The certificate of the supervisor cannot be stored: %s; trying again", error)
                told = reason
                await backoff.sleep()
                continue
            if told:
                log.info("The certificate of the supervisor is stored now")
            backoff.reset()
            told = ""

    async def _save(self) -> None:
        # Before it is read: a change while it is being stored is the next one to store.
        self._unsaved.clear()
        try:
            await asyncio.to_thread(store, self._config, self._certificate)
        except BaseException:
            # Also for who runs this the next time, if this time ends here.
            self._unsaved.set()
            raise

    async def _renew(self) -> None:
        pause = _RENEWAL_CHECK_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = _RENEWAL_CHECK_SECONDS
            try:
                self.renew_if_due()
            except PKIError as error:
                log.error("The certificate of the supervisor cannot be renewed: %s", error)
                pause = _RENEWAL_RETRY_SECONDS

    def renew_if_due(self) -> None:
        """Issue it again, with a new key, when it expires soon.

        Raises:
            PKIError: the server CA cannot be used any more.
        """
        if not serves(self._certificate, AltNames(), self._authority):
            self._authority = serving_authority(self._config)
            self._replace(issue(self._authority, self._certificate.names))

    def _issue(self, names: AltNames) -> ServingCertificate:
        return issue(self._authority, names, self._certificate.private_key())

    def _replace(self, certificate: ServingCertificate) -> None:
        self._certificate = certificate
        self._names = frozenset(certificate.names.entries())
        self._context = self._new_context()
        self._unsaved.set()
        for listener in self._listeners:
            listener()

    def _new_context(self) -> ssl.SSLContext:
        context = server_context(self._config, self._certificate)
        context.sni_callback = self._on_server_name
        return context

    def _on_server_name(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """During the handshake: even the connection that brings a new name is served with it."""
        if name:
            self.gain(name)
            if self._context is not context:
                connection.context = self._context


def _canonical(name: str) -> str:
    """`name` as the certificate has it, empty if it is neither a DNS name nor an address one may connect to."""
    try:
        address = ip_address(name)
    except ValueError:
        lower = name.lower()
        return lower if is_dns_name(lower) else ""
    nobody = address.is_unspecified or address.is_multicast or address.is_link_local or "%" in name
    return "" if nobody else str(unmapped(address))
