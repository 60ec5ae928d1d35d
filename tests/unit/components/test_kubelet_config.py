from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from rke2.components import kubelet_config
from rke2.errors import ConfigError
from rke2.host.facts import HostFacts
from tests.configs import paths_under, server_config
from tests.machines import MICRO_VM, SYSTEMD_HOST, USER_NAMESPACE

RESOLV_CONF = Path("/etc/resolv.conf")


@pytest.mark.parametrize(("facts", "driver"), [(SYSTEMD_HOST, "systemd"), (MICRO_VM, "cgroupfs")])
def test_cgroup_driver_is_that_of_the_host(facts: HostFacts, driver: str) -> None:
    assert kubelet_config.configuration(server_config(), facts, RESOLV_CONF)["cgroupDriver"] == driver


def test_cgroup_v1_is_allowed_only_where_it_is() -> None:
    assert kubelet_config.configuration(server_config(), MICRO_VM, RESOLV_CONF)["failCgroupV1"] is False
    assert "failCgroupV1" not in kubelet_config.configuration(server_config(), SYSTEMD_HOST, RESOLV_CONF)


def test_user_namespace_is_told() -> None:
    made = kubelet_config.configuration(server_config(), USER_NAMESPACE, RESOLV_CONF)
    assert made["featureGates"] == {"KubeletInUserNamespace": True}


def test_service_load_balancer_may_forward() -> None:
    dual = server_config(network={"cluster_cidrs": (ip_network("fd00:42::/56"), ip_network("10.42.0.0/16"))})
    made = kubelet_config.configuration(dual, SYSTEMD_HOST, RESOLV_CONF, servicelb=True)
    assert made["allowedUnsafeSysctls"] == ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]


@pytest.mark.parametrize(
    ("text", "taint"),
    [
        ("a=b:NoExecute", {"key": "a", "value": "b", "effect": "NoExecute"}),
        ("a:NoSchedule", {"key": "a", "effect": "NoSchedule"}),
        ("a/b=c:PreferNoSchedule", {"key": "a/b", "value": "c", "effect": "PreferNoSchedule"}),
    ],
)
def test_taints(text: str, taint: dict[str, str]) -> None:
    assert kubelet_config.parse_taint(text) == taint


@pytest.mark.parametrize("text", ["", "a", "a=b", "a=b:Never", ":NoExecute", "=b:NoExecute"])
def test_malformed_taints_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match="node-taint"):
        kubelet_config.parse_taint(text)


def test_arguments_of_a_plain_node() -> None:
    assert kubelet_config.arguments(server_config()) == (
        "--volume-plugin-dir=/var/lib/kubelet/volumeplugins",
        "--file-check-frequency=5s",
        "--sync-frequency=30s",
        "--config-dir=/var/lib/rancher/rke2/agent/etc/kubelet.conf.d",
        "--containerd=/run/k3s/containerd/containerd.sock",
        "--hostname-override=node1",
        "--kubeconfig=/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
        "--node-ip=192.0.2.1",
        "--read-only-port=0",
        "--root-dir=/var/lib/kubelet",
    )


def test_arguments_with_everything() -> None:
    config = server_config(
        node={"ips": (ip_address("192.0.2.1"), ip_address("2001:db8::1")), "labels": ("a=b", "c=d")},
        kubelet_args=(
            "max-pods=50",
            "node-labels+=e=f",
            "config=/k.yaml",
            "log-file=/l",
            "alsologtostderr",
            "v=2",
        ),
    )
    args = kubelet_config.arguments(config, cloud_controller=True, credential_provider=True)
    assert {"--node-ip=192.0.2.1,2001:db8::1", "--max-pods=50", "--cloud-provider=external", "--v=2"} < set(
        args
    )
    assert [arg for arg in args if "node-labels" in arg] == ["--node-labels=a=b,c=d", "--node-labels=e=f"]
    assert len([arg for arg in args if "image-credential-provider" in arg]) == 2
    assert not [arg for arg in args if arg.startswith(("--config=", "--log-file", "--alsologtostderr"))]


def test_log_settings() -> None:
    assert kubelet_config.log_settings(server_config()) == kubelet_config.LogSettings(
        Path("/var/lib/rancher/rke2/agent/logs/kubelet.log"), 50, also_to_stderr=False
    )
    asked = server_config(
        kubelet_args=("log-file=/var/log/k.log", "log-file-max-size=7", "alsologtostderr=true")
    )
    assert kubelet_config.log_settings(asked) == kubelet_config.LogSettings(Path("/var/log/k.log"), 7, True)
    with pytest.raises(ConfigError, match="log-file-max-size=big"):
        kubelet_config.log_settings(server_config(kubelet_args=("log-file-max-size=big",)))


def test_credential_provider_needs_plugins_and_configuration(tmp_path: Path) -> None:
    places = {
        "credential_provider_bin_dir": tmp_path / "bin",
        "credential_provider_config": tmp_path / "c.yaml",
    }
    config = server_config(runtime=places)
    assert not kubelet_config.has_credential_provider(config)
    (tmp_path / "bin").mkdir()
    assert not kubelet_config.has_credential_provider(config)
    (tmp_path / "c.yaml").write_text("")
    assert kubelet_config.has_credential_provider(config)


def test_resolv_conf_of_the_flag_is_taken_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.conf"
    own.write_text("nameserver 127.0.0.1\n")
    config = server_config(node={"resolv_conf": own})
    assert kubelet_config.choose_resolv_conf(config) == own
    own.unlink()
    with pytest.raises(ConfigError, match=r"own\.conf does not exist"):
        kubelet_config.choose_resolv_conf(config)


def test_resolv_conf_is_made_where_the_host_has_none_for_pods(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\n")
    real.write_text("search x\nnameserver 10.0.0.2\n")
    assert kubelet_config.choose_resolv_conf(config, (stub, real)) == real
    made = kubelet_config.choose_resolv_conf(config, (stub,))
    assert made == config.paths.agent_etc / "resolv.conf"
    assert "nameserver 8.8.8.8" in made.read_text()


def test_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = server_config(paths_under(tmp_path))
    assert kubelet_config.program(config) == config.paths.bin / "kubelet"
    other = tmp_path / "path/my-kubelet"
    other.parent.mkdir()
    other.write_text("")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    named = replace(config, runtime=replace(config.runtime, kubelet_path="my-kubelet"))
    assert kubelet_config.program(named) == other
    absolute = replace(config, runtime=replace(config.runtime, kubelet_path="/opt/kubelet"))
    assert kubelet_config.program(absolute) == Path("/opt/kubelet")


def test_own_configuration_becomes_drop_ins_and_goes_with_its_argument(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    (tmp_path / "k.yaml").write_text("maxPods: 5")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.conf").write_text("x")
    asked = replace(config, kubelet_args=(f"config={tmp_path}/k.yaml", f"config-dir={tmp_path}/d"))
    directory = config.paths.kubelet_conf_dir
    assert kubelet_config.write(asked, {"kind": "KubeletConfiguration"})
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "00-rke2-defaults.conf").stat().st_mode & 0o777 == 0o600
    assert (directory / "10-cli-config.conf").read_text() == "maxPods: 5"
    assert (directory / "20-cli-config-dir/a.conf").read_text() == "x"
    (directory / "50-mine.conf").write_text("mine")
    assert not kubelet_config.write(config, {"kind": "KubeletConfiguration"})
    assert sorted(path.name for path in directory.iterdir()) == ["00-rke2-defaults.conf", "50-mine.conf"]


def test_missing_own_configuration_is_named(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), kubelet_args=("config=/no/such.yaml",))
    with pytest.raises(ConfigError, match=r"/no/such\.yaml"):
        kubelet_config.write(config, {})
