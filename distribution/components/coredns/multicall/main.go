// coredns is CoreDNS; called node-cache, it is the cache of one node in front of it. Both are the same packages: one
// program, one layer in two images.
package main

import (
	"os"
	"path/filepath"

	_ "github.com/coredns/coredns/core/plugin" // what a Corefile may name
	"github.com/coredns/coredns/coremain"

	"rke2.io/distribution/coredns/nodecache"
)

func main() {
	if filepath.Base(os.Args[0]) == nodecache.Name {
		nodecache.Prepare(os.Args[1:])
		os.Args = os.Args[:1] // CoreDNS reads them, too
	}
	coremain.Run()
}
