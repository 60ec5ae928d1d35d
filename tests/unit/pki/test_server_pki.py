"""The certificates of a server through their life: made, kept, renewed, repaired, refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.errors import PKIError
from rke2.pki.authority import SigningAuthority, find_authority
from rke2.pki.catalog import (
    AGENT_LEAVES,
    AUTHORITIES,
    CLIENT_CA,
    ETCD_MEMBER_LEAVES,
    SERVER_LEAVES,
    Usage,
)
from rke2.pki.issue import Wanted
from rke2.pki.names import AltNames
from rke2.pki.pem import belongs_to, key_pem, new_rsa_key, read_certificates, read_key
from rke2.pki.server_pki import ensure_server_pki
from tests.authorities import certify, new_key, pem, place, place_under_root
from tests.configs import paths_under, server_config
from tests.snapshots import snapshot

FILES = len(AUTHORITIES) + len(SERVER_LEAVES) + 1
WRITES = 2 * (FILES - 1) + len(("client-ca.nochain.crt", "server-ca.nochain.crt")) + 2


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return server_config(paths_under(tmp_path))


@pytest.fixture
def made(config: NodeConfig) -> NodeConfig:
    """A configuration whose certificates exist."""
    ensure_server_pki(config)
    return config


def renamed(path: Path, tls: Path) -> str:
    return str(path.relative_to(tls))


def renewals(config: NodeConfig) -> dict[str, str]:
    """What a start renews, and why."""
    report = ensure_server_pki(config)
    return {renamed(path, config.paths.tls): reason for path, reason in report.renewed.items()}


def openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def openssl_verifies(leaf: Path, trusted: Path, *options: str) -> None:
    openssl("verify", "-CAfile", trusted, "-untrusted", leaf, *options, leaf)


# --- made and kept ---------------------------------------------------------------------------------


def test_a_first_start_makes_everything_in_less_than_a_second(config: NodeConfig) -> None:
    begin = time.process_time()
    report = ensure_server_pki(config)
    assert time.process_time() - begin < 1
    assert (len(report.created), report.renewed, report.kept) == (FILES, {}, ())


def test_a_second_start_writes_nothing_and_is_quick(made: NodeConfig) -> None:
    before = snapshot(made.paths.data_dir)
    begin = time.process_time()
    report = ensure_server_pki(made)
    assert time.process_time() - begin < 0.05
    assert len(report.kept) == FILES
    assert not report.changed
    assert snapshot(made.paths.data_dir) == before


def test_openssl_accepts_every_leaf_for_its_purpose(made: NodeConfig) -> None:
    tls = made.paths.tls
    for leaf in SERVER_LEAVES:
        for usage, purpose in {Usage.CLIENT: "sslclient", Usage.SERVER: "sslserver"}.items():
            if usage in leaf.usage:
                openssl_verifies(
                    tls / f"{leaf.file}.crt", tls / f"{leaf.authority.file}.crt", "-purpose", purpose
                )


@pytest.mark.filterwarnings("ignore:Attribute.s length must be")
@pytest.mark.parametrize("length", [52, 53, 63])
def test_a_node_may_have_every_name_that_kubernetes_allows(tmp_path: Path, length: int) -> None:
    """Its common name is longer than the bound that cryptography enforces and Go does not know."""
    named = server_config(paths_under(tmp_path), node={"name": "n" * length})
    ensure_server_pki(named)
    assert not ensure_server_pki(named).changed
    tls = named.paths.tls
    for authority, certificate in signed_for_the_node(named).items():
        (tmp_path / "leaf.crt").write_bytes(certificate)
        openssl_verifies(tmp_path / "leaf.crt", tls / f"{authority}.crt")
        subject = x509.load_pem_x509_certificate(certificate).subject
        assert subject.rfc4514_string().startswith("CN=system:node:" + "n" * length)


def signed_for_the_node(config: NodeConfig) -> dict[str, bytes]:
    """What a server certifies for the kubelet's client certificate, by the CA's file."""
    (leaf,) = (
        each for each in AGENT_LEAVES if "system:node" in each.common_name and each.usage is Usage.CLIENT
    )
    authority, wanted = find_authority(config.paths.tls, leaf.authority), Wanted.on_node(leaf, config)
    assert authority
    key = new_key().public_key()
    return {leaf.authority.file: authority.sign(key, wanted.subject, wanted.usage, wanted.names)}


def test_a_server_without_etcd_has_no_member_certificates(config: NodeConfig, tmp_path: Path) -> None:
    without = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(disabled=True)})
    ensure_server_pki(without)
    made = {path.name for path in (without.paths.tls / "etcd").glob("*.crt")}
    assert made == {"server-ca.crt", "peer-ca.crt", "client.crt"}


def test_permissions_are_restored(made: NodeConfig) -> None:
    certificate, key = (made.paths.tls / f"client-admin.{suffix}" for suffix in ("crt", "key"))
    certificate.chmod(0o600)
    key.chmod(0o644)
    ensure_server_pki(made)
    assert (certificate.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o644, 0o600)


def test_the_first_of_several_service_account_keys_signs(config: NodeConfig) -> None:
    first, second = key_pem(new_rsa_key()), key_pem(new_rsa_key())
    tls = config.paths.tls
    tls.mkdir(parents=True)
    (tls / "service.key").write_bytes(first + second)
    ensure_server_pki(config)
    assert (tls / "service.current.key").read_bytes() == first
    assert (tls / "service.key").read_bytes() == first + second


# --- renewed ---------------------------------------------------------------------------------------


def reissue(config: NodeConfig, lifetime: timedelta) -> None:
    """Give client-admin a certificate with `lifetime` left."""
    leaf = SERVER_LEAVES[0]
    tls = config.paths.tls
    authority, key = find_authority(tls, leaf.authority), read_key(tls / f"{leaf.file}.key")
    assert authority
    assert key
    wanted = Wanted.on_node(leaf, config)
    content = authority.sign(key.public_key(), wanted.subject, wanted.usage, wanted.names, lifetime)
    (tls / f"{leaf.file}.crt").write_bytes(content)


@pytest.mark.parametrize(
    ("lifetime", "reasons"),
    [
        (timedelta(days=122), {}),
        (timedelta(days=121, hours=1), {"client-admin.crt": "it expires in 121 days"}),
        (timedelta(minutes=-1), {"client-admin.crt": "it has expired"}),
    ],
)
def test_leaves_near_their_end_are_renewed(
    config: NodeConfig, lifetime: timedelta, reasons: dict[str, str]
) -> None:
    authority = new_key()
    place(
        config.paths.tls / "client-ca",
        pem(certify("an hour old", authority, "an hour old", authority)),
        authority,
    )
    ensure_server_pki(config)
    reissue(config, lifetime)
    key = (config.paths.tls / "client-admin.key").read_bytes()
    assert renewals(config) == reasons
    assert (config.paths.tls / "client-admin.key").read_bytes() == key
    assert renewals(config) == {}


def test_a_new_name_renews_what_carries_it(made: NodeConfig, tmp_path: Path) -> None:
    more = server_config(paths_under(tmp_path), network={"tls_sans": ("rke2.example.org",)})
    serving = {"serving-kube-apiserver.crt", "etcd/server-client.crt", "etcd/peer-server-client.crt"}
    assert renewals(more) == dict.fromkeys(serving, "it does not name rke2.example.org")


def test_names_beyond_those_needed_renew_nothing(made: NodeConfig, tmp_path: Path) -> None:
    """As RKE2: what it issued, or what was issued before ``tls-san`` lost a name, is kept; etcd need not restart."""
    more = server_config(
        paths_under(tmp_path), network={"tls_sans": ("rke2.example.org", ip_address("203.0.113.9"))}
    )
    assert renewals(more)
    assert renewals(made) == {}


def test_rke2s_pairs_of_etcd_are_kept(made: NodeConfig) -> None:
    """RKE2 names its socket in both pairs, and the service ``kubernetes`` in neither."""
    tls = made.paths.tls
    for leaf in (leaf for leaf in SERVER_LEAVES if leaf.file in ETCD_MEMBER_LEAVES):
        authority, key = find_authority(tls, leaf.authority), read_key(tls / f"{leaf.file}.key")
        assert authority and key
        names = AltNames.of(
            "kine.sock", "localhost", "node1", "127.0.0.1", "::1", "192.0.2.1", "10.43.0.1", "extra.example"
        )
        wanted = Wanted.on_node(leaf, made)
        content = authority.sign(key.public_key(), wanted.subject, wanted.usage, names)
        (tls / f"{leaf.file}.crt").write_bytes(content)
    assert renewals(made) == {}


def test_etcds_pairs_do_not_pose_as_the_kubernetes_api(made: NodeConfig) -> None:
    for file in ETCD_MEMBER_LEAVES:
        certificate = x509.load_pem_x509_certificates((made.paths.tls / f"{file}.crt").read_bytes())[0]
        names = AltNames.read(certificate).dns
        assert "kine.sock" in names
        assert not [name for name in names if name.startswith("kubernetes")]


@pytest.mark.parametrize("keep_key", [True, False])
def test_another_ca_renews_what_it_signs(made: NodeConfig, keep_key: bool) -> None:
    stem = made.paths.tls / CLIENT_CA.file
    key = read_key(stem.with_suffix(".key")) if keep_key else new_key()
    place(stem, pem(certify("other", key, "other", key)), key)  # type: ignore[arg-type]
    signed = {f"{leaf.file}.crt" for leaf in SERVER_LEAVES if leaf.authority == CLIENT_CA}
    assert renewals(made) == dict.fromkeys(signed, "the CA has changed")
    nochain = made.paths.tls / "client-ca.nochain.crt"
    assert nochain.read_bytes() == stem.with_suffix(".crt").read_bytes()
    assert renewals(made) == {}


def test_a_longer_bundle_is_put_behind_the_leaves(made: NodeConfig) -> None:
    bundle = made.paths.tls / "request-header-ca.crt"
    extra = new_key()
    bundle.write_bytes(bundle.read_bytes() + pem(certify("old root", extra, "old root", extra)))
    assert renewals(made) == {"client-auth-proxy.crt": "the CA bundle has changed"}
    assert (made.paths.tls / "client-auth-proxy.crt").read_bytes().endswith(bundle.read_bytes())


def test_a_leaf_of_another_key_is_issued_for_the_key(made: NodeConfig) -> None:
    key = new_key()
    (made.paths.tls / "client-admin.key").write_bytes(key_pem(key))
    assert set(renewals(made)) == {"client-admin.crt"}
    certificates = read_certificates(made.paths.tls / "client-admin.crt")
    assert certificates
    assert belongs_to(key, certificates.first)


# --- supplied by the administrator -----------------------------------------------------------------


def test_a_ca_below_an_own_root_is_used(config: NodeConfig, tmp_path: Path) -> None:
    tls = config.paths.tls
    issuing, above, root = place_under_root(tls / "server-ca")
    bundle = issuing + above
    ensure_server_pki(config)
    assert (tls / "server-ca.crt").read_bytes() == bundle
    assert (tls / "serving-kube-apiserver.crt").read_bytes().endswith(bundle)
    assert (tls / "server-ca.nochain.crt").read_bytes() == issuing
    (tmp_path / "root.crt").write_bytes(root)
    openssl_verifies(tls / "serving-kube-apiserver.crt", tmp_path / "root.crt")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_keys_made_with_openssl_are_understood(config: NodeConfig) -> None:
    """``openssl ecparam -genkey`` puts EC PARAMETERS before the key; RKE2's own CAs have serial number 0."""
    tls = config.paths.tls
    tls.mkdir(parents=True)
    key, certificate = tls / "client-ca.key", tls / "client-ca.crt"
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-out", key)
    serial = ("-subj", "/CN=own", "-set_serial", "0", "-days", "30")
    openssl("req", "-x509", "-new", "-key", key, "-out", certificate, *serial)
    before = (tls / "client-ca.crt").read_bytes()
    ensure_server_pki(config)
    assert (tls / "client-ca.crt").read_bytes() == before
    openssl_verifies(tls / "client-admin.crt", tls / "client-ca.crt")


# --- refused ---------------------------------------------------------------------------------------


def expired(tls: Path) -> None:
    key, now = new_key(), datetime.now(UTC)
    certificate = certify("old", key, "old", key, begin=now - timedelta(days=9), end=now - timedelta(days=1))
    place(tls / "server-ca", pem(certificate), key)


def from_the_future(tls: Path) -> None:
    key, now = new_key(), datetime.now(UTC)
    certificate = certify("new", key, "new", key, begin=now + timedelta(days=1), end=now + timedelta(days=9))
    place(tls / "server-ca", pem(certificate), key)


def of_another_key(tls: Path) -> None:
    key = new_key()
    place(tls / "server-ca", pem(certify("own", key, "own", key)), new_key())


def without_key(tls: Path) -> None:
    (tls / "server-ca.key").unlink()


def not_a_ca(tls: Path) -> None:
    key = new_key()
    place(tls / "server-ca", pem(certify("leaf", key, "leaf", key, ca=False)), key)


def locked(tls: Path) -> None:
    key = new_key()
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    place(tls / "server-ca", pem(certify("own", key, "own", key)), encrypted)


def of_a_strange_kind(tls: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tls / "server-ca.key").write_bytes(key)


def garbage(name: str) -> Callable[[Path], Any]:
    return lambda tls: (tls / name).write_bytes(
        b"-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n"
    )


def truncated(name: str) -> Callable[[Path], Any]:
    return lambda tls: os.truncate(tls / name, 90)


def directory(tls: Path) -> None:
    (tls / "client-admin.crt").unlink()
    (tls / "client-admin.crt").mkdir()


@pytest.mark.parametrize(
    ("spoil", "file", "what"),
    [
        (expired, "server-ca.crt", "expired"),
        (from_the_future, "server-ca.crt", "not valid before"),
        (of_another_key, "server-ca.key", "not the key of"),
        (without_key, "server-ca.key", "missing"),
        (not_a_ca, "server-ca.crt", "not a certificate authority"),
        (locked, "server-ca.key", "passphrase"),
        (of_a_strange_kind, "server-ca.key", "Ed25519"),
        (garbage("server-ca.crt"), "server-ca.crt", "no readable certificate"),
        (garbage("server-ca.key"), "server-ca.key", "no private key"),
        (garbage("client-admin.crt"), "client-admin.crt", "no readable certificate"),
        (truncated("client-admin.key"), "client-admin.key", "no private key"),
        (truncated("service.key"), "service.key", "no private key"),
        (directory, "client-admin.crt", "cannot be read"),
    ],
)
def test_unusable_files_are_named_and_nothing_is_written(
    made: NodeConfig, spoil: Callable[[Path], Any], file: str, what: str
) -> None:
    spoil(made.paths.tls)
    (made.paths.tls / "client-supervisor.crt").unlink()
    before = snapshot(made.paths.data_dir)
    with pytest.raises(PKIError, match=what) as caught:
        ensure_server_pki(made)
    assert str(made.paths.tls / file) in caught.value.message
    assert caught.value.remedy
    assert snapshot(made.paths.data_dir) == before


# --- killed ----------------------------------------------------------------------------------------


def start_and_die(config: NodeConfig, at: int) -> bool:
    """Run the first start in a child that is killed before its `at`-th rename; False if it ended by itself."""
    child = os.fork()
    if child == 0:
        _die_before_rename(at)
        ensure_server_pki(config)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9


def _die_before_rename(at: int) -> None:
    remaining = at

    def hook(event: str, _: tuple[Any, ...]) -> None:
        nonlocal remaining
        if event == "os.rename":
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), 9)

    sys.addaudithook(hook)


@pytest.mark.parametrize("at", [*range(1, WRITES, 4), WRITES])
def test_a_start_killed_at_any_write_is_completed_by_the_next(config: NodeConfig, at: int) -> None:
    assert start_and_die(config, at)
    tls = config.paths.tls
    keys = {path: path.read_bytes() for path in tls.rglob("[!.]*.key")}
    authorities = {path: path.read_bytes() for path in tls.rglob("[!.]*-ca.crt")}
    ensure_server_pki(config)
    assert all(path.read_bytes() == content for path, content in {**keys, **authorities}.items())
    assert len(ensure_server_pki(config).kept) == FILES
    openssl_verifies(tls / "client-admin.crt", tls / "client-ca.crt")


@pytest.mark.parametrize("name", ["client-admin.crt", "client-admin.key", "server-ca.crt", "service.key"])
def test_files_emptied_by_a_power_cut_are_made_again(made: NodeConfig, name: str) -> None:
    os.truncate(made.paths.tls / name, 0)
    ensure_server_pki(made)
    assert (made.paths.tls / name).stat().st_size > 0
    assert len(ensure_server_pki(made).kept) == FILES


def test_signing_uses_the_earliest_begin_of_the_chain(made: NodeConfig) -> None:
    authority = find_authority(made.paths.tls, CLIENT_CA)
    assert isinstance(authority, SigningAuthority)
    leaf = x509.load_pem_x509_certificate((made.paths.tls / "client-admin.crt").read_bytes())
    assert leaf.not_valid_before_utc == authority.bundle.first.not_valid_before_utc
