from __future__ import annotations

import logging
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from rke2.config.model import ProbeSettings
from rke2.config.node import keep_node_id, node_settings
from rke2.errors import ConfigError, NotSupportedError
from rke2.host.identity import HostIdentity
from tests.unit.config.nodes import HOST, IPV4_HOST, IPV6_HOST, agent, server, settings

K10 = "K10" + "a" * 64


def refused(*argv: str, host: HostIdentity = HOST) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        server(*argv, host=host)
    return caught.value


# --- defaults ----------------------------------------------------------------------------------------------
def test_a_server_told_nothing() -> None:
    config = server()
    assert config.role == "server"
    assert config.node.name == "node1.example.org"
    assert config.node.ips == (ip_address("192.0.2.1"),)
    assert config.network.cluster_cidrs == (ip_network("10.42.0.0/16"),)
    assert config.network.service_cidrs == (ip_network("10.43.0.0/16"),)
    assert config.network.cluster_dns == (ip_address("10.43.0.10"),)
    assert config.network.advertise_address == ip_address("192.0.2.1")
    assert config.network.bind_address == "0.0.0.0"
    assert config.network.cni == ("canal",)
    assert config.network.ingress_controllers == ("ingress-nginx",)
    assert config.component("cloud-controller-manager").disabled
    assert not config.component("kube-scheduler").disabled
    assert config.paths.data_dir == Path("/var/lib/rancher/rke2")
    assert config.join is None
    assert config.server is not None
    assert config.server.write_kubeconfig_mode == 0o600
    assert config.server.token == ""


def test_a_node_that_has_only_ipv6() -> None:
    network = server(host=IPV6_HOST).network
    assert network.cluster_cidrs == (ip_network("fd00:42::/56"),)
    assert network.service_cidrs == (ip_network("fd00:43::/112"),)
    assert network.cluster_dns == (ip_address("fd00:43::a"),)
    assert network.bind_address == "::"


def test_dual_stack_takes_an_address_per_family_in_the_order_of_the_networks() -> None:
    config = server("--cluster-cidr=fd00:42::/56,10.42.0.0/16", "--service-cidr=fd00:43::/112,10.43.0.0/16")
    assert config.node.ips == (ip_address("2001:db8::1"), ip_address("192.0.2.1"))
    assert config.network.cluster_dns == (ip_address("fd00:43::a"), ip_address("10.43.0.10"))
    swapped = server("--cluster-cidr=fd00:42::/56,10.42.0.0/16", "--node-ip=192.0.2.7,2001:db8::7")
    assert swapped.node.ips == (ip_address("2001:db8::7"), ip_address("192.0.2.7"))


def test_the_other_network_follows_the_families_of_the_one_given() -> None:
    assert server("--cluster-cidr=fd01::/56").network.service_cidrs == (ip_network("fd00:43::/112"),)
    assert server("--service-cidr=10.9.0.0/16").network.cluster_cidrs == (ip_network("10.42.0.0/16"),)


def test_external_address_is_advertised() -> None:
    assert server("--node-external-ip=198.51.100.9").network.advertise_address == ip_address("198.51.100.9")
    chosen = server("--node-external-ip=198.51.100.9", "--advertise-address=198.51.100.1")
    assert chosen.network.advertise_address == ip_address("198.51.100.1")


# --- networks ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--cluster-cidr=10.42.0.0"],
            "cluster-cidr: invalid value '10.42.0.0' (set by the command line): it has",
        ),
        (["--cluster-cidr=10.42.0.0/33"], "'10.42.0.0/33' (set by the command line): not a network"),
        (
            ["--service-cidr=10.43.0.5/16"],
            "service-cidr: invalid value '10.43.0.5/16' (set by the command line): it has",
        ),
        (["--cluster-cidr=10.42.0.0/16,10.44.0.0/16"], "more than one of the same address family"),
        (
            ["--cluster-cidr=10.0.0.0/8", "--service-cidr=10.43.0.0/16"],
            "cluster-cidr 10.0.0.0/8 and service-cidr 10.43.0.0/16 overlap",
        ),
        (["--cluster-cidr=10.43.0.0/16"], "cluster-cidr 10.43.0.0/16 and service-cidr 10.43.0.0/16 overlap"),
        (
            ["--cluster-cidr=10.42.0.0/16,fd00:42::/56", "--service-cidr=10.43.0.0/16"],
            "same address families",
        ),
        (["--cluster-cidr=10.42.0.0/25"], "cannot be divided into networks of /24 per node"),
        (
            ["--cluster-cidr=fd00::/40", "--service-cidr=fd10::/112"],
            "cannot be divided into networks of /64 per node",
        ),
        (["--service-cidr=10.0.0.0/8", "--cluster-cidr=172.16.0.0/16"], "larger than kube-apiserver accepts"),
        (["--service-cidr=10.43.0.0/29"], "too small"),
        (["--cluster-dns=10.42.0.10"], "outside service-cidr 10.43.0.0/16"),
        (["--cluster-dns=ten"], "not an IP address"),
        (["--node-ip=127.0.0.1"], "not the address of one reachable host"),
        (["--node-ip=192.0.2.1,192.0.2.2"], "more than one of the same address family"),
        (
            ["--node-ip=2001:db8::1", "--cluster-cidr=10.42.0.0/16"],
            "node-ip 2001:db8::1 has no IPv4 address, which cluster-cidr 10.42.0.0/16 needs",
        ),
        (["--advertise-address=0.0.0.0"], "not the address of one reachable host"),
        (["--bind-address=eth0"], "bind-address: invalid value 'eth0'"),
        (["--service-node-port-range=32767-30000"], "not a range of ports"),
        (["--service-node-port-range=30000"], "not a range of ports"),
        (["--service-node-port-range=9000-9999"], "9345 is the port of the supervisor"),
        (["--service-node-port-range=80-32767"], "2379 is the port of etcd"),
        (["--service-node-port-range=6444-6444"], "6444 is the port of the load balancer for supervisors"),
        (["--cluster-domain=Cluster_Local"], "not a DNS domain"),
        (["--tls-san=https://lb:9345"], "neither a host name nor an IP address"),
    ],
)
def test_networks_that_cannot_work(argv: list[str], message: str) -> None:
    assert message in refused(*argv).message


def test_host_bits_get_the_right_network_as_hint() -> None:
    assert refused("--service-cidr=10.43.0.5/16").remedy == "did you mean 10.43.0.0/16?"


def test_a_family_that_the_host_lacks() -> None:
    error = refused("--cluster-cidr=10.42.0.0/16,fd00:42::/56", host=IPV4_HOST)
    assert "node-ip 192.0.2.1 has no IPv6 address" in error.message
    assert "no network address" in refused(host=HostIdentity("a", {})).message


def test_node_mask_is_the_users_affair_if_he_sets_it() -> None:
    config = server("--cluster-cidr=10.42.0.0/25", "--kube-controller-manager-arg=node-cidr-mask-size=26")
    assert config.network.cluster_cidrs == (ip_network("10.42.0.0/25"),)


def test_a_node_inside_the_pod_network_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        server("--node-ip=10.42.3.4")
    assert "10.42.3.4 lies inside the cluster's network 10.42.0.0/16" in caplog.text


# --- node --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--node-name=my_node"], "node-name: invalid value 'my_node'"),
        ([f"--node-name={'n' * 64}"], "lower-case letters, digits, - and . only, at most 63"),
        (["--node-label=a"], "not a label"),
        (["--node-label=a=b c"], "not a label"),
        (["--node-label=node-role.kubernetes.io/worker=true"], "a kubelet may not set this label"),
        (["--node-label=node-restriction.kubernetes.io/x=1"], "a kubelet may not set this label"),
        (["--node-taint=a=b"], "not a taint"),
        (["--node-taint=a=b:Never"], "the effect is not one of"),
        (["--node-taint=:NoExecute"], "not a taint"),
        (["--lb-server-port=9346"], "lb-server-port"),
        (["--lb-server-port=70000"], "lb-server-port"),
        (["--lb-server-port=3"], "lb-server-port"),
        (["--lb-server-port=2381"], "2379 is the port of etcd"),
        (["--lb-server-port=10251"], "10248 is the port of kubelet"),
        (["--lb-server-port=6445"], "6443 is the port of kube-apiserver"),
        (["--resolv-conf=/none"], "no such file"),
    ],
)
def test_nodes_that_cannot_be(argv: list[str], message: str) -> None:
    assert message in refused(*argv).message


def test_an_agent_keeps_what_the_host_has_unless_node_ip_is_given() -> None:
    both = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    joins = ("--server=https://192.0.2.9:9345", "--token=secret")
    assert (agent(*joins).node.ips, agent(*joins).node.detected_ips) == (both[:1], both)
    assert agent(*joins, "--node-ip=192.0.2.1").node.detected_ips == ()


def test_labels_and_taints_that_can() -> None:
    config = server(
        "--node-label=a=b,topology.kubernetes.io/zone=z1",
        "--node-label=example.com/c=",
        "--node-label=x.node.kubernetes.io/y=1",
        "--node-taint=CriticalAddonsOnly=true:NoExecute",
        "--node-taint=k:NoSchedule",
    )
    assert config.node.labels == (
        "a=b",
        "topology.kubernetes.io/zone=z1",
        "example.com/c=",
        "x.node.kubernetes.io/y=1",
    )
    assert config.node.taints == ("CriticalAddonsOnly=true:NoExecute", "k:NoSchedule")


def test_a_bad_host_name_asks_for_node_name() -> None:
    assert refused(host=HostIdentity("bad_host", HOST.addresses)).remedy == "set node-name"


def test_the_node_id_is_made_once(tmp_path: Path) -> None:
    id_file = tmp_path / "node" / "id"
    first = node_settings(settings("--with-node-id"), HOST, id_file)
    assert first.name == f"node1.example.org-{first.node_id}"
    assert not id_file.exists()
    keep_node_id(first, id_file)
    assert id_file.stat().st_mode & 0o777 == 0o644
    assert node_settings(settings("--with-node-id"), HOST, id_file) == first


# --- components --------------------------------------------------------------------------------------------
def test_resources_and_probes_of_components() -> None:
    config = server(
        "--control-plane-resource-requests=kube-apiserver-cpu=500m,etcd-memory=1Gi",
        "--control-plane-resource-limits=kube-controller-manager-memory=1.5Gi",
        "--control-plane-probe-configuration=kube-proxy-liveness-period-seconds=3",
        "--control-plane-probe-configuration=kube-proxy-liveness-failure-threshold=9,etcd-startup-timeout-seconds=0",
    )
    assert config.component("kube-apiserver").requests == {"cpu": "500m"}
    assert config.component("etcd").requests == {"memory": "1Gi"}
    assert config.component("kube-controller-manager").limits == {"memory": "1.5Gi"}
    assert config.component("kube-proxy").probes == {
        "liveness": ProbeSettings(period_seconds=3, failure_threshold=9)
    }
    assert config.component("etcd").probes == {"startup": ProbeSettings(timeout_seconds=0)}


def test_arguments_images_mounts_environment_and_switches() -> None:
    config = server(
        "--kube-apiserver-arg=v=2",
        "--kubelet-arg=max-pods=200",
        "--etcd-image=registry/etcd:1",
        "--etcd-extra-mount=/a:/b:ro",
        "--etcd-extra-mount=/a:/c::DirectoryOrCreate",
        "--kube-proxy-extra-env=A=b=c",
        "--disable-kube-proxy",
        "--cni=none",
        "--disable-scheduler",
    )
    assert config.component("kube-apiserver").args == ("v=2",)
    assert config.kubelet_args == ("max-pods=200",)
    assert config.component("etcd").image == "registry/etcd:1"
    assert config.component("etcd").extra_mounts == ("/a:/b:ro", "/a:/c::DirectoryOrCreate")
    assert config.component("kube-proxy").extra_env == ("A=b=c",)
    assert config.component("kube-proxy").disabled
    assert config.component("kube-scheduler").disabled


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--control-plane-resource-requests=apiserver-cpu=1"],
            "'apiserver-cpu' names no component and setting",
        ),
        (["--control-plane-resource-requests=etcd-cpu=much"], "'much' is not a quantity"),
        (["--control-plane-resource-limits=etcd-disk=1Gi"], "'etcd-disk' names no component and setting"),
        (["--control-plane-probe-configuration=etcd-startup-timeout-seconds=-1"], "'-1' is not a number"),
        (
            ["--control-plane-probe-configuration=etcd-boot-timeout-seconds=1"],
            "names no component and setting",
        ),
        (["--etcd-extra-mount=/a"], "not 2 to 4 fields"),
        (["--etcd-extra-mount=a:/b"], "must be absolute paths"),
        (["--etcd-extra-mount=/a:/b:rx"], "neither ro nor rw"),
        (["--etcd-extra-mount=/a:/b:ro:Folder"], "not a hostPath type"),
        (["--etcd-extra-env=A"], "not an environment variable"),
        (["--kube-apiserver-arg=--=x"], "no argument"),
    ],
)
def test_component_settings_out_of_grammar(argv: list[str], message: str) -> None:
    assert message in refused(*argv).message


# --- server ------------------------------------------------------------------------------------------------
def test_kubeconfig_mode_is_octal() -> None:
    config = server(
        "--write-kubeconfig-mode=0640", "--write-kubeconfig=out.yaml", "--write-kubeconfig-group=root"
    )
    assert config.server is not None
    assert config.server.write_kubeconfig_mode == 0o640
    assert config.server.write_kubeconfig == Path.cwd() / "out.yaml"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--write-kubeconfig-mode=rw"], "not an octal file mode"),
        (["--write-kubeconfig-mode=888"], "not an octal file mode"),
        (["--write-kubeconfig-mode=17777"], "not an octal file mode"),
        (["--write-kubeconfig-group=no-such-group"], "this host has no such group"),
        (["--secrets-encryption=false"], "RKE2 always encrypts Secrets"),
        (["--pod-security-admission-config-file=/none"], "no such file"),
        (["--system-default-registry=https://r/"], "not the name of a registry"),
        (["--data-dir="], "a path is needed"),
    ],
)
def test_server_settings_that_are_refused(argv: list[str], message: str) -> None:
    assert message in refused(*argv).message


def test_tokens_from_files_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{K10}::server:secret\n")
    config = server(f"--token-file={file}", "--agent-token=plain")
    assert config.server is not None
    assert config.server.token == f"{K10}::server:secret"
    assert config.server.agent_token == "plain"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("\n", "is empty"),
        ("two words", "white space"),
        ("K10abc::server:x", "not of the form"),
        (f"{K10}:server:x", "not of the form"),
    ],
)
def test_token_files_that_hold_none(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    error = refused(f"--token-file={file}")
    assert message in error.message
    assert str(file) in error.message


def test_a_token_is_never_in_a_message() -> None:
    assert "K10hush" not in str(refused("--token=K10hush"))


# --- agent -------------------------------------------------------------------------------------------------
def test_an_agent_knows_whom_to_join(tmp_path: Path) -> None:
    config = agent(
        "--server=https://a:9345/", "--token=x", f"--data-dir={tmp_path}", "--system-default-registry=r"
    )
    assert config.server is None
    assert config.join is not None
    assert (config.join.server_url, config.join.token) == ("https://a:9345", "x")
    assert config.images.system_default_registry == ""


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--token=x"], "an agent needs the URL of a server"),
        (["--server=a:9345", "--token=x"], "not an https URL"),
        (["--server=https://a:9345"], "token is required to join a cluster"),
        (["--server=https://me@a:9345", "--token=x"], "not an https URL"),
        (["--server=https://a:port", "--token=x"], "not an https URL"),
    ],
)
def test_an_agent_that_does_not(tmp_path: Path, argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        agent(*argv, f"--data-dir={tmp_path}")


def test_an_agent_with_its_certificate_needs_no_token(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "client-kubelet.crt").touch()
    config = agent("--server=https://a:9345", f"--data-dir={tmp_path}")
    assert config.join is not None and config.join.token == ""


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://a:9345/", "https://a:9345"),
        ("https://a", "https://a:443"),
        ("https://Server.Example.:9345", "https://server.example:9345"),
        ("https://[FD00:0::1]:9345", "https://[fd00::1]:9345"),
        ("https://[fd00::1]:9345/v1?x", "https://[fd00::1]:9345"),
    ],
)
def test_the_url_to_join_is_a_host_and_a_port(url: str, normal: str) -> None:
    config = server(f"--server={url}", "--token=x")
    assert config.join is not None
    assert config.join.server_url == normal


def test_a_server_joins_nobody_unless_told() -> None:
    assert server().join is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--server=https://a:9345"], "token is required to join a cluster"),
        (["--disable-etcd"], "disable-etcd needs server"),
        (["--disable-apiserver"], "disable-apiserver needs disable-controller-manager"),
        (
            ["--server=https://a:9345", "--token=x", "--disable-etcd", "--disable-apiserver"],
            "leave nothing for a server to serve",
        ),
    ],
)
def test_a_server_that_can_serve_nobody_is_refused(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        server(*argv)


@pytest.mark.parametrize(
    "item",
    [
        "control-plane-resource-requests=cloud-controller-manager-cpu=1",
        "control-plane-resource-limits=cloud-controller-manager-memory=1Gi",
        "control-plane-probe-configuration=cloud-controller-manager-liveness-period-seconds=3",
    ],
)
def test_settings_of_a_pod_that_there_is_not_are_refused(item: str) -> None:
    found = refused(f"--{item}")
    assert isinstance(found, NotSupportedError)
    assert "no cloud-controller-manager is packaged" in found.message


def test_dedicated_etcd() -> None:
    config = server("--disable-apiserver", "--disable-controller-manager", "--disable-scheduler")
    disabled = {name for name, settings in config.components.items() if settings.disabled}
    assert disabled == {
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "cloud-controller-manager",
    }


def test_the_default_registry_is_one_for_pods_however_it_is_written() -> None:
    """containerd compares an image's host with registries.yaml as text."""
    config = server("--system-default-registry=Registry.Example:5000/prefix")
    assert config.images.system_default_registry == "registry.example:5000/prefix"
