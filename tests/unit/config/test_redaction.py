from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.flag import FlagKind
from rke2.config.flags import flags_of
from rke2.config.redaction import (
    MASK,
    is_secret,
    masked,
    masked_environment,
    masked_setting,
    take_secrets_out,
    without_proxies,
)

SECRET = "Pa55/wörd:x"
FULL_TOKEN = f"K10{'a1' * 32}::server:s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://rke2:{SECRET}@tcp(db.example:3306)/rke2",
        f"postgres://rke2:{SECRET}@db.example/rke2?sslmode=disable",
        f"etcd-servers=https://root:{SECRET}@etcd.example:2379",
        f"HTTPS_PROXY=http://user:{SECRET}@proxy.example:3128",
        f"https://{SECRET}@git.example/charts",
        f"oidc-client-secret={SECRET}",
        f"--client-secret={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"experimental-password={SECRET},{SECRET};{SECRET}",
        f"https://hook.example/?x=1&token={SECRET}",
        f"webhook=https://hook.example/?access_token={SECRET}",
        f"extra=PGPASSWORD={SECRET}",
        f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----",
    ],
)
def test_secrets_in_values_of_any_kind(text: str) -> None:
    shown = masked(text)
    assert SECRET not in shown
    assert "wörd" not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "token", [FULL_TOKEN, "abcdef.0123456789abcdef", f"K10{'a1' * 32}::abcdef.0123456789abcdef"]
)
def test_joining_tokens(token: str) -> None:
    shown = masked(f"join with {token}")
    assert MASK in shown
    assert not shown.endswith((token[-16:], "s3cr3t"))


@pytest.mark.parametrize(
    "text",
    [
        "https://server.example.org:9345",
        "https://server.internalnetworks",
        "tls-private-key-file=/etc/key.pem",
        "service-account-key-file=/var/lib/x/service.key",
        "token-auth-file=/etc/tokens.csv",
        "service-account-max-token-expiration=24h",
        "encryption-provider-config=/etc/encryption.json",
        "feature-gates=A=true,B=false",
        "election-timeout=5000",
        "docker.io/rancher/pause:3.9@sha256:0123",
        "eviction-hard=imagefs.available<1%,nodefs.available<1%",
        "key1=value1:NoSchedule",
        "/dev/disk/by-id/x",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


@given(st.text(max_size=200))
def test_any_text_can_be_masked_again(text: str) -> None:
    assert masked(masked(text)) == masked(text)


def test_each_flag_that_is_named_like_a_secret_says_whether_it_is_one() -> None:
    """A new flag has to."""
    named = {
        name for name, flag in flags_of("server").items() if is_secret(name) and flag.kind is FlagKind.STRING
    }
    assert {name for name in named if not flags_of("server")[name].secret} == {"etcd-s3-config-secret"}
    assert named >= {"token", "agent-token", "etcd-s3-secret-key"}


def test_labels_and_taints_are_shown_as_they_are() -> None:
    for name in ("node-label", "node-taint"):
        assert masked_setting(flags_of("agent")[name], "token=blue") == "token=blue"


def test_a_secret_flag_is_masked_whatever_it_holds() -> None:
    assert masked_setting(flags_of("server")["datastore-endpoint"], "x") == MASK
    assert masked_setting(flags_of("server")["token"], "") == ""


@pytest.mark.parametrize(
    "name", ["RKE2_TOKEN", "RKE2_AGENT_TOKEN", "RKE2_DATASTORE_KEY", "RKE2_DATASTORE_ENDPOINT"]
)
def test_secret_variables_are_masked(name: str) -> None:
    assert masked_environment({name: SECRET, "PATH": "/bin"}) == {name: MASK}


def test_secrets_in_other_variables_are_masked() -> None:
    shown = masked_environment({"RKE2_URL": f"https://user:{SECRET}@server:9345"})
    assert shown == {"RKE2_URL": f"https://user:{MASK}@server:9345"}


@pytest.mark.parametrize("name", ["RKE2_TOKEN_FILE", "RKE2_NODE_NAME", "RKE2_DATASTORE_KEYFILE"])
def test_variables_that_are_no_secret_are_shown(name: str) -> None:
    assert masked_environment({name: "x"}) == {name: "x"}


def test_children_inherit_no_secret_of_rke2() -> None:
    environ = {
        "RKE2_TOKEN": "t",
        "RKE2_AGENT_TOKEN": "a",
        "RKE2_DATASTORE_ENDPOINT": "d",
        "RKE2_OTHER_PASSWORD": "o",
    }
    environ |= {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    kept = {"PATH": "/bin", "HTTPS_PROXY": "http://u:p@proxy", "RKE2_NODE_NAME": "n", "RKE2_TOKEN_FILE": "/t"}
    given = environ | kept
    take_secrets_out(given, "server")
    assert given == kept


def test_an_agents_credential_providers_keep_their_variables() -> None:
    """Only servers read the keys of S3."""
    given = {"RKE2_TOKEN": "t", "AWS_ACCESS_KEY_ID": "i"}
    take_secrets_out(given, "agent")
    assert given == {"AWS_ACCESS_KEY_ID": "i"}


def test_programs_that_stay_on_the_machine_need_no_proxy() -> None:
    environ = {
        "HTTP_PROXY": "http://u:p@proxy",
        "https_proxy": "http://u:p@proxy",
        "NO_PROXY": "x",
        "PATH": "/bin",
    }
    assert without_proxies(environ) == {"PATH": "/bin"}
