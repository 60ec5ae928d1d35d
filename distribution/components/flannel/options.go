package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flannel-io/flannel/pkg/ipmatch"
	"k8s.io/klog/v2"
)

// envPrefix is put before a flag's upper-cased name: --iface-regex is FLANNELD_IFACE_REGEX.
const envPrefix = "FLANNELD_"

type options struct {
	version             bool
	kubeSubnetMgr       bool
	kubeAPIURL          string
	kubeConfigFile      string
	annotationPrefix    string
	netConfPath         string
	subnetFile          string
	iface               listFlag
	ifaceRegex          listFlag
	ifaceCanReach       string
	publicIP            string
	publicIPv6          string
	ipMasq              bool
	noRandomFully       bool
	forwardRules        bool
	blackholeRoute      bool
	resyncSeconds       int
	healthzIP           string
	healthzPort         int
	setNetworkAvailable bool
}

// listFlag may be given several times; the order is the order of preference.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func (o *options) flagSet() *flag.FlagSet {
	f := flag.NewFlagSet("flanneld", flag.ContinueOnError)
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	f.BoolVar(&o.kubeSubnetMgr, "kube-subnet-mgr", true, "take subnets from the node objects (the only mode of this build)")
	f.StringVar(&o.kubeAPIURL, "kube-api-url", "", "API server; not needed inside a pod")
	f.StringVar(&o.kubeConfigFile, "kubeconfig-file", "", "kubeconfig; not needed inside a pod")
	f.StringVar(&o.annotationPrefix, "kube-annotation-prefix", "flannel.alpha.coreos.com", "prefix of the node annotations")
	f.StringVar(&o.netConfPath, "net-config-path", "/etc/kube-flannel/net-conf.json", "network configuration")
	f.StringVar(&o.subnetFile, "subnet-file", "/run/flannel/subnet.env", "where subnet and MTU are written to")
	f.Var(&o.iface, "iface", "interface (name or IP) for traffic between nodes, repeatable")
	f.Var(&o.ifaceRegex, "iface-regex", "regular expression for that interface, repeatable, tried after --iface")
	f.StringVar(&o.ifaceCanReach, "iface-can-reach", "", "use the interface that the route to this IP leaves by")
	f.StringVar(&o.publicIP, "public-ip", "", "address by which other nodes reach this one")
	f.StringVar(&o.publicIPv6, "public-ipv6", "", "IPv6 address by which other nodes reach this one")
	f.BoolVar(&o.ipMasq, "ip-masq", false, "masquerade traffic that leaves the pod network")
	f.BoolVar(&o.noRandomFully, "ip-masq-fully-random-disable", false, "masquerade without --random-fully")
	f.BoolVar(&o.forwardRules, "iptables-forward-rules", true, "accept forwarding to and from the pod network")
	f.BoolVar(&o.blackholeRoute, "ip-blackhole-route", false, "drop packets to local pods that do not exist")
	f.IntVar(&o.resyncSeconds, "iptables-resync", 5, "seconds between checks of the rules")
	f.StringVar(&o.healthzIP, "healthz-ip", "0.0.0.0", "address of the health server")
	f.IntVar(&o.healthzPort, "healthz-port", 0, "port of the health server, 0 for none")
	f.BoolVar(&o.setNetworkAvailable, "set-node-network-unavailable", true, "write the node condition NetworkUnavailable")
	klogFlags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(klogFlags)
	for _, name := range []string{"v", "vmodule"} {
		k := klogFlags.Lookup(name)
		f.Var(k.Value, k.Name, k.Usage)
	}
	f.SetOutput(io.Discard)
	return f
}

// parseOptions lets the command line win over the environment; an empty variable counts as unset,
// because the chart always defines FLANNELD_IFACE and FLANNELD_IFACE_REGEX.
func parseOptions(args, environment []string) (*options, error) {
	o := &options{}
	f := o.flagSet()
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, usage(f))
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if err := applyEnvironment(f, environment); err != nil {
		return nil, err
	}
	return o, o.validate()
}

func applyEnvironment(f *flag.FlagSet, environment []string) error {
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	values := map[string]string{}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	var failures []error
	f.VisitAll(func(fl *flag.Flag) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		if value := values[name]; value != "" && !given[fl.Name] {
			if err := f.Set(fl.Name, value); err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(failures...)
}

func (o *options) validate() error {
	if !o.kubeSubnetMgr {
		return errors.New("--kube-subnet-mgr=false: this build has no etcd subnet manager")
	}
	if o.resyncSeconds < 1 {
		return fmt.Errorf("--iptables-resync=%d: must be at least 1", o.resyncSeconds)
	}
	return nil
}

func (o *options) resyncPeriod() time.Duration {
	return time.Duration(o.resyncSeconds) * time.Second
}

// publicAddresses prefers what an administrator annotated on the node object.
func (o *options) publicAddresses(annotated, annotated6 string) ipmatch.PublicIPOpts {
	p := ipmatch.PublicIPOpts{PublicIP: o.publicIP, PublicIPv6: o.publicIPv6}
	if annotated != "" {
		p.PublicIP = annotated
	}
	if annotated6 != "" {
		p.PublicIPv6 = annotated6
	}
	return p
}

// candidate is one way to find the interface; at most one field is set, none means the default route.
type candidate struct{ name, regex, canReach string }

func (c candidate) String() string {
	switch {
	case c.name != "":
		return "interface " + c.name
	case c.regex != "":
		return "interface like " + c.regex
	case c.canReach != "":
		return "interface towards " + c.canReach
	}
	return "interface of the default route"
}

// namesInterface tells whether an administrator said which interface to use.
func (o *options) namesInterface() bool {
	return len(o.iface) > 0 || len(o.ifaceRegex) > 0 || o.ifaceCanReach != ""
}

func (o *options) interfaceCandidates(public ipmatch.PublicIPOpts) []candidate {
	var all []candidate
	for _, name := range o.iface {
		all = append(all, candidate{name: name})
	}
	for _, regex := range o.ifaceRegex {
		all = append(all, candidate{regex: regex})
	}
	if o.ifaceCanReach != "" {
		all = append(all, candidate{canReach: o.ifaceCanReach})
	}
	if len(all) > 0 {
		return all
	}
	if public.PublicIP != "" {
		return []candidate{{name: public.PublicIP}}
	}
	return []candidate{{name: public.PublicIPv6}}
}

func usage(f *flag.FlagSet) string {
	var b strings.Builder
	f.SetOutput(&b)
	f.PrintDefaults()
	return b.String()
}
