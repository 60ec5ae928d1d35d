import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.components import containerd_config
from rke2.components.containerd_config import apply_template
from rke2.components.runtimes import Runtime, find_runtimes
from rke2.config.model import NodeConfig
from rke2.content.registries.settings import Auth, Registries, RegistryConfig
from rke2.errors import ConfigError
from rke2.host.facts import HostFacts
from tests.configs import paths_under, server_config
from tests.machines import MICRO_VM, SYSTEMD_HOST, USER_NAMESPACE

PAUSE = "docker.io/rke2py/pause:3.10"
CREDENTIALS = Registries(configs={"reg.example": RegistryConfig(auth=Auth(username="u", password="p"))})


def render(config: NodeConfig, facts: HostFacts = SYSTEMD_HOST, registries: Registries | None = None) -> str:
    return containerd_config.render(config, facts, PAUSE, registries or Registries(), {})


def cri(facts: HostFacts) -> dict[str, Any]:
    plugins: dict[str, Any] = tomllib.loads(render(server_config(), facts))["plugins"]
    runtime: dict[str, Any] = plugins["io.containerd.cri.v1.runtime"]
    return runtime


@pytest.mark.parametrize(("facts", "systemd"), [(SYSTEMD_HOST, True), (MICRO_VM, False)])
def test_cgroups_follow_the_host(facts: HostFacts, systemd: bool) -> None:
    assert cri(facts)["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": systemd}


@pytest.mark.parametrize(
    ("facts", "restricted"), [(SYSTEMD_HOST, False), (MICRO_VM, True), (USER_NAMESPACE, True)]
)
def test_oom_scores_are_not_lowered_where_that_is_impossible(facts: HostFacts, restricted: bool) -> None:
    assert cri(facts).get("restrict_oom_score_adj", False) is restricted


def test_credentials_and_pause_image_are_in_the_file() -> None:
    images = tomllib.loads(render(server_config(), registries=CREDENTIALS))["plugins"][
        "io.containerd.cri.v1.images"
    ]
    assert images["pinned_images"] == {"sandbox": PAUSE}
    assert images["registry"]["configs"] == {"reg.example": {"auth": {"username": "u", "password": "p"}}}


def test_default_runtime_must_be_there() -> None:
    config = server_config(runtime={"default_runtime": "crun"})
    with pytest.raises(ConfigError, match="default-runtime crun"):
        render(config)
    found = {"crun": Runtime("io.containerd.runc.v2", Path("/usr/bin/crun"))}
    text = containerd_config.render(config, SYSTEMD_HOST, PAUSE, Registries(), found)
    runtimes = tomllib.loads(text)["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]
    assert runtimes["default_runtime_name"] == "crun"
    assert runtimes["runtimes"]["crun"]["options"]["BinaryName"] == "/usr/bin/crun"


def test_runtimes_are_found_by_their_programs(tmp_path: Path) -> None:
    for name in ("crun", "containerd-shim-spin-v2", "not-executable"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    assert find_runtimes(str(tmp_path)) == {
        "crun": Runtime("io.containerd.runc.v2", tmp_path / "crun"),
        "spin": Runtime("io.containerd.spin.v2", tmp_path / "containerd-shim-spin-v2"),
    }


def test_resource_class_files_are_picked_up(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    rdt = config.paths.containerd_config.parent / "rdt_config.yaml"
    rdt.parent.mkdir(parents=True)
    rdt.write_text("")
    plugins = tomllib.loads(render(config))["plugins"]
    assert plugins["io.containerd.service.v1.tasks-service"] == {"rdt_config_file": str(rdt)}


def template(tmp_path: Path, content: str, name: str = "config-v3.toml.tmpl") -> NodeConfig:
    config = server_config(paths_under(tmp_path))
    path = config.paths.containerd_config.parent / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return config


def test_template_extends_the_generated_configuration(tmp_path: Path) -> None:
    config = template(tmp_path, '{{ template "base" . }}\n[debug]\nlevel = "debug"\n')
    document = tomllib.loads(render(config))
    assert document["debug"] == {"level": "debug"}
    assert document["version"] == 3


def test_template_that_loses_credentials_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = template(tmp_path, "version = 3\n")
    assert "auth" not in render(config, registries=CREDENTIALS)
    assert "reg.example" in caplog.text


def test_template_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config-v3\.toml\.tmpl does not give valid TOML"):
        render(template(tmp_path, "version = \n"))


def test_old_template_is_used_as_it_is_but_has_no_base(tmp_path: Path) -> None:
    old = "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'own'\n"
    assert render(template(tmp_path / "a", old, "config.toml.tmpl")) == old
    with pytest.raises(ConfigError, match=r"line 2: .*move the additions to config-v3"):
        render(template(tmp_path / "b", '# x\n{{ template "base" . }}', "config.toml.tmpl"))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{{template "base" .}}', "BASE\n"),
        ('a\n\n{{- template "base" . -}}\n\nb', "aBASEb\n"),
        ("a {{/* a\ncomment */}}b", "a b\n"),
        ("a\n{{- /* gone */ -}}\nb\n", "ab\n"),
        ("plain = {}\n", "plain = {}\n"),
    ],
)
def test_actions_that_are_understood(text: str, result: str) -> None:
    assert apply_template(text, "BASE", Path("/t")) == result


@pytest.mark.parametrize(
    "action", ["{{ .NodeConfig.SELinux }}", "{{ if .X }}", '{{ template "other" . }}', "{{}}"]
)
def test_other_actions_are_refused_with_file_and_line(action: str) -> None:
    with pytest.raises(ConfigError, match="/t line 3"):
        apply_template(f"a\nb\nc = {action}\n", "BASE", Path("/t"))


@given(st.text(alphabet="ab{}\n-. ", max_size=20))
def test_text_without_actions_is_left_alone(text: str) -> None:
    if "{{" not in text:
        assert apply_template(text, "BASE", Path("/t")).rstrip("\n") == text.rstrip("\n")


def test_process_environment_and_arguments() -> None:
    environ = {
        "PATH": "/bin",
        "HTTP_PROXY": "a",
        "CONTAINERD_HTTP_PROXY": "b",
        "CONTAINERD_LOG_LEVEL": "debug",
        "NOTIFY_SOCKET": "/run/notify",
    }
    made = containerd_config.environment(environ)
    assert made["HTTP_PROXY"] == "b"
    assert not {"NOTIFY_SOCKET", "CONTAINERD_HTTP_PROXY"} & set(made)
    assert containerd_config.arguments(server_config().paths, environ)[-2:] == ("--log-level", "debug")
    assert containerd_config.arguments(server_config().paths, {})[:4] == (
        "-c",
        "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
        "-a",
        "/run/k3s/containerd/containerd.sock",
    )


def test_file_is_private(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    assert containerd_config.write(config, "x\n")
    assert not containerd_config.write(config, "x\n")
    assert config.paths.containerd_config.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [" -}} ", "a -}} b", "x {- y"])
def test_marks_that_belong_to_no_action_are_left_alone(text: str) -> None:
    assert apply_template(text, "base", Path("t")) == f"{text}\n"


# --- drop-ins, and what no pod can do without ------------------------------------------------------
def place(config: NodeConfig, name: str, text: str) -> Path:
    file = config.paths.containerd_config.parent / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_drop_ins_are_read_by_containerd(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    file = place(config, "config-v3.toml.d/50-own.toml", 'version = 3\n[debug]\nlevel = "debug"\n')
    (pattern,) = tomllib.loads(render(config))["imports"]
    assert list(Path("/").glob(pattern.lstrip("/"))) == [file]


def test_a_drop_in_that_is_not_toml_is_named(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    file = place(config, "config-v3.toml.d/50-own.toml", "version = 3\n[debug\n")
    with pytest.raises(ConfigError, match="is not valid TOML") as refused:
        render(config)
    assert str(file) in refused.value.message and "line 2" in refused.value.message


@pytest.mark.parametrize(
    "template",
    [
        "version = 3\n",
        "version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'native'\n",
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/x'\n",
    ],
)
def test_a_template_without_sandbox_image_is_completed(
    template: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = server_config(paths_under(tmp_path))
    place(config, "config-v3.toml.tmpl", template)
    images = tomllib.loads(render(config))["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"] == {"sandbox": PAUSE}
    assert "leaves out the sandbox image" in caplog.text


@pytest.mark.parametrize(
    "template",
    [
        "",
        "version = 2\n",
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\n",
        "version = 3\nplugins = {}\n",
    ],
)
def test_one_that_cannot_be_completed_is_refused(template: str, tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    place(config, "config-v3.toml.tmpl", template)
    with pytest.raises(ConfigError, match="leaves out the sandbox image") as refused:
        render(config)
    assert PAUSE in refused.value.remedy


@pytest.mark.parametrize(
    "template",
    [
        '{{ template "base" . }}',
        "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'own'\n",
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'own'\n",
    ],
)
def test_one_that_has_it_is_left_alone(template: str, tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    place(config, "config-v3.toml.tmpl", template)
    assert "Added by rke2" not in render(config)
