"""Certificates say what the server has decided, whatever is asked for, and nobody gets a key that others have."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.cluster.members import Members
from tests.cluster.security.conftest import TLS_SAN
from tests.cluster.security.requests import GOOD_KEYS, WEAK_KEYS, forged, signing_request
from tests.cluster.security.test_2_identities import order, password
from tests.cluster.security.wire import Answer, Ask, Attacker, Credential, table

CLIENTS = {
    "client-kubelet": "CN=system:node:agent-0,O=system:nodes",
    "client-kube-proxy": "CN=system:kube-proxy",
    "client-rke2-controller": "CN=system:rke2-controller",
}
"""Client certificates, and the subject that each kind has."""


def leaf(answer: Answer) -> x509.Certificate:
    assert answer.status == 200, answer
    return x509.load_pem_x509_certificates(answer.body)[0]


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_request_decides_nothing_but_its_key(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential], kind: str
) -> None:
    asked = order(kind, credentials["agent token"], "agent-0", password(pair, "agent-0"))
    body = signing_request(names=["kubernetes.default", "api.example.org"])
    made = leaf(attacker.ask(Ask(asked.line, asked.by, asked.headers, body))[0])
    assert made.subject.rfc4514_string() == CLIENTS[kind]
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert {each.oid._name for each in made.extensions} & {"subjectAltName"} == set()
    for extension in made.extensions:
        assert not (isinstance(extension.value, x509.BasicConstraints) and extension.value.ca)


# --- names and addresses of serving certificates ----------------------------------------------------
def addresses_of_others(pair: Members) -> tuple[str, ...]:
    """Whoever trusts the server CA would take a certificate for one of them for somebody else's."""
    own, server = pair["agent-0"].node.host, pair["server-0"].node.host
    return (
        "10.43.0.1",  # the API server's service
        "10.43.0.10",  # the cluster's DNS
        "10.43.77.77",
        "192.0.2.77",  # of tls-san
        server.address,
        f"::ffff:{server.address}",
        "::ffff:10.43.0.1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "224.0.0.1",
        f"{own.address},10.43.0.1",
        f"{own.address},{server.address}",
        ",".join(f"192.0.2.{number}" for number in range(1, 200)),
    )


def unproven(pair: Members) -> tuple[str, ...]:
    """Not known to be anybody's, as the server's IPv6 address in a cluster of IPv4: refused, or left out."""
    return (
        "198.51.100.1",
        "10.42.0.1",
        "127.0.0.2",
        "2001:db8::1",
        "10.42.1.77",
        pair["server-0"].node.host.address6,
    )


NO_ADDRESSES = (
    "1.2.3",
    "agent-0",
    TLS_SAN,
    "kubernetes",
    "10.43.0.1/32",
    "%",
    "10.43.0.1%eth0",
    "010.043.0.1",
)


def names_in(answer: Answer) -> set[str]:
    """Subject alternative names of the certificate in `answer`."""
    names = leaf(answer).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


@pytest.mark.parametrize("credential", ["agent token", "bootstrap token", "kubelet"])
def test_no_serving_certificate_for_addresses_of_others(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential], credential: str
) -> None:
    own, by = password(pair, "agent-0"), credentials[credential]
    rows = [(each, {400, 403}) for each in addresses_of_others(pair)]
    rows += [(each, {200, 400, 403}) for each in unproven(pair)]
    rows += [(each, {400, 403, 500}) for each in NO_ADDRESSES]
    asks = [order("serving-kubelet", by, "agent-0", own, **{"rke2-Node-IP": each}) for each, _ in rows]
    allowed = {"agent-0", "localhost", "127.0.0.1", attacker.host.address, attacker.host.address6}
    wrong = [
        (each[:60], answer)
        for (each, statuses), answer in zip(rows, attacker.ask(*asks), strict=True)
        if answer.status not in statuses or (answer.status == 200 and not names_in(answer) <= allowed)
    ]
    assert not wrong, table(wrong)


RESERVED_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "web.shop.svc.cluster.local",
    "cluster.local",
    TLS_SAN,
)


@pytest.mark.parametrize("credential", ["agent token", "bootstrap token"])
def test_no_serving_certificate_for_names_of_the_cluster(
    attacker: Attacker, credentials: dict[str, Credential], credential: str
) -> None:
    asks = [order("serving-kubelet", credentials[credential], name, "x") for name in RESERVED_NAMES]
    wrong = [
        (ask.headers["rke2-Node-Name"], answer)
        for ask, answer in zip(asks, attacker.ask(*asks), strict=True)
        if answer.status not in {400, 403}
    ]
    assert not wrong, table(wrong)


def test_a_serving_certificate_has_the_names_of_its_node(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    host = pair["agent-0"].node.host
    asked = order(
        "serving-kubelet",
        credentials["agent token"],
        "agent-0",
        password(pair, "agent-0"),
        **{"rke2-Node-IP": host.address},
    )
    body = signing_request(names=["kubernetes.default", "api.example.org"])
    answer = attacker.ask(Ask(asked.line, asked.by, asked.headers, body))[0]
    made = leaf(answer)
    assert names_in(answer) == {"agent-0", "localhost", "127.0.0.1", host.address}
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


# --- keys --------------------------------------------------------------------------------------------
def test_keys_that_are_good_enough(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    line, by = "POST /v1-rke2/client-kube-proxy.crt", credentials["agent token"]
    answers = attacker.ask(*(Ask(line, by, body=signing_request(key)) for key in GOOD_KEYS.values()))
    assert dict(zip(GOOD_KEYS, (each.status for each in answers), strict=True)) == dict.fromkeys(
        GOOD_KEYS, 200
    )


def test_keys_that_are_not(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    line, by = "POST /v1-rke2/client-kube-proxy.crt", credentials["agent token"]
    answers = attacker.ask(*(Ask(line, by, body=signing_request(key)) for key in WEAK_KEYS.values()))
    assert dict(zip(WEAK_KEYS, (each.status for each in answers), strict=True)) == dict.fromkeys(
        WEAK_KEYS, 400
    )


NOT_REQUESTS = {
    "nothing": b"",
    "text": b"please",
    "zeros": bytes(512),
    "cut off": signing_request()[:100],
    "forged": forged(),
    "deep": b"\x30\x80" * 20000,
    "PEM": b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
}


@pytest.mark.parametrize("kind", [*CLIENTS, "serving-kubelet"])
def test_nobody_is_given_a_private_key(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential], kind: str
) -> None:
    """Without a request of its own that a key has signed, a client gets nothing."""
    asked = order(kind, credentials["agent token"], "agent-0", password(pair, "agent-0"))
    asks = [Ask(asked.line, asked.by, asked.headers, body) for body in NOT_REQUESTS.values()]
    asks += [Ask(asked.line.replace("POST", "GET"), asked.by, asked.headers)]
    wrong = [
        (name, answer)
        for name, answer in zip([*NOT_REQUESTS, "GET"], attacker.ask(*asks), strict=True)
        if answer.status != 400 or b"PRIVATE KEY" in answer.received
    ]
    assert not wrong, table(wrong)


# --- the server's own certificate --------------------------------------------------------------------
def test_a_stranger_adds_no_name_to_the_servers_certificate(attacker: Attacker) -> None:
    """Neither by Host nor by what the handshake names (``tls-san-security``)."""
    evil = ("203.0.113.9", "evil.example.org", "2001:db8::666")
    asks = [
        Ask("GET /ping", headers={"Host": f"[{each}]:9345" if ":" in each else f"{each}:9345"})
        for each in evil
    ]
    asks += [Ask("GET /ping", sni="evil.example.org"), Ask("GET /ping")]
    served = x509.load_der_x509_certificate(attacker.ask(*asks)[-1].served)
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    assert not found & set(evil)
    assert attacker.server in found
    assert TLS_SAN in found
