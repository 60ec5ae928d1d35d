"""``PUT /v1-rke2/cert/cacerts`` over the wire, ``rke2 certificate rotate-ca`` against it, the script for new CAs."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.cli import main
from rke2.config.model import NodeConfig
from rke2.join import bootstrap_encryption
from rke2.join.bootstrap import BootstrapData, BootstrapEntry
from rke2.join.reconcile import reconcile
from rke2.join.shared import SharedKeys
from rke2.join.tokens import ca_hash
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.kubeconfigs import ensure_agent_kubeconfigs, ensure_server_kubeconfigs
from rke2.pki.pem import key_pem, new_rsa_key
from rke2.pki.server_pki import ensure_server_pki
from rke2.staticpods import etcd_config, writer
from rke2.staticpods.admission import write_policies
from tests.authorities import certify, new_key, pem
from tests.configs import paths_under, server_config
from tests.contract.supervisor.harness import NODE, SERVER, TOKEN, Supervisor, supervisor
from tests.contract.test_staticpods import MEMBER, pods
from tests.unit.join.test_store import Memory, store_in
from tests.unit.supervisor.client import Answer

PATH = "/v1-rke2/cert/cacerts"
SCRIPT = Path(__file__).parents[3] / "packaging/rke2-new-cas.sh"
AUTHORITIES = ("ServerCA", "ClientCA", "RequestHeaderCA", "ETCDServerCA", "ETCDPeerCA")


@pytest.fixture
def etcd() -> Memory:
    return Memory()


@pytest.fixture
def running(tmp_path: Path, etcd: Memory) -> Iterator[Supervisor]:
    def shared(config: NodeConfig) -> SharedKeys:
        data = BootstrapData.read(config.paths.server, complain=False)
        etcd.set(bootstrap_encryption.storage_key(TOKEN), bootstrap_encryption.encrypt(data.to_json(), TOKEN))
        return SharedKeys(config.paths, etcd)

    with supervisor(tmp_path / "node", shared=shared) as made:
        yield made


@pytest.fixture
def new_cas(running: Supervisor, tmp_path: Path) -> Path:
    """What our script makes of the authorities of the server."""
    made = tmp_path / "new"
    run_script("-f", str(running.config.paths.server), str(made))
    return made


def run_script(*words: str) -> str:
    done = subprocess.run(["sh", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(directory: Path) -> BootstrapData:
    return BootstrapData.read(directory, complain=False)


def put(running: Supervisor, data: BootstrapData, force: str = "false", user: str = SERVER) -> Answer:
    return running.ask("PUT", f"{PATH}?force={force}", user, body=data.to_json())


def stored(running: Supervisor, etcd: Memory) -> BootstrapData:
    data = running.run(store_in(etcd, TOKEN).load())
    assert data
    return data


def only(**contents: bytes) -> BootstrapData:
    return BootstrapData({key: BootstrapEntry(content) for key, content in contents.items()})


def unrelated(name: str = "other") -> tuple[bytes, bytes]:
    """A bundle of two and its key, that nobody knows."""
    root, issuing = new_key(), new_key()
    chain = pem(certify(name, issuing, "other root", root), certify("other root", root, "other root", root))
    return chain, key_pem(issuing)


def test_what_the_script_makes_is_in_the_bootstrap_data_and_on_no_disk(
    running: Supervisor, etcd: Memory, new_cas: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before, disk = stored(running, etcd), read(running.config.paths.server)
    answer = put(running, read(new_cas))
    assert (answer.status, answer.body) == (204, b"")
    assert "certificate: Cluster Certificate Authority data has been updated, rke2 must be restarted." in (
        caplog.text
    )
    after, sent = stored(running, etcd), read(new_cas)
    assert {key: after.entries[key].content for key in sent.entries} == {
        key: entry.content for key, entry in sent.entries.items()
    }
    others = before.entries.keys() - sent.entries.keys()
    assert "PasswdFile" in others
    assert all(after.entries[key] == before.entries[key] for key in others)
    assert read(running.config.paths.server) == disk
    marker = running.tls / "dynamic-cert-regenerate"
    assert marker.read_bytes() == b""


def test_every_server_takes_them_over_when_it_starts(
    running: Supervisor, etcd: Memory, new_cas: Path
) -> None:
    assert put(running, read(new_cas)).status == 204
    paths = running.config.paths
    changed = reconcile(stored(running, etcd), paths.server)
    assert {path.name for path in changed} >= {"server-ca.crt", "server-ca.key", "peer-ca.crt", "service.key"}
    former = (paths.tls / "client-admin.key").read_bytes()
    report = ensure_server_pki(running.config)
    running.run(ensure_agent_pki(running.config, LocalSigner(running.config)))
    issued = {path.name for path in report.renewed}
    assert {"client-admin.crt", "serving-kube-apiserver.crt", "peer-server-client.crt"} <= issued
    assert (
        (paths.tls / "client-admin.crt").read_bytes().endswith((new_cas / "tls/client-ca.crt").read_bytes())
    )
    assert (paths.tls / "client-admin.key").read_bytes() == former
    # And nothing is left to do for the start after it.
    assert reconcile(stored(running, etcd), paths.server) == []
    assert not ensure_server_pki(running.config).renewed


def test_static_pods_are_replaced_that_have_mounted_them(
    running: Supervisor, etcd: Memory, new_cas: Path
) -> None:
    """What they read at their start alone would else stay the former; the start after it replaces nothing."""
    manifests = [started(running) for _ in range(2)]
    assert put(running, read(new_cas)).status == 204
    reconcile(stored(running, etcd), running.config.paths.server)
    manifests += [started(running) for _ in range(2)]
    former, same, replaced, same_again = manifests
    assert former == same
    assert replaced == same_again
    assert former.keys() == {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
    }
    assert {name for name in former if former[name] != replaced[name]} == former.keys()


def started(running: Supervisor) -> dict[str, str]:
    """The manifests of static pods, by name, as a start has them."""
    config = running.config
    ensure_server_pki(config)
    running.run(ensure_agent_pki(config, LocalSigner(config)))
    ensure_server_kubeconfigs(config)
    ensure_agent_kubeconfigs(config, {})
    write_policies(config)
    etcd_config.write(config, etcd_config.document(config, MEMBER, etcd_config.single_member(config, MEMBER)))
    return {pod.name: json.dumps(writer.render(pod, Path("/pods/of.yaml"), {})) for pod in pods(config)}


def test_what_is_not_sent_stays(
    running: Supervisor, etcd: Memory, new_cas: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before, sent = stored(running, etcd), read(new_cas)
    part = BootstrapData({key: sent.entries[key] for key in ("ServerCA", "ServerCAKey")})
    assert put(running, part).status == 204
    after = stored(running, etcd)
    assert {key for key in after.entries if after.entries[key] != before.entries[key]} == set(part.entries)
    assert "Using current data for ClientCA: it was not sent" in caplog.text
    assert "Using current data for ServerCA:" not in caplog.text


def test_a_rotation_that_no_server_has_taken_over_can_be_taken_back(
    running: Supervisor, etcd: Memory, new_cas: Path
) -> None:
    former = read(running.config.paths.server)
    assert put(running, read(new_cas)).status == 204
    assert put(running, only()).status == 204
    assert reconcile(stored(running, etcd), running.config.paths.server) == []
    assert read(running.config.paths.server) == former


def test_passwords_and_the_like_are_not_exchanged(running: Supervisor, etcd: Memory) -> None:
    before = stored(running, etcd)
    assert put(running, only(PasswdFile=b"x,server,server,", EncryptionConfig=b"{}")).status == 204
    assert stored(running, etcd) == before


# --- refusals --------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", AUTHORITIES)
def test_unknown_authorities_are_refused_and_named_unless_forced(
    running: Supervisor, etcd: Memory, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = stored(running, etcd)
    chain, private = unrelated()
    wanted = only(**{key: chain, f"{key}Key": private})
    answer = put(running, wanted)
    assert answer.status == 500
    assert answer.message.startswith("Internal error occurred: certificate error ID ")
    assert (
        f": failed to validate new CA certificates and keys: {key}: new CA cert cannot be verified using old CA "
        "chain: "
    ) in answer.message
    assert stored(running, etcd) == before
    assert not (running.tls / "dynamic-cert-regenerate").exists()

    assert put(running, wanted, "true").status == 204
    assert "Save of CA certificates and keys forced, ignoring validation errors: " in caplog.text
    assert stored(running, etcd).entries[key].content == chain


def test_all_that_is_wrong_is_told_at_once(running: Supervisor) -> None:
    server, server_key = unrelated()
    client = certify("alone", (key := new_key()), "alone", key)
    answer = put(
        running,
        only(
            ServerCA=server,
            ServerCAKey=server_key,
            ClientCA=pem(client),
            ClientCAKey=key_pem(key),
            ServiceKey=key_pem(new_rsa_key()),
        ),
    )
    assert "ServerCA: new CA cert cannot be verified using old CA chain" in answer.message
    assert "ClientCA: new CA bundle contains only a single certificate" in answer.message
    assert "ServiceKey: old ServiceAccount signing key not in new ServiceAccount key list" in answer.message


@pytest.mark.parametrize("force", ["false", "true"])
def test_what_no_server_could_start_with_is_refused_even_if_forced(
    running: Supervisor, etcd: Memory, force: str
) -> None:
    before = stored(running, etcd)
    chain, private = unrelated()
    for wanted, why in {
        "ServerCA: new CA cert and key cannot be loaded as X590KeyPair": only(ServerCA=chain),
        "ClientCA: new CA cert and key cannot be loaded as X590KeyPair": only(ClientCAKey=private),
        "ETCDPeerCA: tls/etcd/peer-ca.crt holds no readable certificate": only(ETCDPeerCA=b"nonsense"),
        "ETCDServerCA: tls/etcd/server-ca.key holds no private key": only(ETCDServerCAKey=b"nonsense"),
        "ServiceKey: tls/service.key holds no private key": only(ServiceKey=b"nonsense"),
    }.items():
        answer = put(running, why, force)
        assert answer.status == 500
        assert wanted in answer.message
    assert stored(running, etcd) == before


def test_only_servers_may_and_only_put(running: Supervisor) -> None:
    assert put(running, only(), user=NODE).status == 403
    assert put(running, only(), user="").status == 403
    assert running.ask("POST", PATH, SERVER, body=b"{}").status == 405
    assert running.ask("PUT", PATH, SERVER, body=b"[").status == 500
    assert running.ask("PUT", PATH, SERVER, body=b" " * 600_000).status == 413


def test_chains_of_long_keys_find_room(running: Supervisor) -> None:
    """RSA of 4096 bits in chains of four are more than what other requests may have."""
    assert running.ask("PUT", PATH, SERVER, body=b"{}" + b" " * 200_000).status == 204


# --- the command -----------------------------------------------------------------------------------
def command(running: Supervisor, *words: str) -> int:
    where = ("--server", f"https://127.0.0.1:{running.port}")
    data = ("--data-dir", str(running.config.paths.data_dir))
    return main(["certificate", "rotate-ca", *where, *data, *words])


def test_the_command(
    running: Supervisor, etcd: Memory, new_cas: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(running, "--path", str(new_cas)) == 0
    first, restart, tokens, agents = capsys.readouterr().out.splitlines()
    assert first == "certificates saved to datastore"
    assert restart == "Start rke2 again on every server, one after the other, then on every agent."
    new = ca_hash((new_cas / "tls/server-ca.crt").read_bytes())
    assert tokens.startswith(f"Full tokens begin with K10{new} then")
    assert "server/agent-token" in agents
    assert stored(running, etcd).entries["ServerCA"].content == (new_cas / "tls/server-ca.crt").read_bytes()


def test_the_command_tells_why_it_is_refused(
    running: Supervisor, etcd: Memory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_script(str(tmp_path / "unknown"))
    before = stored(running, etcd)
    assert command(running, "--path", str(tmp_path / "unknown")) == 1
    err = capsys.readouterr().err
    assert "see server log for details: Internal error occurred: certificate error ID " in err
    assert "ClientCA: new CA cert cannot be verified using old CA chain" in err
    assert stored(running, etcd) == before
    assert command(running, "--path", str(tmp_path / "unknown"), "--force") == 0
    assert stored(running, etcd) != before


def test_a_directory_without_authorities_is_no_request(
    running: Supervisor, new_cas: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(running, "--path", str(new_cas / "tls")) != 0
    assert "name the directory that contains tls, not tls itself" in capsys.readouterr().err


# --- the script ------------------------------------------------------------------------------------
def test_a_new_cluster_begins_with_what_the_script_makes(tmp_path: Path) -> None:
    run_script(str(tmp_path / "new"))
    config = server_config(paths_under(tmp_path / "node"))
    config.paths.server.mkdir(parents=True)
    (tmp_path / "new/tls").rename(config.paths.tls)
    bundle = (config.paths.tls / "server-ca.crt").read_bytes()
    ensure_server_pki(config)
    assert (config.paths.tls / "serving-kube-apiserver.crt").read_bytes().endswith(bundle)


def test_authorities_of_the_script_are_followed_by_others_of_it(
    running: Supervisor, etcd: Memory, new_cas: Path, tmp_path: Path
) -> None:
    assert put(running, read(new_cas)).status == 204
    reconcile(stored(running, etcd), running.config.paths.server)
    run_script("-f", str(running.config.paths.server), str(tmp_path / "third"))
    assert put(running, read(tmp_path / "third")).status == 204


def test_only_what_the_outside_sees_is_under_the_given_root(tmp_path: Path) -> None:
    """Who trusts a root trusts all below it: etcd would trust the certificates of kubelets."""
    given = tmp_path / "given"
    given.mkdir()
    key = new_key()
    (given / "root-ca.crt").write_bytes(root := pem(certify("ours", key, "ours", key)))
    (given / "root-ca.key").write_bytes(key_pem(key))
    run_script("-r", str(given), str(tmp_path / "new"))
    under = {path.stem for path in (tmp_path / "new/tls").glob("*.crt") if path.read_bytes().endswith(root)}
    assert under == {"server-ca", "client-ca"}
    roots = [path.read_bytes() for path in (tmp_path / "new/roots").glob("*.crt")]
    assert len(set(roots)) == len(roots) == 3


def test_the_script_writes_over_nothing(tmp_path: Path) -> None:
    run_script(str(tmp_path / "new"))
    before = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    done = subprocess.run(["sh", SCRIPT, tmp_path / "new"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "name another directory" in done.stderr
    assert all(path.read_bytes() == content for path, content in before.items())
    assert all(path.stat().st_mode & 0o077 == 0 for path in before)


def test_the_body_is_json_of_rke2s_form(running: Supervisor, etcd: Memory, new_cas: Path) -> None:
    """Also without times, as older releases send it."""
    legacy = {key: entry["Content"] for key, entry in json.loads(read(new_cas).to_json()).items()}
    assert running.ask("PUT", f"{PATH}?force=false", SERVER, body=json.dumps(legacy).encode()).status == 204
    assert stored(running, etcd).entries["ServerCA"].modified_ns > 0
