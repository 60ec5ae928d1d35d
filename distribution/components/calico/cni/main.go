// Command calico is the three CNI programs of Calico in one file, told apart by the name it is called by:
// the plugin `calico`, the address manager `calico-ipam`, and `install`, which puts both on the host
// together with their configuration. Calico builds two programs of 50 MB for it.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/projectcalico/calico/cni-plugin/pkg/install"
	"github.com/projectcalico/calico/cni-plugin/pkg/ipamplugin"
	"github.com/projectcalico/calico/cni-plugin/pkg/plugin"
)

// VERSION is set by the build.
var VERSION string

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "calico":
		plugin.Main(VERSION)
	case "calico-ipam":
		ipamplugin.Main(VERSION)
	case "install":
		if err := install.Install(VERSION); err != nil {
			fmt.Fprintf(os.Stderr, "install: %v\n", err)
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "%s: unknown name, expected calico, calico-ipam or install\n", name)
		os.Exit(2)
	}
}
