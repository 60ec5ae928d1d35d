"""What people have an ingress controller for."""

from __future__ import annotations

import base64
import hashlib

from tests.cluster.eventually import eventually
from tests.cluster.ingress.conftest import Sites, certificate_for
from tests.cluster.objects import PORT, Object, ingress, pod, service


def test_a_site_with_tls_is_reachable_from_another_machine(sites: Sites) -> None:
    own = certificate_for("shop.example")
    sites.publish(own.secret("shop-tls"), ingress("shop", "shop.example", tls="shop-tls"))
    answer = sites.until("shop.example", ca=own.certificate)
    assert answer.body in sites.replicas("web")
    assert "strict-transport-security" in answer.headers
    assert sites.visitor.protocol("shop.example", own.certificate) == "h2"

    redirected = sites.visitor.get("shop.example", "/cart")
    assert (redirected.status, redirected.headers["location"]) == (308, "https://shop.example/cart")


def test_hosts_and_paths_lead_to_different_applications(sites: Sites) -> None:
    sites.publish(
        ingress("one", "one.example"),
        ingress("two", "two.example", to="other"),
        ingress("deep", "one.example", to="other", path="/deep", rewrite_target="/"),
        ingress("wild", "*.wild.example", to="other"),
    )
    web, other = sites.replicas("web"), sites.replicas("other")
    assert sites.until("one.example").body in web
    assert sites.until("two.example").body in other
    assert sites.until("one.example", "/deep").body in other
    assert sites.until("any.wild.example").body in other
    assert sites.visitor.get("unknown.example").status == 404


def test_an_ingress_tells_the_address_of_the_node(sites: Sites) -> None:
    sites.publish(ingress("addressed", "addressed.example"))

    def addresses() -> list[Object]:
        status = sites.namespace.find("ingress", "addressed")["status"]
        return list(status.get("loadBalancer", {}).get("ingress", []))

    found = eventually(addresses, "the ingress has an address", 120)
    assert found == [{"ip": sites.visitor.address}]


def test_every_replica_is_used_and_a_cookie_keeps_to_one(sites: Sites) -> None:
    sites.publish(
        ingress("spread", "spread.example"),
        # A service of its own, here and below: the controller balances each service in one way, whoever asks for it.
        service("sticky", "web"),
        ingress("sticky", "sticky.example", to="sticky", affinity="cookie", session_cookie_name="route"),
    )
    sites.until("spread.example")
    spread = sites.visitor.get_often(20, "spread.example")
    assert {answer.body for answer in spread} == sites.replicas("web")

    first = sites.until("sticky.example")
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("route=")
    again = sites.visitor.get_often(20, "sticky.example", cookie=cookie)
    assert {answer.body for answer in again} == {first.body}
    without = sites.visitor.get_often(20, "sticky.example")
    assert {answer.body for answer in without} == sites.replicas("web"), "control: no cookie, no preference"


def test_equal_keys_go_to_the_same_replica(sites: Sites) -> None:
    sites.publish(
        service("hashed", "web"),
        ingress("hashed", "hashed.example", to="hashed", upstream_hash_by="$request_uri"),
    )
    sites.until("hashed.example")

    def of(path: str) -> set[str]:
        return {answer.body for answer in sites.visitor.get_often(5, "hashed.example", path)}

    by_path = [of(f"/?key={number}") for number in range(12)]
    assert all(len(bodies) == 1 for bodies in by_path), by_path
    assert set.union(*by_path) == sites.replicas("web")


def test_a_canary_gets_those_who_ask_for_it(sites: Sites) -> None:
    sites.publish(
        service("stable", "web"),
        service("canary", "other"),
        ingress("stable", "canary.example", to="stable"),
        ingress("canary", "canary.example", to="canary", canary="true", canary_by_header="X-Try"),
    )
    sites.until("canary.example")
    eventually(
        lambda: sites.visitor.get("canary.example", X_Try="always").body,
        "the canary answers",
        ok=sites.replicas("other").__contains__,
    )
    stable = sites.visitor.get_often(10, "canary.example")
    assert {answer.body for answer in stable} <= sites.replicas("web")


def test_a_site_with_a_password(sites: Sites) -> None:
    digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    users = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "users"},
        "stringData": {"auth": f"ann:{{SHA}}{digest}\n"},
    }
    sites.publish(users, ingress("closed", "closed.example", auth_type="basic", auth_secret="users"))
    sites.until("closed.example", status=401)

    def as_ann(password: str) -> int:
        credentials = base64.b64encode(f"ann:{password}".encode()).decode()
        return sites.visitor.get("closed.example", authorization=f"Basic {credentials}").status

    assert (as_ann("secret"), as_ann("wrong")) == (200, 401)


def test_a_rate_limit_stops_the_hasty(sites: Sites) -> None:
    sites.publish(ingress("limited", "limited.example", limit_rps="1", limit_burst_multiplier="1"))
    sites.until("limited.example", status=200)
    statuses = {answer.status for answer in sites.visitor.get_often(30, "limited.example")}
    assert 503 in statuses


def test_an_answer_for_scripts_of_other_sites(sites: Sites) -> None:
    sites.publish(
        ingress("cors", "cors.example", enable_cors="true", cors_allow_origin="https://app.example")
    )
    sites.until("cors.example")
    allowed = sites.visitor.get("cors.example", origin="https://app.example").headers
    refused = sites.visitor.get("cors.example", origin="https://evil.example").headers
    assert allowed["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in refused


UPGRADED = r"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ECHO = rf"""
cat > /tmp/echo <<'END'
while read -r line; do [ "${{#line}}" -le 1 ] && break; done
printf '{UPGRADED}'
exec cat
END
exec nc -ll -p {PORT} -e sh /tmp/echo
"""
"""A server that agrees to a websocket and sends back what it hears."""


def test_a_websocket_stays_open_both_ways(sites: Sites) -> None:
    sites.publish(
        pod("echo", ["sh", "-c", ECHO]), service("echo", "echo"), ingress("echo", "ws.example", to="echo")
    )
    sites.namespace.until("condition=Ready", "pod/echo")
    upgrade = (
        "GET / HTTP/1.1\r\nHost: ws.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )

    def conversation() -> str:
        return sites.visitor.talk(80, (upgrade, "\r\n\r\n"), ("one", "one"), ("two", "two"))

    assert eventually(conversation, "both frames come back", 60, ok="two".__eq__) == "two"


def test_backends_that_change_are_followed(sites: Sites) -> None:
    sites.publish(ingress("moving", "moving.example", to="other"))
    before = sites.until("moving.example").body
    sites.namespace.kubectl("delete", "pod", before, "--wait=false")
    sites.namespace.until("condition=Available", "deployment/other")
    after = eventually(
        lambda: sites.visitor.get("moving.example"),
        "the new replica answers",
        60,
        ok=lambda answer: answer.status == 200 and answer.body != before,
    )
    assert after.body in sites.replicas("other")
