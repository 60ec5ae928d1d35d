import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rke2.content.registries.endpoints import hosts
from rke2.content.registries.hosts_toml import HEADER, render, write_hosts
from rke2.content.registries.relayed import relay_for, through
from rke2.content.registries.settings import Registries, load_registries
from rke2.content.registries.spelling import normalize_endpoint
from rke2.errors import ConfigError


def registries(tmp_path: Path, text: str) -> Registries:
    path = tmp_path / "registries.yaml"
    path.write_text(text)
    return load_registries(path)


def rendered(tmp_path: Path, text: str, *, disable_default: bool = False) -> dict[str, dict[str, Any]]:
    found = hosts(registries(tmp_path, text), disable_default=disable_default)
    return {name: tomllib.loads(render(host)) for name, host in found.items()}


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert load_registries(tmp_path / "none.yaml") == Registries() == registries(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mirors: {}", "mirors"),
        ("mirrors: [a]", "mirrors"),
        ("mirrors: {a: {endpoint: x}}", "endpoint"),
        ("mirrors: {a: {endpoints: [x]}}", "endpoints"),
        ("configs: {a: {auth: {user: x}}}", "user"),
        ("configs: {a: {auth: {user: }}}", "user"),
        ("configs: {a: {tls: {insecure_skip_verify: maybe}}}", "insecure_skip_verify"),
        ("- a", "array"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_does_not_belong_there_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        registries(tmp_path, text)
    assert str(tmp_path / "registries.yaml") in str(caught.value)


def test_fields_without_a_value_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    """As in templates whose comments say what belongs there."""
    empty = (
        "auth: {username: u, password: p, auth: }, tls: {cert_file: , ca_file: /ca, insecure_skip_verify: }"
    )
    text = f"configs: {{a: {{{empty}}}}}"
    filled = "configs: {a: {auth: {username: u, password: p}, tls: {ca_file: /ca}}}"
    assert registries(tmp_path, text) == registries(tmp_path, filled)


@pytest.mark.parametrize(
    ("text", "url", "override"),
    [
        ("reg.example", "https://reg.example/v2", False),
        ("http://reg.example:5000/", "http://reg.example:5000/v2", False),
        ("https://reg.example/v2", "https://reg.example/v2", False),
        ("m2.example/v2/proxy", "https://m2.example/v2/proxy", True),
        ("docker.io", "https://registry-1.docker.io/v2", False),
        ("localhost:5000", "http://localhost:5000/v2", False),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2", False),
        ("localhost:443", "https://localhost:443/v2", False),
        ("localhost", "https://localhost/v2", False),
    ],
)
def test_endpoints_become_urls(text: str, url: str, override: bool) -> None:
    assert normalize_endpoint(text) == (url, override)


@pytest.mark.parametrize("text", ["", "ftp://x", "https://", "http://h:port"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="registry endpoint"):
        normalize_endpoint(text)


def test_mirrors_come_first_in_order_and_the_registry_last(tmp_path: Path) -> None:
    text = "mirrors: {docker.io: {endpoint: ['https://a.example', b.example/proxy, 'https://a.example/v2']}}"
    file = rendered(tmp_path, text)["docker.io"]
    assert list(file["host"]) == ["https://a.example/v2", "https://b.example/proxy"]
    assert file["host"]["https://b.example/proxy"]["override_path"] is True
    assert file["host"]["https://a.example/v2"] == {"capabilities": ["pull", "resolve"]}
    assert file["server"] == "https://registry-1.docker.io/v2"


def test_rewrites_apply_to_mirrors_only(tmp_path: Path) -> None:
    text = "mirrors: {docker.io: {endpoint: [a.example], rewrite: {'^library/(.*)': 'mirror/$1'}}}"
    file = rendered(tmp_path, text)["docker.io"]
    assert file["host"]["https://a.example/v2"]["rewrite"] == {"^library/(.*)": "mirror/$1"}
    assert "rewrite" not in file


def test_registry_listed_as_its_own_last_mirror_is_asked_once(tmp_path: Path) -> None:
    file = rendered(tmp_path, "mirrors: {r.example: {endpoint: [a.example, r.example]}}")["r.example"]
    assert list(file["host"]) == ["https://a.example/v2"]
    assert file["server"] == "https://r.example/v2"


def test_without_default_endpoint_only_mirrors_are_asked(tmp_path: Path) -> None:
    text = "{mirrors: {r.example: {endpoint: [a.example, b.example]}}, configs: {c.example: {tls: {ca_file: /ca}}}}"
    files = rendered(tmp_path, text, disable_default=True)
    assert list(files["r.example"]["host"]) == ["https://a.example/v2"]
    assert files["r.example"]["server"] == "https://b.example/v2"
    assert files["c.example"]["server"] == "https://c.example/v2"


def test_star_is_for_all_other_hosts(tmp_path: Path) -> None:
    files = rendered(tmp_path, "mirrors: {'*': {endpoint: [a.example]}}")
    assert list(files) == ["_default"]
    assert "server" not in files["_default"]


def test_tls_goes_into_the_file_of_the_endpoint_it_is_for(tmp_path: Path) -> None:
    text = """
mirrors: {docker.io: {endpoint: ["https://a.example:5000", "https://other.example"]}}
configs:
  a.example:5000: {tls: {ca_file: /ca, cert_file: /c, key_file: /k}}
  registry-1.docker.io: {tls: {insecure_skip_verify: true}}
  "*": {tls: {ca_file: /any}}
"""
    file = rendered(tmp_path, text)["docker.io"]
    assert file["host"]["https://a.example:5000/v2"]["ca"] == ["/ca"]
    assert file["host"]["https://a.example:5000/v2"]["client"] == [["/c", "/k"]]
    assert file["host"]["https://other.example/v2"]["ca"] == ["/any"]
    assert file["skip_verify"] is True


def test_host_about_which_nothing_is_said_gets_no_file(tmp_path: Path) -> None:
    assert (
        rendered(tmp_path, "{mirrors: {a.example: , b.example: {endpoint: []}}, configs: {c.example: {}}}")
        == {}
    )


def test_credentials_are_not_in_hosts_files(tmp_path: Path) -> None:
    text = "configs: {a.example: {auth: {username: u, password: s3cret, identity_token: t}}}"
    parsed = registries(tmp_path, text)
    assert parsed.auths() == {"a.example": {"username": "u", "password": "s3cret", "identitytoken": "t"}}
    assert "s3cret" not in "".join(render(host) for host in hosts(parsed).values())


def test_only_our_own_stale_files_are_removed(tmp_path: Path) -> None:
    directory = tmp_path / "certs.d"
    for name, content in {"ours": f"{HEADER}x", "theirs": "# mine\n", "again": "# mine\n"}.items():
        (directory / name).mkdir(parents=True)
        (directory / name / "hosts.toml").write_text(content)
    write_hosts(
        directory,
        registries(tmp_path, "mirrors: {again: {endpoint: [a.example]}, new: {endpoint: [b.example]}}"),
    )
    assert sorted(path.name for path in directory.iterdir()) == ["again", "new", "theirs"]
    assert (directory / "theirs/hosts.toml").read_text() == "# mine\n"
    assert (directory / "again/hosts.toml").read_text().startswith(HEADER)
    assert (directory / "new").stat().st_mode & 0o777 == 0o700


def test_mirrors_with_rewrites_are_reached_through_the_relay(tmp_path: Path) -> None:
    text = """
mirrors:
  a.example: {endpoint: [https://m.example, https://n.example], rewrite: {"^x/(.*)": "y/$1"}}
  b.example: {endpoint: [https://m.example]}
configs: {m.example: {auth: {username: u, password: s3cret}, tls: {ca_file: /ca}}}
"""
    parsed = registries(tmp_path, text)
    relay = relay_for(parsed, 6441)
    assert relay
    write_hosts(tmp_path / "c", parsed, through=partial(through, relay))
    written = tomllib.loads((tmp_path / "c/a.example/hosts.toml").read_text())
    assert written["server"] == "https://a.example/v2"
    assert list(written["host"]) == ["http://127.0.0.1:6441/0", "http://127.0.0.1:6441/1"]
    first = written["host"]["http://127.0.0.1:6441/0"]
    assert first["override_path"] is True
    assert first["header"] == relay.headers
    assert not {"ca", "rewrite"} & set(first)
    assert "127.0.0.1" not in (tmp_path / "c/b.example/hosts.toml").read_text()
    assert "s3cret" not in (tmp_path / "c/a.example/hosts.toml").read_text()


def test_a_rewrite_rule_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    parsed = registries(tmp_path, "mirrors: {a: {endpoint: [b], rewrite: {'(': x}}}")
    with pytest.raises(ConfigError, match=r"rewrite rule '\('"):
        relay_for(parsed, 6441)
    assert relay_for(registries(tmp_path, "mirrors: {a: {endpoint: [b]}}"), 6441) is None


def test_a_single_mirror_without_the_registry_itself_is_not_left_out(tmp_path: Path) -> None:
    text = "mirrors: {a.example: {endpoint: [https://m.example]}, '*': {endpoint: [https://n.example]}}"
    found = hosts(registries(tmp_path, text), disable_default=True)
    assert {name: host.last and host.last.url for name, host in found.items()} == {
        "a.example": "https://m.example/v2",
        "_default": "https://n.example/v2",
    }
    alone = registries(tmp_path, "mirrors: {a.example: {endpoint: [https://a.example]}}")
    assert hosts(alone) == hosts(alone, disable_default=True) == {}


# --- names of registries ---------------------------------------------------------------------------
HUB = [
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "https://docker.io",
    "https://registry-1.docker.io/v2/",
]
OWN = [
    "reg.example:5000",
    "https://reg.example:5000",
    "http://reg.example:5000/v2",
    "reg.example:5000/",
    "Reg.EXAMPLE:5000",
    "reg.example.:5000",
]
IPV6 = ["[fd00::1]:5000", "[FD00:0::1]:5000", "https://[fd00::1]:5000/v2"]


@pytest.mark.parametrize(
    ("key", "name", "asked"),
    [
        *((key, "docker.io", "registry-1.docker.io") for key in HUB),
        *((key, "reg.example:5000", "reg.example:5000") for key in OWN),
        *((key, "[fd00::1]:5000", "[fd00::1]:5000") for key in IPV6),
    ],
)
def test_a_name_means_the_same_for_rke2_and_for_pods(tmp_path: Path, key: str, name: str, asked: str) -> None:
    found = registries(
        tmp_path,
        f"configs: {{'{key}': {{auth: {{username: u, password: p}}, tls: {{ca_file: /ca}}}}}}\n"
        f"mirrors: {{'{key}': {{endpoint: [m.example]}}}}\n",
    )
    for written in (name, asked):
        config = found.config(written)
        assert config.auth and config.auth.username == "u"
        assert config.tls and config.tls.ca_file == "/ca"
    assert found.auths() == {asked: {"username": "u", "password": "p"}}
    file = tomllib.loads(render(hosts(found)[name]))
    assert (file["server"], file["ca"]) == (f"https://{asked}/v2", ["/ca"])
    assert list(file["host"]) == ["https://m.example/v2"]
    assert render(hosts(found)[asked]) == render(hosts(found)[name])


def test_what_is_said_under_several_names_is_for_the_one_registry(tmp_path: Path) -> None:
    text = "configs: {docker.io: {auth: {username: u, password: p}}, registry-1.docker.io: {tls: {ca_file: /ca}}}"
    config = registries(tmp_path, text).config("docker.io")
    assert config.auth and config.tls
    with pytest.raises(
        ConfigError, match=r"registries.yaml: mirrors: 'index.docker.io' is one more name of docker.io"
    ):
        registries(
            tmp_path,
            "mirrors: {docker.io: {endpoint: [a.example]}, index.docker.io: {endpoint: [b.example]}}",
        )


@pytest.mark.parametrize("section", ["mirrors", "configs"])
@pytest.mark.parametrize("key", ["", "https://", "a b", "fd00::1", "[fd00::x]", "reg.example:port"])
def test_a_key_that_is_no_host_is_named_with_its_file(tmp_path: Path, section: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        registries(tmp_path, f"{section}: {{'{key}': null}}")
    assert refused.value.message.startswith(f"{tmp_path / 'registries.yaml'}: {section}: {key!r} ")
    assert refused.value.remedy


def test_a_password_in_a_name_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for text in (
        "configs: {'https://u:s3cret@reg.example': {}}",
        "mirrors: {a: {endpoint: ['https://u:s3cret@b']}}",
    ):
        with pytest.raises(ConfigError, match="has a user in it") as refused:
            hosts(registries(tmp_path, text))
        assert "s3cret" not in str(refused.value)


def test_pods_may_spell_a_host_as_the_file_does(tmp_path: Path) -> None:
    found = registries(tmp_path, "configs: {Reg.EXAMPLE: {auth: {username: u, password: p}}}")
    assert [*hosts(found)] == ["reg.example", "Reg.EXAMPLE"]
    for host in hosts(found).values():
        assert tomllib.loads(render(host))["server"] == "https://reg.example/v2", (
            "what credentials are looked up by"
        )
    assert [*found.auths()] == ["reg.example"]


@pytest.mark.parametrize(
    "endpoint", ["https://M.Example:5000", "m.example:5000/", "https://m.example.:5000/v2"]
)
def test_an_endpoint_is_asked_by_the_name_that_its_credentials_have(tmp_path: Path, endpoint: str) -> None:
    found = registries(
        tmp_path,
        f"{{mirrors: {{a.example: {{endpoint: ['{endpoint}']}}}},"
        " configs: {'m.example:5000': {auth: {username: u, password: p}}}}",
    )
    (url,) = tomllib.loads(render(hosts(found)["a.example"]))["host"]
    assert (url, [*found.auths()]) == ("https://m.example:5000/v2", ["m.example:5000"])


def test_what_is_said_of_all_registries_reaches_those_that_are_named(tmp_path: Path) -> None:
    """containerd knows no ``*`` among credentials."""
    text = """
mirrors: {docker.io: {endpoint: [m.example]}, b.example: }
configs: {'*': {auth: {username: u, password: p}}, own.example: {auth: {username: o, password: p}}}
"""
    users = {host: table["username"] for host, table in registries(tmp_path, text).auths().items()}
    assert users == {"own.example": "o", "registry-1.docker.io": "u", "b.example": "u", "m.example": "u"}


def test_directories_of_earlier_versions_go_and_those_of_others_stay(tmp_path: Path) -> None:
    for name in ("https:/reg.example", "https:/own.example", "gone.example"):
        (tmp_path / name).mkdir(parents=True)
        first = HEADER if name != "https:/own.example" else "# mine\n"
        (tmp_path / name / "hosts.toml").write_text(first)
    write_hosts(tmp_path, Registries())
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("hosts.toml")] == [
        "https:/own.example/hosts.toml"
    ]
    (tmp_path / "https:/own.example/hosts.toml").write_text(HEADER)
    write_hosts(tmp_path, Registries())
    assert list(tmp_path.iterdir()) == []


def test_a_value_of_another_type_is_told_with_its_host(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text("configs:\n  a.example: {auth: {username: a}}\n  b.example:5000: {auth: {username: 1}}\n")
    with pytest.raises(ConfigError, match=r'configs\["b.example:5000"\]\.auth\.username'):
        load_registries(path)
