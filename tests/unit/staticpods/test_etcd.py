from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.model import ComponentSettings
from rke2.errors import ConfigError, HostError
from rke2.staticpods import etcd, etcd_config, writer
from rke2.staticpods.etcd_config import InitialOptions, apply_args
from tests.configs import paths_under, server_config

INITIAL = InitialOptions("https://192.0.2.1:2380", "node1-1=https://192.0.2.1:2380")


def test_initial_options_survive_in_the_manifest(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    assert etcd.previous_options(config.paths) is None
    for name in etcd.CERTIFICATES:
        file = config.paths.tls / "etcd" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    options = InitialOptions(INITIAL.advertise_peer_url, INITIAL.cluster, "existing")
    writer.write(etcd.pod(config, "image", options), config.paths)
    assert etcd.previous_options(config.paths) == options


def test_initial_options_survive_without_the_manifest(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    options = InitialOptions(INITIAL.advertise_peer_url, INITIAL.cluster, "existing")
    etcd_config.write(config, etcd_config.document(config, "node1-1", options))
    assert etcd.previous_options(config.paths) == options


@pytest.mark.parametrize("annotation", ["", "{}", "[1]", "null", "not json"])
def test_unusable_annotation_counts_as_a_first_start(tmp_path: Path, annotation: str) -> None:
    import yaml

    paths = paths_under(tmp_path)
    paths.pod_manifests.mkdir(parents=True)
    document = {"metadata": {"annotations": {etcd.INITIAL_ANNOTATION: annotation}}}
    (paths.pod_manifests / "etcd.yaml").write_text(yaml.safe_dump(document))
    assert etcd.previous_options(paths) is None


def test_metrics_are_exposed_only_when_asked(tmp_path: Path) -> None:
    urls = [
        etcd_config.document(server_config(server={"etcd_expose_metrics": on}), "n", INITIAL)[
            "listen-metrics-urls"
        ]
        for on in (False, True)
    ]
    assert urls == ["http://127.0.0.1:2381", "http://127.0.0.1:2381,http://192.0.2.1:2381"]


def test_ipv6_addresses_are_bracketed() -> None:
    config = server_config(node={"ips": (ip_address("2001:db8::1"),)})
    assert etcd_config.single_member(config, "n").cluster == "n=https://[2001:db8::1]:2380"


def test_force_new_cluster_only_on_reset() -> None:
    config = server_config()
    assert "force-new-cluster" not in etcd_config.document(config, "n", INITIAL)
    assert etcd_config.document(config, "n", INITIAL, force_new_cluster=True)["force-new-cluster"] is True


@pytest.mark.parametrize(
    ("item", "key", "value"),
    [
        ("quota-backend-bytes=8589934592", "quota-backend-bytes", 8589934592),
        ("auto-compaction-retention=1", "auto-compaction-retention", "1"),
        ("grpc-keepalive-interval=30s", "grpc-keepalive-interval", 30_000_000_000),
        ("watch-progress-notify-interval=500ms", "watch-progress-notify-interval", 500_000_000),
        ("enable-pprof", "enable-pprof", True),
        ("--pre-vote=false", "pre-vote", False),
        ("cipher-suites=A,B", "cipher-suites", ["A", "B"]),
        ("log-outputs+=/var/log/etcd.log", "log-outputs", ["stderr", "/var/log/etcd.log"]),
        ("listen-metrics-urls+=http://h:1", "listen-metrics-urls", "http://127.0.0.1:2381,http://h:1"),
        ("feature-gates-=X=true", "feature-gates", "X=true,InitialCorruptCheck=true"),
        ("heartbeat-interval=100", "heartbeat-interval", 100),
        (
            "experimental-initial-corrupt-check=false",
            "feature-gates",
            "InitialCorruptCheck=true,InitialCorruptCheck=false",
        ),
        ("experimental-compaction-batch-limit=5", "compaction-batch-limit", 5),
    ],
)
def test_arguments_are_converted_by_the_type_of_their_key(item: str, key: str, value: object) -> None:
    config = server_config(components={"etcd": ComponentSettings(args=(item,))})
    assert etcd_config.document(config, "n", INITIAL)[key] == value


@pytest.mark.parametrize("item", ["heartbeat-interval=fast", "pre-vote=maybe", "corrupt-check-time=5"])
def test_wrong_type_is_named(item: str) -> None:
    with pytest.raises(ConfigError, match=f"etcd-arg {item}"):
        apply_args({}, [item])


def test_key_that_etcd_does_not_have_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert apply_args({}, ["snapshot-cuont=3"]) == {"snapshot-cuont": "3"}
    assert "did you mean snapshot-count?" in caplog.text


@given(st.sampled_from(sorted(etcd_config.KEY_TYPES)), st.text(alphabet="0123456789smh,=true", max_size=8))
def test_a_value_is_converted_or_refused_never_worse(key: str, value: str) -> None:
    try:
        converted = apply_args({}, [f"{key}={value}"])[key]
    except ConfigError as error:
        assert key in str(error)
        return
    expected = {"bool": bool, "int": int, "duration": int, "list": list, "string": str}
    assert type(converted) is expected[etcd_config.KEY_TYPES[key]]


def test_config_file_is_private_and_stable(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    content = etcd_config.document(config, "n", INITIAL)
    assert etcd_config.write(config, content)
    assert not etcd_config.write(config, content)
    assert (config.paths.etcd / "config").stat().st_mode & 0o777 == 0o600


def test_no_profile_runs_as_root() -> None:
    assert etcd.prepare_user(server_config()) is None


def test_profile_without_the_user_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "USER", "no-such-user-here")
    with pytest.raises(HostError, match="no-such-user-here"):
        etcd.prepare_user(server_config(profile="cis"))
