package nodecache

import (
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// options is the command line, checked.
type options struct {
	addresses    []netip.Addr // to listen on
	port         uint
	healthPort   uint
	device       string
	base         string // the Corefile with names in place of addresses
	upstreams    string // the mounted ConfigMap kube-dns, which may be empty
	service      string // the Service in front of the cluster's DNS, in this namespace
	interval     time.Duration
	setUpDevice  bool
	setUpRules   bool
	skipTeardown bool
}

func parseOptions(args []string) (*options, error) {
	opts, local := &options{}, ""
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.StringVar(&local, "localip", "", "addresses to listen on, separated by commas")
	flags.UintVar(&opts.port, "localport", 53, "port to listen on")
	flags.UintVar(&opts.healthPort, "health-port", 8080, "port of the plugin `health`")
	flags.StringVar(&opts.device, "interfacename", "nodelocaldns", "the interface that has the addresses")
	flags.StringVar(&opts.base, "basecorefile", "/etc/coredns/Corefile.base", "the Corefile with __PILLAR__ names")
	flags.StringVar(&opts.upstreams, "kubednscm", "/etc/kube-dns", "directory of the ConfigMap kube-dns")
	flags.StringVar(&opts.service, "upstreamsvc", "kube-dns", "Service of the cluster's DNS")
	flags.DurationVar(&opts.interval, "syncinterval", time.Minute, "how often the interface and the rules are checked")
	flags.BoolVar(&opts.setUpDevice, "setupinterface", true, "make the interface")
	flags.BoolVar(&opts.setUpRules, "setupiptables", true, "make the rules")
	flags.BoolVar(&opts.skipTeardown, "skipteardown", false, "leave both when this ends")
	flags.String("conf", "", "has no effect: no Corefile is written")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	for _, text := range strings.Split(local, ",") {
		address, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("-localip: %q is not an address", text)
		}
		opts.addresses = append(opts.addresses, address)
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q: only flags are taken", flags.Args())
	case opts.interval <= 0:
		return nil, fmt.Errorf("-syncinterval: %s is not more than 0", opts.interval)
	}
	return opts, nil
}
