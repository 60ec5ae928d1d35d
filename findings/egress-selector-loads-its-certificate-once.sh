#!/usr/bin/env bash
# kube-apiserver takes new serving and kubelet-client certificates from their files, but not the egress selector's.
#
# Library:  k8s.io/apiserver v0.36.4 (pkg/server/egressselector, HTTPConnect over TCP with TLS)
# Expected: the client certificate of an egress selector configuration is read again when its file has changed, as those
#           of --tls-cert-file and --kubelet-client-certificate are.
# Seen:     the files are read when the selector is made, and never again: a connection after the exchange still shows
#           the first certificate. Files that are gone meanwhile do not matter either.
# Where:    renewing certificates under a running kube-apiserver: logs, exec and webhooks through the proxy begin to fail
#           when the first certificate ends, while everything else goes on. The proxy has to accept it for longer, or
#           kube-apiserver has to be restarted.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

cat > go.mod <<'MOD'
module finding
go 1.26
require (
	k8s.io/apiserver v0.36.4
	k8s.io/apimachinery v0.36.4
)
MOD
cat > main.go <<'GO'
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/apiserver/pkg/server/egressselector"
)

const configuration = `
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      tcp:
        url: https://%s
        tlsConfig:
          caBundle: pair.crt
          clientCert: client.crt
          clientKey: client.key
`

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// pair writes a certificate that signs itself, and its key.
func pair(name string, serial int64) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	secret := must(x509.MarshalPKCS8PrivateKey(key))
	os.WriteFile(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	os.WriteFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}

// proxy answers CONNECT, and tells the serial number of the certificate that each client shows.
func proxy(listener net.Listener, shown chan<- string) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
			shown <- connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
			fmt.Fprint(connection, "HTTP/1.1 200 Connection established\r\n\r\n")
		}
		connection.Close()
	}
}

func main() {
	pair("pair", 1)
	pair("client", 100)
	own := must(tls.LoadX509KeyPair("pair.crt", "pair.key"))
	listener := must(tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert}))
	shown := make(chan string, 1)
	go proxy(listener, shown)

	os.WriteFile("egress.yaml", fmt.Appendf(nil, configuration, listener.Addr()), 0o600)
	config := must(egressselector.ReadEgressSelectorConfiguration("egress.yaml"))
	selector := must(egressselector.NewEgressSelector(config))
	dial := must(selector.Lookup(egressselector.Cluster.AsNetworkContext()))
	ask := func(when string) {
		connection := must(dial(context.Background(), "tcp", "10.0.0.1:10250"))
		fmt.Printf("%s: certificate %s\n", when, <-shown)
		connection.Close()
	}
	ask("at first")
	pair("client", 200)
	ask("after the files were replaced")
	os.Remove("client.crt")
	os.Remove("client.key")
	ask("after the files were removed")
}
GO
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go build -mod=mod -trimpath -o ask .
./ask 2>/dev/null | tee seen
diff seen - <<'SEEN'
at first: certificate 100
after the files were replaced: certificate 100
after the files were removed: certificate 100
SEEN
echo "finding holds: an egress selector shows the client certificate that it was made with"
