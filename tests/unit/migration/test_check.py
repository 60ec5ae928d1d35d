"""A node of RKE2 as it is found: a good one, and each way in which one is not."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.migration import control_plane
from rke2.migration.charts import OF_RKE2, PACKAGED
from rke2.migration.check import check
from rke2.migration.configuration import environment
from rke2.migration.findings import KINDS, Severity, worst
from rke2.migration.node import ExistingNode, role_of
from rke2.migration.program import running
from rke2.release_version import ReleaseVersion
from rke2.version import VERSION
from tests.rke2_server import RKE2Server, text_of
from tests.snapshots import snapshot
from tests.unit.migration.conftest import RKE2S, Old

STOP, CHANGE, NOTE = Severity.STOP, Severity.CHANGE, Severity.NOTE


def test_a_good_server_is_told_what_will_be_and_nothing_is_written(old: Old) -> None:
    old.configure("node-name: node1\nnode-ip: 192.0.2.1\n")
    before = snapshot(old.files.root)
    findings = old.check()
    assert snapshot(old.files.root) == before
    assert worst(findings) is CHANGE
    told = {finding.kind: finding.severity for finding in findings}
    assert told == {
        "version": NOTE,
        "static-pod": NOTE,
        "cloud-controller": CHANGE,
        "program": NOTE,
    }


def test_every_finding_is_of_a_kind_that_is_documented(old: Old) -> None:
    for finding in old.check():
        assert finding.severity in KINDS[finding.kind][0]
        assert finding.message and not finding.message.endswith(".")


def test_its_pods_run_on(old: Old) -> None:
    found = list(control_plane.check_pods(old.node, old.config, {}))
    assert found[0].message == (
        "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy: the same pod, which runs on"
    )
    assert [finding.kind for finding in found] == ["static-pod", "cloud-controller"]


def test_a_pod_of_another_release_restarts_for_its_image(old: Old) -> None:
    path = old.files.manifest("kube-scheduler")
    path.write_text(path.read_text().replace("v1.36.4-rke2r1-build20260821", "v1.36.2-rke2r1-build20260101"))
    messages = [finding.message for finding in control_plane.check_pods(old.node, old.config, {})]
    assert any(
        message.startswith("kube-scheduler restarts: its image becomes index.docker.io/")
        for message in messages
    )


def test_so_do_those_whose_environment_becomes_another(old: Old) -> None:
    messages = [
        m.message for m in control_plane.check_pods(old.node, old.config, {"HTTPS_PROXY": "http://p:1"})
    ]
    assert "etcd restarts: its arguments, mounts or files are others" in messages


def test_so_does_what_mounts_a_certificate_that_is_issued_again(old: Old) -> None:
    old.configure("node-name: node1\nnode-ip: 192.0.2.7\n")
    messages = [finding.message for finding in old.found("static-pod")]
    assert any(
        message.startswith("etcd restarts: server-client.crt, peer-server-client.crt, which")
        for message in messages
    )


# --- what stops ------------------------------------------------------------------------------------------
def remove(name: str) -> Callable[[Old], None]:
    return lambda old: (old.files.data / name).unlink()


def put(name: str, text: str = "") -> Callable[[Old], None]:
    def write(old: Old) -> None:
        path = old.files.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def configured(text: str) -> Callable[[Old], None]:
    return lambda old: old.configure(text)


def of_release(tag: str) -> Callable[[Old], None]:
    def link(old: Old) -> None:
        (old.files.data / "bin").unlink()
        (old.files.data / "bin").symlink_to(old.files.data / f"data/{tag}-0123456789ab/bin")

    return link


@pytest.mark.parametrize(
    ("spoil", "kind", "severity", "words"),
    [
        (
            configured("datastore-endpoint: postgres://db\n"),
            "flag",
            STOP,
            "datastore-endpoint is not supported",
        ),
        (configured("cni: flannel\n"), "flag", STOP, "cni: flannel is not supported yet"),
        (configured("tls-sans: [a]\n"), "config", STOP, "tls-sans"),
        (configured("cluster-cidr: nonsense\n"), "config", STOP, "cluster-cidr"),
        (configured("a: [\n"), "config", STOP, "config.yaml"),
        (put("server/db/state.db"), "datastore", STOP, "not in etcd"),
        (put("server/db/reset-flag"), "reset", NOTE, "has reset the cluster"),
        (put("server/db/etcd/tombstone"), "tombstone", NOTE, "was removed from its cluster"),
        (of_release("v1.37.0-rke2r1"), "version", STOP, "is newer than this release"),
        (of_release("v1.34.9-rke2r1"), "version", STOP, "more than one minor release behind"),
        (of_release("v1.35.9-rke2r1"), "version", CHANGE, "is an upgrade"),
        (of_release("v1.36.9-rke2r1"), "version", CHANGE, "is a step back"),
        (of_release("sha256"), "version", CHANGE, "cannot be told"),
        (remove("server/tls/client-ca.key"), "data", STOP, "it has no server/tls/client-ca.key"),
        (remove("server/token"), "data", STOP, "it has no server/token"),
        (put("server/tls/server-ca.key", "garbage"), "certificates", STOP, "server-ca.key"),
        (remove("server/tls/client-admin.key"), "certificates", NOTE, "client-admin.crt is issued again"),
        (put("server/manifests/own/app.yaml", "kind: X"), "manifest", NOTE, "own/app.yaml"),
        (put("server/manifests/rke2-security-responder.yaml", "kind: X"), "chart", CHANGE, "not brought"),
        (put("server/manifests/rke2-traefik.yaml", "kind: X"), "chart", CHANGE, "traefik may be in use"),
        (put("agent/pod-manifests/etcd.yaml", "["), "static-pod", NOTE, "restarts"),
    ],
)
def test_each_thing_that_is_not_as_it_should_be(
    old: Old, spoil: Callable[[Old], None], kind: str, severity: Severity, words: str
) -> None:
    spoil(old)
    found = old.found(kind)
    assert any(words in finding.message for finding in found), [finding.message for finding in old.check()]
    assert worst(found) is severity
    assert worst(old.check()) >= severity


def test_all_refused_flags_are_told_at_once(old: Old) -> None:
    old.configure(
        "v: 4\nenable-pprof: true\nenable-servicelb: true\nno-such-key: 1\nsupervisor-metrics: false\n"
    )
    named = [finding.message.split()[0] for finding in old.check() if finding.kind == "flag"]
    assert named == ["v", "enable-pprof", "enable-servicelb"]
    assert "no-such-key" in old.found("config")[0].message


def test_unknown_keys_may_be_skipped_as_rke2_does(old: Old) -> None:
    old.configure("no-such-key: 1\nwarn-unknown-keys: true\n")
    assert old.found("config") == []


def test_a_chart_that_is_switched_off_is_not_in_use(old: Old) -> None:
    put("server/manifests/rke2-traefik.yaml", "# disabled by configuration\n")(old)
    put("server/manifests/rke2-snapshot-validation-webhook.yaml", "# empty\n\n")(old)
    assert old.found("chart") == []


def test_an_agent_has_no_control_plane(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("client-kubelet.crt", "server-ca.crt"):
        (data / "agent").mkdir(parents=True, exist_ok=True)
        (data / "agent" / name).write_text("")
    (tmp_path / "proc").mkdir()
    config = tmp_path / "config.yaml"
    config.write_text("server: https://192.0.2.9:9345\ntoken: secret\n")
    paths = Paths(data_dir=data)
    assert role_of(paths) == "agent"
    findings = check(ExistingNode("agent", paths, tmp_path / "none", tmp_path / "proc"), str(config))
    assert {finding.kind: finding.severity for finding in findings} == {"version": CHANGE}


# --- what runs --------------------------------------------------------------------------------------------
def process(proc: Path, pid: int, cmdline: bytes, program: bytes, environ: bytes = b"") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes(cmdline)
    (folder / "environ").write_bytes(environ)
    (folder / "exe").write_bytes(program)


OURS = b"\x7fELF and a zip"


def test_a_running_rke2_is_named_and_its_environment_counts(old: Old) -> None:
    proc = old.files.root / "proc"
    process(proc, 7, b"/usr/bin/python3\0/usr/local/bin/rke2\0server\0", OURS)
    process(proc, 8, b"/usr/local/bin/rke2\0server\0", OURS)
    process(proc, 9, b"/usr/local/bin/rke2\0etcd-snapshot\0", RKE2S)
    process(proc, 10, b"rke2 server", b"")
    assert running(proc) is None
    process(proc, 42, b"/usr/local/bin/rke2 server\0\0\0", RKE2S, b"RKE2_CNI=flannel\0PATH=/bin\0")
    assert running(proc) == 42
    assert "pid 42" in old.found("process")[0].message


def test_without_a_process_the_variables_of_the_unit_count(old: Old, tmp_path: Path) -> None:
    (tmp_path / "default-server").write_text(
        "# none\nRKE2_CNI=flannel\nHTTP_PROXY='http://p:1'\n\nnonsense\n"
    )
    (tmp_path / "unit-server.env").write_text("RKE2_CNI=canal\n")
    units = (tmp_path / "default-{role}", tmp_path / "none-{role}", tmp_path / "unit-{role}.env")
    found = environment(old.node, None, units)
    assert found == {"RKE2_CNI": "canal", "HTTP_PROXY": "http://p:1"}


def test_the_variables_of_the_process_are_refused_as_flags_are(old: Old) -> None:
    process(old.files.root / "proc", 42, b"rke2 server", RKE2S, b"RKE2_DATASTORE_ENDPOINT=mysql://\0")
    (flag,) = old.found("flag")
    assert "RKE2_DATASTORE_ENDPOINT" in flag.message


@pytest.mark.parametrize("program", [b"#!/usr/local/lib/rke2/bin/python\n", OURS, b""])
def test_a_program_of_ours_is_not_to_be_kept(old: Old, program: bytes) -> None:
    old.node.program.write_bytes(program)
    assert old.found("program") == []


# --- facts -------------------------------------------------------------------------------------------------
def test_the_key_of_a_runtime_image_is_read_without_its_hash(tmp_path: Path) -> None:
    made = RKE2Server(tmp_path, version="v1.36.4+rke2r2")
    made.data.mkdir(parents=True)
    (made.data / "bin").symlink_to(made.data / "data/v1.36.4-rke2r2-0123456789ab/bin")
    assert ExistingNode("server", Paths(data_dir=made.data)).version == ReleaseVersion(1, 36, 4, "rke2r2")
    assert ReleaseVersion.parse(VERSION)


def test_the_packaged_charts_are_those_of_the_distribution() -> None:
    table = Path(__file__).parents[3] / "distribution/charts/charts.toml"
    assert {row["name"] for row in tomllib.loads(table.read_text())["chart"]} == PACKAGED
    assert PACKAGED < OF_RKE2


def test_text_of_configs_is_yaml() -> None:
    assert text_of({"b": 1, "a": [True]}) == "a:\n- true\nb: 1\n"
