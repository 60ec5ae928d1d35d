#!/usr/bin/env bash
# The same NO_PROXY lets Go go directly and aiohttp through the proxy, for networks and for 127.0.0.1.
#
# Library:  aiohttp 3.14.5 (trust_env=True), golang.org/x/net v0.58.0 (http/httpproxy, also inside net/http)
# Expected: HTTP_PROXY and NO_PROXY are one convention; what kubelet and containerd reach directly, a Python program
#           with the same environment reaches directly.
# Seen:     NO_PROXY=10.0.0.0/8,.cluster.local,web:8080
#                                      Go        aiohttp
#             10.1.2.3                 direct    proxy     a network is text for Python, compared with the end of the name
#             127.0.0.1                direct    proxy     Go never asks a proxy for the loopback interface
#             cluster.local            proxy     direct    a leading dot excludes the name itself only in Go
#             api.cluster.local        direct    direct
#             web:81                   proxy     proxy
# Where:    HTTP_PROXY and NO_PROXY in /etc/default/rke2-server, as RKE2's users write them (with networks), next to
#           Python programs such as one's own operators. rke2 itself decides as Go does.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: aiohttp==3.14.5
cat > go.mod <<'MOD'
module finding
go 1.25
require golang.org/x/net v0.58.0
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

func main() {
	choose := httpproxy.FromEnvironment().ProxyFunc()
	for _, host := range os.Args[1:] {
		target, err := url.Parse("http://" + host + "/")
		if err != nil {
			panic(err)
		}
		proxy, err := choose(target)
		if err != nil {
			panic(err)
		}
		way := "proxy"
		if proxy == nil {
			way = "direct"
		}
		fmt.Println(host, way)
	}
}
GO
cat > ask.py <<'PY'
"""Says of each host which way aiohttp would take: by the proxy answering, which is a server of this program."""

import asyncio
import os
import sys

import aiohttp
from aiohttp import web


async def way(session: aiohttp.ClientSession, host: str) -> str:
    try:
        async with session.get(f"http://{host}/") as answer:
            return await answer.text()
    except aiohttp.ClientError:
        return "direct"


class Nowhere(aiohttp.abc.AbstractResolver):
    """No name resolves but the proxy's address, so nothing leaves this machine."""

    async def resolve(self, host, port=0, family=0):
        raise OSError("no such name")

    async def close(self):
        pass


async def main() -> None:
    async def proxy(_: web.BaseRequest) -> web.Response:
        return web.Response(text="proxy")

    runner = web.ServerRunner(web.Server(proxy))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    os.environ["HTTP_PROXY"] = os.environ["http_proxy"] = f"http://127.0.0.1:{port}"
    connector = aiohttp.TCPConnector(resolver=Nowhere())
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(trust_env=True, connector=connector, timeout=timeout) as session:
        for host in sys.argv[1:]:
            print(host, await way(session, host))
    await runner.cleanup()


asyncio.run(main())
PY
hosts=(10.1.2.3 127.0.0.1 cluster.local api.cluster.local web:81)
unset HTTP_PROXY http_proxy HTTPS_PROXY https_proxy ALL_PROXY all_proxy NO_PROXY no_proxy
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
export NO_PROXY=10.0.0.0/8,.cluster.local,web:8080
HTTP_PROXY=http://127.0.0.1:9 ./ask "${hosts[@]}" > go.txt
venv/bin/python ask.py "${hosts[@]}" > python.txt
echo "Go:"; cat go.txt
echo "aiohttp:"; cat python.txt
diff go.txt - <<'SEEN'
10.1.2.3 direct
127.0.0.1 direct
cluster.local proxy
api.cluster.local direct
web:81 proxy
SEEN
diff python.txt - <<'SEEN'
10.1.2.3 proxy
127.0.0.1 proxy
cluster.local direct
api.cluster.local direct
web:81 proxy
SEEN
echo "finding holds: aiohttp and Go read NO_PROXY differently"
