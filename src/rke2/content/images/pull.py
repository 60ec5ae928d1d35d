"""Images for our own use from registries, with the rules of ``registries.yaml`` that containerd follows for pods."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from rke2.config.model import ImageSettings, NodeConfig, RuntimeSettings
from rke2.content.images import oci_archive
from rke2.content.images.store import ImageStore
from rke2.content.registries.endpoints import RegistryEndpoint, RegistryHost, hosts
from rke2.content.registries.settings import Auth, Registries, RegistryTLS, load_registries
from rke2.content.registries.spelling import canonical, normalize_endpoint, registry_of
from rke2.errors import ConfigError
from rke2.host.architecture import oci_architecture
from rke2.registry import keychain, providers
from rke2.registry import pull as registry
from rke2.registry.meter import Meter
from rke2.registry.patience import PullPatience
from rke2.registry.pull import PulledImage
from rke2.registry.reference import ImageReference
from rke2.registry.source import RegistryCredentials, Source, Trust

StoredCredentials = Callable[[str], RegistryCredentials | None]


async def pull_image(
    settings: ImageSettings,
    text: str,
    directory: Path,
    *,
    meter: Meter | None = None,
    say: Callable[[str], None] = lambda reason: None,
    patience: PullPatience | None = None,
    runtime: RuntimeSettings | None = None,
) -> PulledImage:
    """Fetch the image `text` into `directory`, as ``registries.yaml`` says.

    Credentials it does not have come from the kubelet's credential providers or, without any, from docker's files.

    Args:
        runtime: where the providers are; None for docker's files.

    Raises:
        ContentError: `text` is no reference; no registry gives the image; the disk is full.
        ConfigError: ``registries.yaml`` cannot be used.
    """
    reference = ImageReference.parse(text)
    configured = load_registries(settings.private_registry)
    sources = await asyncio.to_thread(
        sources_of,
        configured,
        reference,
        disable_default=settings.disable_default_registry_endpoint,
        stored=_stored(runtime, reference),
    )
    return await registry.pull(
        reference, sources, directory, oci_architecture(), meter=meter, say=say, patience=patience
    )


async def pull_into(store: ImageStore, config: NodeConfig, text: str) -> None:
    """Fetch an image ourselves and hand it to containerd, which knows none of the kubelet's credential providers.

    Raises:
        ContentError: as `pull_image`, or containerd refuses it.
    """
    with tempfile.TemporaryDirectory(prefix=".rke2-pull-", dir=config.paths.data) as scratch:
        image = await pull_image(
            config.images, text, Path(scratch), patience=PullPatience(rounds=1), runtime=config.runtime
        )
        await store.import_stream(lambda sink: oci_archive.write([image], sink))


def _stored(runtime: RuntimeSettings | None, reference: ImageReference) -> StoredCredentials:
    """As the kubelet does it, a provider is asked about the image, and all mirrors get its answer."""
    if runtime:
        programs, config = runtime.credential_provider_bin_dir, runtime.credential_provider_config
        if providers.usable(programs, config):
            return lambda host: providers.credentials(programs, config, reference)
    return keychain.credentials


def sources_of(
    configured: Registries,
    reference: ImageReference,
    *,
    disable_default: bool = False,
    stored: StoredCredentials = keychain.credentials,
) -> tuple[Source, ...]:
    """Where `reference` is looked for, in order: the mirrors of its registry, then the registry itself.

    Args:
        stored: finds credentials that ``registries.yaml`` does not have.

    Raises:
        ConfigError: an endpoint or credentials cannot be understood.
    """
    host = _host(configured, reference.host, disable_default)
    own = host.last or RegistryEndpoint("")
    if not own.url:  # of ``*``: the registry itself
        own = RegistryEndpoint(
            normalize_endpoint(reference.host)[0], config=configured.config(reference.host)
        )
    return tuple(source_of(endpoint, reference.host, stored) for endpoint in (*host.mirrors, own))


def source_of_endpoint(
    configured: Registries, endpoint: str, stored: StoredCredentials = keychain.credentials
) -> Source:
    """A registry given by its address, with what ``configs`` says of it.

    Raises:
        ConfigError: it is no address, or its credentials cannot be understood.
    """
    url, override = normalize_endpoint(endpoint)
    host = registry_of(url)
    return source_of(RegistryEndpoint(url, override, configured.config(host)), host, stored)


def _host(configured: Registries, name: str, disable_default: bool) -> RegistryHost:
    found = hosts(configured, disable_default=disable_default)
    return found.get(canonical(name)) or found.get("_default") or RegistryHost((), None)


def source_of(
    endpoint: RegistryEndpoint, registry_host: str = "", stored: StoredCredentials = lambda host: None
) -> Source:
    """An endpoint of ``registries.yaml`` as our client sees it.

    Args:
        registry_host: the registry it may be a mirror of.
    """
    tls = endpoint.config.tls or RegistryTLS()
    host = registry_of(endpoint.url)
    mirror = not registry_host or host != canonical(registry_host)
    return Source(
        url=endpoint.url.rstrip("/"),
        namespace=registry_host if mirror else "",
        credentials=_credentials(endpoint.config.auth, host) or stored(host),
        trust=Trust(tls.ca_file, tls.cert_file, tls.key_file, tls.insecure_skip_verify),
        rewrites=endpoint.rewrites,
    )


def _credentials(auth: Auth | None, host: str) -> RegistryCredentials | None:
    if auth is None:
        return None
    try:
        return keychain.decode(
            {
                "username": auth.username,
                "password": auth.password,
                "auth": auth.auth,
                "identitytoken": auth.identity_token,
            }
        )
    except ValueError as error:
        raise ConfigError(
            f"registries.yaml: configs.{host}.auth: {error}", "write username and password instead"
        ) from error
