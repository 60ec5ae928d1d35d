"""``rke2 certificate check`` and ``rotate``: what they print, and what they leave behind (day2 reference §5)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from rke2 import goyaml
from rke2.cli import main
from rke2.cli.certificate_output import OUTPUTS, span, tell
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.pki.authority import Subject, purposes
from rke2.pki.catalog import Usage
from rke2.pki.pem import new_ec_key
from rke2.pki.server_pki import ensure_server_pki
from rke2.pki.services import ALL, SERVER, files
from rke2.pki.validity import CheckedCertificate, check_files
from rke2.supervisor.serving import ensure_serving_certificate
from tests.configs import paths_under
from tests.golden import assert_golden
from tests.prepared import prepared_server

GOLDEN = Path(__file__).parent
NOW = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)
KEY = new_ec_key()


def issued(name: str, begin: datetime, end: datetime, usage: Usage | None) -> bytes:
    """A certificate in PEM; an authority without a `usage`."""
    subject, issuer = Subject(name), Subject("rke2-client-ca@1790000000")
    builder = x509.CertificateBuilder(
        issuer.x509_name(), subject.x509_name(), KEY.public_key(), 7, begin, end
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes(usage)), critical=False)
    else:
        signs = [flag == "key_cert_sign" for flag in _KEY_USAGES]
        builder = builder.add_extension(x509.KeyUsage(*signs), critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@pytest.fixture
def found(tmp_path: Path) -> list[CheckedCertificate]:
    """One certificate in each state, with the authority behind the first."""
    past, year = NOW - timedelta(days=100), timedelta(days=365)
    authority = issued("rke2-client-ca@1790000000", past, NOW + timedelta(days=3650), None)
    (tmp_path / "client-admin.crt").write_bytes(
        issued("system:admin", past, NOW + year, Usage.CLIENT) + authority
    )
    near = NOW + timedelta(days=119, hours=23)
    (tmp_path / "server-client.crt").write_bytes(issued("etcd-server", past, near, Usage.BOTH))
    (tmp_path / "serving-kubelet.crt").write_bytes(
        issued("node1", past, NOW - timedelta(hours=30), Usage.SERVER)
    )
    later = NOW + timedelta(days=2)
    (tmp_path / "client-kubelet.crt").write_bytes(
        issued("system:node:a&b", later, later + year, Usage.CLIENT)
    )
    names = ("client-admin", "missing", "server-client", "serving-kubelet", "client-kubelet")
    return list(check_files([tmp_path / f"{name}.crt" for name in names], NOW))


@pytest.mark.parametrize("form", OUTPUTS)
def test_the_forms_of_check(form: str, found: list[CheckedCertificate]) -> None:
    assert_golden(GOLDEN / f"check.{form}", OUTPUTS[form](found))


def test_json_and_yaml_can_be_read(found: list[CheckedCertificate]) -> None:
    there = json.loads(OUTPUTS["json"](found))["Certificates"]
    assert [each["Status"] for each in there] == ["OK", "OK", "WARNING", "EXPIRED", "NOT YET VALID"]
    assert [each["subject"] for each in goyaml.load(OUTPUTS["yaml"](found))["certificates"]] == [
        each.subject for each in found
    ]


def test_text_is_the_log(found: list[CheckedCertificate], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tell(found)
    text = "".join(f"{record.levelname} {record.getMessage()}\n" for record in caplog.records)
    assert_golden(GOLDEN / "check.text", text)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=59), "59 seconds "),
        (timedelta(hours=47), "1 day "),
        (timedelta(days=-6), "6 days "),
        (timedelta(days=29), "4 weeks "),
        (timedelta(days=119), "3 months "),
        (timedelta(days=365), "1 year "),
        (timedelta(days=3650), "10 years "),
        (timedelta(days=36500), "a long while "),
    ],
)
def test_spans_are_humanised_as_go_does(length: timedelta, words: str) -> None:
    assert span(length) == words


def test_no_file_is_in_two_services(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    found = [file for service in ALL for file in files(service, paths)]
    assert len(found) == len(set(found))


# --- the program -----------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The program sets the log up anew; what pytest has put there comes back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
async def server(tmp_path: Path) -> NodeConfig:
    config = await prepared_server(tmp_path)
    ensure_serving_certificate(config)
    return config


def run(config: NodeConfig, *argv: str) -> int:
    return main(["certificate", argv[0], f"--data-dir={config.paths.data_dir}", *argv[1:]])


async def test_check_looks_at_everything(server: NodeConfig, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(server, "check") == 0
    told = capfd.readouterr().err
    assert "Server detected, checking agent and server certificates" in told
    for service in ALL:
        for file in files(service, server.paths):
            if file.suffix == ".crt":
                assert f"{file.name}: certificate " in told


async def test_check_of_services(server: NodeConfig, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(server, "check", "-s", "admin", "--service=kube-proxy,scheduler", "-o", "json") == 0
    out = capfd.readouterr().out
    names = {each["Filename"] for each in json.loads(out)["Certificates"]}
    assert names == {
        "client-admin.crt",
        "client-kube-proxy.crt",
        "client-scheduler.crt",
        "kube-scheduler.crt",
    }


async def test_check_on_an_agent(server: NodeConfig, capfd: pytest.CaptureFixture[str]) -> None:
    server.paths.server.rename(server.paths.data_dir / "elsewhere")
    assert run(server, "check", "--output=table") == 0
    told = capfd.readouterr()
    assert "Agent detected, checking agent certificates" in told.err
    assert {line.split()[0] for line in told.out.splitlines()[3:]} == {
        "client-kube-proxy.crt",
        "client-kubelet.crt",
        "serving-kubelet.crt",
        "client-rke2-controller.crt",
    }


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("check", "-s", "kubelets"), "service kubelets is not recognized"),
        (("check", "-o", "xml"), "invalid output format xml"),
        (("rotate", "-s", "certificate-authority"), "service certificate-authority is not recognized"),
    ],
)
async def test_what_is_refused(
    argv: tuple[str, ...], words: str, server: NodeConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(server.paths.data_dir.rglob("*"))
    assert run(server, *argv) == 1
    assert f"rke2: error: {words}\n" in capfd.readouterr().err
    assert sorted(server.paths.data_dir.rglob("*")) == before


def test_without_a_node(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["certificate", "rotate", f"--data-dir={tmp_path}"]) == 1
    assert "no node ever ran in" in capfd.readouterr().err
    assert not any(tmp_path.iterdir())


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


async def test_rotate(server: NodeConfig, capfd: pytest.CaptureFixture[str]) -> None:
    paths, before, agents = server.paths, contents(server.paths.tls), contents(server.paths.agent)
    assert run(server, "rotate") == 0
    told = capfd.readouterr().err
    (backup,) = paths.server.glob("tls-*")
    assert backup.name.removeprefix("tls-").isdecimal()
    lines = [line.partition("msg=")[2].strip('"') for line in told.splitlines()]
    assert lines[0] == "Server detected, rotating agent and server certificates"
    assert lines[1] == "Rotating dynamic listener certificate"
    assert lines[2:-1] == [f"Rotating certificates for {name}" for name in ALL if name != "rke2-server"]
    assert lines[-1] == (
        f"Successfully backed up certificates to {backup}, please restart rke2 server or agent to rotate certificates"
    )
    assert paths.force_restart.stat().st_mode & 0o777 == 0o600
    assert (paths.tls / "dynamic-cert-regenerate").read_bytes() == b""
    deleted = {file for name in ALL for file in files(name, paths)}
    assert not any(file.exists() for file in deleted)
    kept = contents(backup)
    assert before.items() <= kept.items()
    for file in deleted:
        if file.name in agents and file.is_relative_to(paths.agent):
            assert agents[file.name] in (kept[file.name], kept.get(f"agent/{file.name}"))
    assert {name for name in contents(paths.tls) if name.endswith("-ca.key")} == {
        name for name in before if name.endswith("-ca.key")
    }, "authorities are left alone"


async def test_rotated_certificates_have_new_keys_at_the_next_start(server: NodeConfig) -> None:
    tls = server.paths.tls
    key, authority = (tls / "client-admin.key").read_bytes(), (tls / "client-ca.crt").read_bytes()
    assert run(server, "rotate", "--service=admin") == 0
    assert not (tls / "client-admin.crt").exists() and (tls / "client-scheduler.crt").exists()
    ensure_server_pki(server)
    assert (tls / "client-admin.key").read_bytes() != key
    assert (tls / "client-ca.crt").read_bytes() == authority


async def test_an_agent_keeps_its_copies_with_itself(server: NodeConfig) -> None:
    server.paths.server.rename(server.paths.data_dir / "elsewhere")
    assert run(server, "rotate") == 0
    (backup,) = server.paths.agent.glob("tls-*")
    assert backup.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in backup.iterdir()} == {
        f"{stem}.{suffix}"
        for stem in ("client-kubelet", "serving-kubelet", "client-kube-proxy", "client-rke2-controller")
        for suffix in ("crt", "key")
    }


async def test_nothing_is_deleted_that_could_not_be_copied(
    server: NodeConfig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(server.paths.tls)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(server.paths.server))

    monkeypatch.setattr("rke2.pki.rotation.shutil.copytree", full)
    assert run(server, "rotate") == 1
    assert contents(server.paths.tls) == before


def test_only_root_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rke2.cli.certificate.os.geteuid", lambda: 1000)
    assert main(["certificate", "check", f"--data-dir={tmp_path}"]) == 1
    assert "must run as root" in capfd.readouterr().err


def test_services_of_rke2() -> None:
    assert set(SERVER) == {
        *("api-server", "admin", "auth-proxy", "cloud-controller", "controller-manager"),
        *("etcd", "scheduler", "supervisor", "rke2-server"),
    }


def test_the_pairs_of_each_service() -> None:
    paths = Paths(data_dir=Path("/dd"))
    lines = [f"{service} {file}\n" for service in ALL for file in files(service, paths)]
    assert_golden(GOLDEN / "files.txt", "".join(lines))
