// Command start-multus is the first process of the container of Multus on a node.
//
// Upstream's thin_entrypoint ends when the primary CNI plugin has not written its configuration yet, so that Multus
// would come up in the kubelet's ever longer pauses between restarts, and pods of the meantime would silently get the
// primary's interface alone. This program puts the CNI plugins of the image on the host, waits for the primary's
// configuration, and becomes thin_entrypoint:
//
//	start-multus -conf-dir DIR -bin-dir DIR [-primary FILE] [-skip NAME,…] -- /thin_entrypoint …
//	start-multus -conf-dir DIR -configured      # exit code 0 if Multus has its configuration
//
// A configuration of Multus outlives a power failure. Where that of the primary is not there it is removed: with it
// the node would be Ready, and every pod fail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// imagePlugins is where the image has the CNI plugins for the host.
const imagePlugins = "/opt/cni/bin"

func main() {
	log.SetFlags(log.LstdFlags | log.Lmsgprefix)
	log.SetPrefix("start-multus: ")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	confDir := flag.String("conf-dir", "", "the host's directory of CNI configurations")
	binDir := flag.String("bin-dir", "", "the host's directory of CNI plugins")
	primary := flag.String("primary", "", "file of the primary CNI plugin in conf-dir (default: the first one)")
	skip := flag.String("skip", "", "CNI plugins not to install, separated by commas")
	asked := flag.Bool("configured", false, "only tell whether Multus has its configuration")
	flag.Parse()

	conf := configurations{dir: *confDir, primary: *primary}
	if *asked {
		return conf.multusIsThere()
	}
	if flag.NArg() == 0 {
		return errors.New("no command to run once the primary CNI plugin is configured")
	}
	if err := installPlugins(imagePlugins, *binDir, strings.Split(*skip, ",")); err != nil {
		return fmt.Errorf("CNI plugins: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if err := conf.awaitPrimary(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	stop()
	return syscall.Exec(flag.Arg(0), flag.Args(), os.Environ())
}
