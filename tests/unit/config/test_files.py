from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
import yaml
from cryptography import x509
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rke2.config.files import load
from rke2.errors import ConfigError, UnknownKeyError
from tests.authorities import own_authority
from tests.unit.config.nodes import settings_from

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes config.yaml and drop-ins (by file name), gives the main file's path."""

    def make(main: str, **dropins: str) -> Path:
        file = tmp_path / "config.yaml"
        file.write_text(main)
        (tmp_path / "config.yaml.d").mkdir(exist_ok=True)
        for name, text in dropins.items():
            (tmp_path / "config.yaml.d" / name.replace("__", ".")).write_text(text)
        return file

    return make


def pairs(file: Path) -> list[tuple[str, str]]:
    return [(item.flag.name, item.text) for item in load("server", str(file), required=True).assignments]


def error_of(file: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load("server", str(file), required=True)
    return caught.value


def test_scalars_booleans_lists_and_one_letter_keys(write: Write) -> None:
    file = write("t: secret\ndebug: true\nselinux: no\ntls-san:\n- a\n- b\nnode-ip: 192.0.2.1\n")
    assert pairs(file) == [
        ("token", "secret"),
        ("debug", "true"),
        ("selinux", "false"),
        ("tls-san", "a"),
        ("tls-san", "b"),
        ("node-ip", "192.0.2.1"),
    ]


def test_scalars_stay_as_written(write: Write) -> None:
    assert pairs(write("write-kubeconfig-mode: 0644\ntoken: 1e3\nnode-name: 1.10\n")) == [
        ("write-kubeconfig-mode", "0644"),
        ("token", "1e3"),
        ("node-name", "1.10"),
    ]


def test_empty_files_and_keys_without_value_set_nothing(write: Write) -> None:
    assert pairs(write("# nothing\n", a__yaml="", b__yaml="server:\ntls-san: []\n")) == []


def test_dropins_replace_and_append(write: Write) -> None:
    file = write(
        "token: one\ntls-san: [a]\ndisable: [x]\ncni: canal\n",
        **{
            "20-late__yml": "tls-san+: b\ntoken: three\n",
            "10-early__YAML": "token: two\ndisable: y\ncni+: [none]\nnode-label+: [k=v]\n",
        },
    )
    assert pairs(file) == [
        ("token", "three"),
        ("tls-san", "a"),
        ("tls-san", "b"),
        ("disable", "y"),
        ("cni", "canal"),
        ("cni", "none"),
        ("node-label", "k=v"),
    ]


def test_other_names_and_folders_are_no_dropins(write: Write) -> None:
    file = write("token: one\n", **{"a__yaml__bak": "token: two\n", "b__json": "{}"})
    (file.parent / "config.yaml.d" / "c.yaml").mkdir()
    assert pairs(file) == [("token", "one")]


def test_dropins_count_without_a_main_file(write: Write) -> None:
    file = write("", a__yaml="token: two\n")
    file.unlink()
    assert load("server", str(file), required=False).assignments[0].text == "two"


def test_an_explicit_file_must_exist(tmp_path: Path) -> None:
    error = error_of(tmp_path / "none.yaml")
    assert error.message == f"configuration file {tmp_path}/none.yaml does not exist"
    assert load("server", str(tmp_path / "none.yaml"), required=False).assignments == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node-name: [a]\n", "{}:1: node-name must be a string, not a list"),
        ("# x\nnode-name: {a: b}\n", "{}:2: node-name must be a string, not a nested map"),
        ("tls-san: {a: b}\n", "{}:1: tls-san must be a list or a string, not a nested map"),
        (
            "tls-san: [[a]]\n",
            "{}:1: tls-san must be a list or a string, not a list with a nested map or list inside",
        ),
        ("tls-san: [a, ]\ndebug: [true]\n", "{}:2: debug must be a boolean, not a list"),
        ("tls-san:\n-\n", "{}:1: tls-san must be a list or a string, not a list with an empty item"),
        ("node-name: on\n", "{}:1: node-name must be a string, not the boolean on"),
        ("lb-server-port: yes\n", "{}:1: lb-server-port must be an integer, not the boolean yes"),
        ("config: /x\n", "{}:1: config cannot be set in a configuration file"),
        ("token: a\ndebug: true\ntoken: b\n", "{0}:3: token is given twice, first at {0}:1"),
        ("{token: a, token: a}", "{0}:1: token is given twice, first at {0}:1"),
        ("[a]: b\n", "{}:1: the key is not a plain word"),
        ("- a\n", "{} is not a map of flags to values"),
        ("token: 'a\n", "{} is not valid YAML: line 2, column 1: found unexpected end of stream"),
        ("token: a\n---\ntoken: b\n", "{} is not valid YAML: line 2, column 1: but found another document"),
    ],
)
def test_what_a_file_may_not_hold(write: Write, text: str, message: str) -> None:
    file = write(text)
    assert error_of(file).message == message.format(file)


def test_text_that_is_not_utf8(write: Write) -> None:
    file = write("")
    file.write_bytes(b"token: \xff")
    assert error_of(file).message.startswith(f"configuration file {file} is not UTF-8 text")


def test_wrong_value_names_file_and_line(write: Write) -> None:
    file = write("token: x\nlb-server-port: many\n")
    with pytest.raises(ConfigError) as caught:
        settings_from(file)
    assert caught.value.message == (
        f"lb-server-port: invalid value 'many' (set by {file}:2): expected an integer"
    )


def test_an_unknown_key_is_an_error_with_a_suggestion(write: Write) -> None:
    file = write("token: x\nclustr-cidr: 10.0.0.0/16\n")
    with pytest.raises(UnknownKeyError) as caught:
        settings_from(file)
    assert caught.value.message == f"{file}:2: clustr-cidr is not a flag of `rke2 server`"
    assert caught.value.remedy.startswith("did you mean cluster-cidr?")


def test_one_file_may_serve_servers_and_agents(write: Write) -> None:
    file = write("node-label: [a=b]\nhelm-job-image: x\ncluster-cidr: 10.0.0.0/16\n")
    assert settings_from(file, command="agent").items("node-label") == ("a=b",)


def test_all_unknown_keys_are_told_at_once(write: Write) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        settings_from(write("tokn: x\n", a__yaml="flannel-backend: none\n"))
    assert "2 unknown keys" in caught.value.message
    assert "did you mean token?" in caught.value.message
    assert "flannel-backend is a flag of k3s" in caught.value.message


@pytest.mark.parametrize("switch", ["argument", "environment", "file"])
def test_the_switch_warns_and_skips(write: Write, switch: str, caplog: pytest.LogCaptureFixture) -> None:
    file = write("tokn: x\n" + ("warn-unknown-keys: true\n" if switch == "file" else ""))
    argv = ["--warn-unknown-keys"] if switch == "argument" else []
    environ = {"RKE2_WARN_UNKNOWN_KEYS": "true"} if switch == "environment" else {}
    with caplog.at_level(logging.WARNING):
        assert settings_from(file, *argv, environ=environ).text("token") == ""
    assert caplog.messages == [
        f"skipping unknown key: {file}:1: tokn is not a flag of `rke2 server` (did you mean token?)"
    ]


def test_a_configuration_may_come_from_a_web_server() -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/config.yaml" else 404)
            self.end_headers()
            self.wfile.write(b"token: remote\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = load("server", f"{url}/config.yaml", required=True).assignments
        with pytest.raises(ConfigError, match="cannot be fetched: HTTP Error 404"):
            load("server", f"{url}/none", required=True)
        server.shutdown()
    assert [(item.flag.name, item.text) for item in found] == [("token", "remote")]


def test_a_configuration_does_not_come_over_http_if_https_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is on the way could write the rest of it: a token, a server's address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/here" else 302)
            self.send_header("Location", f"http://127.0.0.1:{plain.server_port}/here")
            self.end_headers()
            self.wfile.write(b"token: remote\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    chain, private = own_authority("127.0.0.1", x509.IPAddress(ip_address("127.0.0.1")))
    certificate.write_bytes(chain)
    key.write_bytes(private)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), Answer) as plain, HTTPServer(("127.0.0.1", 0), Answer) as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        for server in (plain, secure):
            Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{secure.server_port}"
        load("server", f"{url}/here", required=True)
        load("server", f"http://127.0.0.1:{plain.server_port}/away", required=True)
        with pytest.raises(ConfigError, match="redirects from https to http://127"):
            load("server", f"{url}/away", required=True)
        for server in (plain, secure):
            server.shutdown()


# --- the merge, against a model of it ----------------------------------------------------------------------
MOST_FILES = 4

files = st.lists(
    st.dictionaries(
        st.sampled_from(["tls-san", "tls-san+", "node-label", "node-label+"]),
        st.one_of(st.none(), st.text("abc", min_size=1), st.lists(st.text("abc", min_size=1), max_size=3)),
    ),
    min_size=1,
    max_size=MOST_FILES,
)


@given(files)
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
def test_merging_follows_the_rules(write: Write, documents: list[dict[str, str | list[str] | None]]) -> None:
    texts = [yaml.safe_dump(document, sort_keys=False) for document in documents]
    texts += [""] * (MOST_FILES - len(texts))  # overwrites what an earlier example left
    file = write(texts[0], **{f"{number}__yaml": text for number, text in enumerate(texts[1:])})
    expected: dict[str, list[str]] = {}
    for document in documents:
        for key, value in document.items():
            items = [] if value is None else [value] if isinstance(value, str) else value
            name = key.removesuffix("+")
            expected[name] = (expected.get(name, []) if key.endswith("+") else []) + items
    found: dict[str, list[str]] = {name: [] for name in expected}
    for name, text in pairs(file):
        found[name].append(text)
    assert found == expected
