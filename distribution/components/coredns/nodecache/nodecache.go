// Package nodecache makes a CoreDNS the cache of its node: NodeLocal DNSCache. Flags, names in the Corefile, interface,
// rules and metric are those of node-cache (k8s.io/dns, whose releases are no Go modules).
//
// It differs where that loses less:
//   - The Corefile is rendered in memory whenever CoreDNS' plugin `reload` asks; no file is written.
//   - A Corefile that cannot be rendered ends it before anything of the node is touched: names are then resolved as if it
//     were not there. Later such a Corefile changes nothing, and is told.
//   - The rules are made when CoreDNS listens and the cluster's DNS takes connections, and removed before CoreDNS stops:
//     names are resolved all the time.
//   - A kernel without interfaces of the kind `dummy` has a bridge without ports instead.
package nodecache

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/coredns/caddy"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Name is what the program has to be called to be one.
const Name = "node-cache"

var log = clog.NewWithPlugin(Name)

var failures = promauto.NewCounterVec(prometheus.CounterOpts{
	Namespace: "coredns",
	Subsystem: "nodecache",
	Name:      "setup_errors_total",
	Help:      "How often the interface or a rule could not be set up.",
}, []string{"errortype"})

// Prepare gives the node the addresses, and CoreDNS the Corefile; it ends the process if that cannot be done.
func Prepare(args []string) {
	opts, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		os.Exit(2)
	}
	corefile := &corefile{opts: opts, getenv: os.Getenv}
	if _, err := corefile.render(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		os.Exit(1)
	}
	caddy.SetDefaultCaddyfileLoader(Name, caddy.LoaderFunc(corefile.load))

	network := &network{opts: opts, run: execute}
	tell("interface_add", network.ensureDevice())
	// Without the rules questions to the cluster's DNS go to kube-proxy's rules first: until this one can answer.
	var once sync.Once
	caddy.RegisterEventHook(Name, func(event caddy.EventName, _ any) error {
		if event == caddy.InstanceStartupEvent {
			once.Do(func() { go keep(network, corefile) })
		}
		return nil
	})
	if !opts.skipTeardown {
		// CoreDNS calls it on its way out while it still answers: no question is lost.
		caddy.OnProcessExit = append(caddy.OnProcessExit, network.remove)
	}
}

// keep sets up what is missing, again and again: others change rules and interfaces, too.
func keep(network *network, corefile *corefile) {
	if cluster, err := corefile.cluster(); err == nil && network.opts.setUpRules {
		untilReachable(net.JoinHostPort(cluster, "53"), time.Second/4)
	}
	for ticks := time.NewTicker(network.opts.interval); ; <-ticks.C {
		tell("interface_add", network.ensureDevice())
		tell("iptables", network.ensureRules())
	}
}

// untilReachable returns when `address` takes connections. A new Service is in kube-proxy's rules a while after the
// container knows its address.
func untilReachable(address string, pause time.Duration) {
	for {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			connection.Close()
			return
		}
		time.Sleep(pause)
	}
}

func tell(kind string, err error) {
	if err != nil {
		failures.WithLabelValues(kind).Inc()
		log.Errorf("%s: %v", kind, err)
	}
}
