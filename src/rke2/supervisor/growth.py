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
from rke2.pki.lifetime import leaf_lifetime
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
from rke2.supervisor.slots import Derived, Slot
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
        server_ca: whose first certificate signs; when it is exchanged, so is a certificate that another one signed.
        client_ca: whose client certificates are accepted.
        admits: whether a name that is not in the certificate may be added.

    Attributes:
        slot: the certificate. What is put there is served, and stored.

    Raises:
        ConfigError: TLS settings cannot be used.
        PKIError: the server CA cannot be used.
    """

    def __init__(
        self,
        config: NodeConfig,
        server_ca: Slot[bytes],
        client_ca: Slot[bytes],
        admits: Callable[[str], bool],
    ) -> None:
        self._config, self._client_ca, self._admits = config, client_ca, admits
        # Its key is read from the disk: whoever exchanges the bundle has put the key of its first certificate there.
        self._authority = Derived(lambda: serving_authority(config), server_ca)
        self.slot = Slot(ensure_serving_certificate(config))
        self._names = Derived(lambda: frozenset(self.current.names.entries()), self.slot)
        # A context of its own each time, never the old one with other files: its tickets would let a client go on
        # with what it has shown under the old one.
        self._context = Derived(self._new_context, self.slot, client_ca)
        self._unsaved = asyncio.Event()
        # An event, not the store itself: an exchange may happen
        # within a handshake, which must not wait for a disk.
        self.slot.listen(self._unsaved.set)
        server_ca.listen(self._follow_authority)

    @property
    def current(self) -> ServingCertificate:
        return self.slot.value

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context.value

    def gain(self, name: str, *, proven: bool = False) -> None:
        """Add `name`, a DNS name or an address as text, if it is one, is new, and is `proven` or admitted.

        Args:
            proven: it is an address of this machine, as the kernel says.
        """
        name = _canonical(name)
        if not name or name in self._names.value or not (proven or self._admits(name)):
            return
        if len(self._names.value) >= _MOST_NAMES:
            log.debug("The certificate of the supervisor names too much already to add %s", name)
            return
        log.info("Adding %s to the certificate of the supervisor", name)
        self.slot.exchange(self._issue(self.current.names | AltNames.of(name)))

    def merge(self, other: ServingCertificate) -> None:
        """Take over what another server's certificate has that this one has not.

        All servers end with the same certificate: one that names everything is adopted with its key.
        """
        # Clients refuse a certificate of another authority, so it is
        # not taken over; the Secret gets this server's.
        if other == self.current or not issued_by(other.parsed(), self._authority.value.bundle.first):
            return
        if serves(other, self.current.names | initial_names(self._config), self._authority.value):
            self.slot.exchange(other)
        # Else this one has every name of the other, and takes its place in the Secret.
        elif not self.current.names.covers(other.names):
            self.slot.exchange(self._issue(self.current.names | other.names))

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
            await asyncio.to_thread(store, self._config, self.current)
        except BaseException:
            # Also for who runs this the next time, if this time ends here.
            self._unsaved.set()
            raise

    async def _renew(self) -> None:
        # Certificates may live for a day only (CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS):
        # six hours would be a quarter of that.
        check = min(_RENEWAL_CHECK_SECONDS, leaf_lifetime().total_seconds() / 30)
        pause = check
        while True:
            await asyncio.sleep(pause)
            pause = check
            try:
                self.renew_if_due()
            except PKIError as error:
                log.error("The certificate of the supervisor cannot be renewed: %s", error)
                pause = min(_RENEWAL_RETRY_SECONDS, check)

    def renew_if_due(self) -> None:
        """Issue it again, with a new key, when it expires soon or another authority signs by now.

        Raises:
            PKIError: the server CA cannot be used any more.
        """
        if not serves(self.current, AltNames(), self._authority.value):
            # Read again: its files may have been replaced by somebody who exchanged no slot.
            self._authority.value = self._authority.make()
            self._reissue()

    def _reissue(self) -> None:
        """Issue it again, with a new key and the names it has."""
        self.slot.exchange(issue(self._authority.value, self.current.names))

    def _follow_authority(self) -> None:
        """Be signed by the authority that signs now; one that only came into the bundle changes nothing."""
        if not issued_by(self.current.parsed(), self._authority.value.bundle.first):
            self._reissue()

    def _issue(self, names: AltNames) -> ServingCertificate:
        return issue(self._authority.value, names, self.current.private_key())

    def _new_context(self) -> ssl.SSLContext:
        context = server_context(self._config, self.current, self._client_ca.value)
        context.sni_callback = self._on_server_name
        return context

    def _on_server_name(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """During the handshake: even the connection that brings a new name is served with it."""
        if name:
            self.gain(name)
            if self.context is not context:
                connection.context = self.context


def _canonical(name: str) -> str:
    """`name` as the certificate has it, empty if it is neither a DNS name nor an address one may connect to."""
    try:
        address = ip_address(name)
    except ValueError:
        lower = name.lower()
        return lower if is_dns_name(lower) else ""
    nobody = address.is_unspecified or address.is_multicast or address.is_link_local or "%" in name
    return "" if nobody else str(unmapped(address))
