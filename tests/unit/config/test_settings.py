from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rke2.config.commandline import parse
from rke2.config.settings import gather
from rke2.errors import ConfigError, NotSupportedError
from tests.unit.config.nodes import settings, settings_from


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("token: file\ntls-san: [file]\ncni: none\n")
    return path


def test_command_line_beats_file_beats_environment_beats_default(file: Path) -> None:
    environ = {"RKE2_TOKEN": "env", "RKE2_CNI": "canal", "RKE2_NODE_NAME": "env"}
    found = settings_from(file, "--token=cli", environ=environ)
    assert found.text("token") == "cli"
    assert found.items("cni") == ("none",)
    assert found.text("node-name") == "env"
    assert found.text("cluster-domain") == "cluster.local"


def test_the_last_scalar_wins_and_earlier_ones_are_not_looked_at() -> None:
    assert settings("--lb-server-port=x", "--lb-server-port=7000").number("lb-server-port") == 7000


def test_lists_of_file_and_command_line_accumulate(file: Path) -> None:
    assert settings_from(file, "--tls-san=cli", "--tls-san=two").items("tls-san") == ("file", "cli", "two")


def test_commas_divide_only_where_the_table_says_so() -> None:
    found = settings("--tls-san=a, b", "--kubelet-arg=system-reserved=cpu=1,memory=1Gi")
    assert found.items("tls-san") == ("a", "b")
    assert found.items("kubelet-arg") == ("system-reserved=cpu=1,memory=1Gi",)


def test_where_the_file_is_searched(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("token: other\n")
    assert settings_from(file, environ={"RKE2_CONFIG_FILE": str(other)}).text("token") == "other"
    with pytest.raises(ConfigError, match="does not exist"):
        gather("server", parse("server", []), {"RKE2_CONFIG_FILE": str(tmp_path / "none")})


def test_empty_environment_variables_count_as_unset() -> None:
    assert settings(environ={"RKE2_SELINUX": "", "RKE2_NODE_NAME": ""}).on("selinux") is False


def test_a_bad_environment_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"selinux: .* \(set by environment variable RKE2_SELINUX\)"):
        settings(environ={"RKE2_SELINUX": "yes"})


def test_the_deprecated_variable_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = settings(environ={"RKE_INGRESS_CONTROLLER": "none"})
    assert found.items("ingress-controller") == ("none",)
    assert "RKE_INGRESS_CONTROLLER is deprecated, use RKE2_INGRESS_CONTROLLER" in caplog.text


def test_effective_arguments_hide_secrets(file: Path) -> None:
    found = settings_from(file, "--debug", "--agent-token=x")
    assert found.argv == (
        "server",
        "--token",
        "********",
        "--tls-san",
        "file",
        "--cni",
        "none",
        "--config",
        str(file),
        "--debug",
        "true",
        "--agent-token",
        "********",
    )


@pytest.mark.parametrize(
    "argument",
    [
        "--kube-apiserver-arg=oidc-client-secret=s3cr3t",
        "--etcd-arg=initial-cluster-token=s3cr3t",
        "--kube-apiserver-arg=etcd-servers=https://root:s3cr3t@etcd.example:2379",
        "--kube-apiserver-extra-env=PGPASSWORD=s3cr3t",
        "--kube-apiserver-arg=audit-webhook=https://hook.example/?token=s3cr3t",
        "--server=https://admin:s3cr3t@server.example:9345",
    ],
)
def test_effective_arguments_hide_secrets_in_values(argument: str) -> None:
    """They are an annotation of the Node, which every node and every reader of Nodes may see."""
    shown = settings(argument).argv
    assert "s3cr3t" not in " ".join(shown)
    assert "********" in shown[-1]


def test_a_refused_value_is_told_without_its_secret() -> None:
    found = settings("--server=https://admin:s3cr3t@server.example")
    assert "s3cr3t" not in found.invalid("server", found.text("server"), "not an https URL").message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--enable-servicelb"], "enable-servicelb is not supported yet (set by the command line)"),
        (
            ["--node-internal-dns=a.example"],
            "node-internal-dns is not supported yet (set by the command line)",
        ),
        (
            ["--node-external-dns=a.example"],
            "node-external-dns is not supported yet (set by the command line)",
        ),
        (
            ["--prime"],
            "prime is not supported: it is for Rancher's own builds, whose registry and charts this one does not "
            "have (set by the command line)",
        ),
        (
            ["--enable-pprof"],
            "enable-pprof is not supported: pprof is the profiler of Go, and rke2 is a Python process "
            "(set by the command line)",
        ),
        (["--cni=flannel"], "cni: flannel is not supported yet (set by the command line)"),
        (["--snapshotter=stargz"], "snapshotter: stargz is not supported yet (set by the command line)"),
    ],
)
def test_what_is_not_implemented_is_refused(argv: list[str], message: str) -> None:
    with pytest.raises(NotSupportedError) as caught:
        settings(*argv)
    assert caught.value.message == message
    assert caught.value.remedy


def test_a_default_value_of_something_unsupported_is_no_error() -> None:
    settings("--enable-servicelb=false", "--servicelb-namespace=kube-system", "--server=")


def test_cloud_credentials_in_the_environment_are_none_of_our_business() -> None:
    settings(environ={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"})
    with pytest.raises(
        NotSupportedError,
        match=r"enable-servicelb is .* \(set by environment variable RKE2_ENABLE_SERVICELB\)",
    ):
        settings(environ={"RKE2_ENABLE_SERVICELB": "true"})


def test_a_value_outside_an_enumeration_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="expected one of canal, ") as caught:
        settings("--cni=cannal")
    assert caught.value.remedy == "did you mean canal?"


def test_a_secret_is_never_in_a_message() -> None:
    with pytest.raises(ConfigError) as caught:
        settings("--datastore-endpoint=postgres://me:pass@db")
    assert "pass" not in str(caught.value)
