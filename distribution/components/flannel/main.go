// Command flanneld runs flannel's Kubernetes mode on one node.
//
// Flannel's own main cannot be built from the Go module proxy: it imports a cloud backend whose
// dependency the proxy refuses. This one is written against flannel's packages, takes the same flags,
// environment, files and ports, and leaves out what RKE2 never uses (etcd as subnet registry, cloud
// and IPsec backends, Windows).
//
// Unlike upstream it stays alive while something it needs is not there yet (API server, node object,
// pod CIDR, network interface): it says on /readyz and in its log what it waits for, and goes on by
// itself. A pod that exits instead is punished with the kubelet's restart back-off.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/lease"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
	"github.com/flannel-io/flannel/pkg/version"
	"k8s.io/klog/v2"

	// A backend registers itself when its package is initialised.
	_ "github.com/flannel-io/flannel/pkg/backend/alloc"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/ipip"
	_ "github.com/flannel-io/flannel/pkg/backend/udp"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	_ "github.com/flannel-io/flannel/pkg/backend/wireguard"
)

// shutdownGrace bounds the wait for flannel's goroutines: some of them only notice a cancelled
// context after their current kernel or API call.
const shutdownGrace = 3 * time.Second

func main() {
	opts, err := parseOptions(os.Args[1:], os.Environ())
	if err != nil {
		klog.Errorf("flanneld: %v", err)
		os.Exit(2)
	}
	if opts.version {
		fmt.Println(version.Version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil && !errors.Is(err, context.Canceled) {
		klog.Errorf("flanneld: %v", err)
		os.Exit(1)
	}
}

// run brings the node's network up and keeps it until ctx ends. The kernel state (device, routes,
// rules) stays behind on purpose: pods keep their network while flanneld is replaced.
func run(ctx context.Context, opts *options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	state := newReadiness()
	if opts.healthzPort > 0 {
		if err := serveHealth(ctx, opts.healthzIP, opts.healthzPort, state); err != nil {
			return err
		}
	}

	var workers sync.WaitGroup
	node, err := bringUp(ctx, &workers, opts, state)
	if err != nil {
		return err
	}
	if err := installRules(ctx, opts, node); err != nil {
		return err
	}
	if opts.blackholeRoute {
		go keepBlackholeRoutes(ctx, node, opts.resyncPeriod())
	}
	if err := writeSubnetFile(opts, node); err != nil {
		return err
	}

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		node.network.Run(ctx)
	}()
	state.wait("the node condition NetworkUnavailable=False to be written")
	err = persist(ctx, state, "write the node condition", func(ctx context.Context) error {
		return node.manager.CompleteLease(ctx, node.network.Lease(), &workers)
	})
	if err != nil {
		return err
	}
	state.ready()
	klog.Infof("flannel is ready: subnet %s %s, MTU %d", node.network.Lease().Subnet, v6String(node), node.network.MTU())

	moved := make(chan error, 1)
	if node.own != nil {
		go func() { moved <- followAddresses(ctx, node.own, node.stack, node.announced) }()
	}
	select {
	case <-ctx.Done():
		waitFor(ended, shutdownGrace)
		return nil
	case err := <-moved:
		return err
	case <-ended:
		if ctx.Err() != nil {
			return nil
		}
		return errors.New("the backend stopped watching other nodes' subnets")
	}
}

// node is what is known once this machine has joined the flannel network.
type node struct {
	manager subnet.Manager
	config  *subnet.Config
	network backend.Network
	stack   int

	// Where nobody said which interface to use: the Node, and its addresses when this machine joined.
	own       *ownNode
	announced ipmatch.PublicIPOpts
}

// bringUp connects to the API server, picks the interface and registers with the backend. Each step
// is repeated until it works: on a booting node its inputs appear in any order.
func bringUp(ctx context.Context, workers *sync.WaitGroup, opts *options, state *readiness) (*node, error) {
	n := &node{}
	err := persist(ctx, state, "connect to the Kubernetes API", func(ctx context.Context) (err error) {
		n.manager, err = newManager(ctx, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	if n.config, err = n.manager.GetNetworkConfig(ctx); err != nil {
		return nil, fmt.Errorf("network configuration: %w", err)
	}
	warnWithoutBridgeFilter(n.config)
	err = persist(ctx, state, "join the flannel network", func(ctx context.Context) (err error) {
		n.network, err = register(ctx, workers, opts, n)
		return err
	})
	return n, err
}

// newManager gives each attempt a context of its own, so that the informer of a failed one ends.
func newManager(ctx context.Context, opts *options) (subnet.Manager, error) {
	attempt, cancel := context.WithCancel(ctx)
	m, err := kube.NewSubnetManager(attempt, opts.kubeAPIURL, opts.kubeConfigFile,
		opts.annotationPrefix, opts.netConfPath, opts.setNetworkAvailable)
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, cancel)
	return m, nil
}

func register(ctx context.Context, workers *sync.WaitGroup, opts *options, n *node) (backend.Network, error) {
	external, err := externalInterface(ctx, opts, n)
	if err != nil {
		return nil, err
	}
	b, err := backend.NewManager(ctx, n.manager, external).GetBackend(n.config.BackendType)
	if err != nil {
		return nil, err
	}
	return b.RegisterNetwork(ctx, workers, n.config)
}

// externalInterface tries names, then regular expressions, then the route to an address; with none of
// them given the Node's own addresses decide, and if no interface has them the default route. Addresses
// annotated on the node object win over flags.
func externalInterface(ctx context.Context, opts *options, n *node) (*backend.ExternalInterface, error) {
	stack, err := ipmatch.GetIPFamily(n.config.EnableIPv4, n.config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	n.stack = stack
	public := opts.publicAddresses(n.manager.GetStoredPublicIP(ctx))
	if !opts.namesInterface() && public == (ipmatch.PublicIPOpts{}) {
		if found, err := externalInterfaceOfNode(ctx, opts, n); err != nil || found != nil {
			return found, err
		}
	}
	var failures []error
	for _, c := range opts.interfaceCandidates(public) {
		found, err := ipmatch.LookupExtIface(c.name, c.regex, c.canReach, stack, public)
		if err == nil && found != nil {
			return found, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", c, err))
	}
	return nil, fmt.Errorf("no usable interface: %w", errors.Join(failures...))
}

// externalInterfaceOfNode is nil if no interface has the addresses of the Node.
func externalInterfaceOfNode(ctx context.Context, opts *options, n *node) (*backend.ExternalInterface, error) {
	own, err := newOwnNode(ctx, opts, families{n.config.EnableIPv4, n.config.EnableIPv6})
	if err != nil {
		return nil, err
	}
	addresses, err := own.addresses(ctx)
	if err != nil {
		return nil, err
	}
	n.own, n.announced = own, addresses
	found, err := interfaceOfNode(addresses, n.stack)
	if err != nil {
		klog.Warningf("the interface of the default route is used, not that of the Node's address %s: %v", spoken(addresses), err)
		return nil, nil
	}
	return found, nil
}

// installRules sets up masquerading and, where asked for, accepting forwarding. Rules of the kind not
// in use are removed first, so that switching between iptables and nftables leaves no second set.
func installRules(ctx context.Context, opts *options, n *node) error {
	if err := rulesManager(!n.config.EnableNFTables).CleanUp(ctx); err != nil {
		klog.Warningf("rules of the unused packet filter were not removed: %v", err)
	}
	rules := rulesManager(n.config.EnableNFTables)
	if err := rules.Init(ctx); err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	if opts.ipMasq {
		before := readPrevious(opts.subnetFile)
		err := rules.SetupAndEnsureMasqRules(ctx,
			n.config.Network, before.subnet, before.network,
			n.config.IPv6Network, before.subnet6, before.network6,
			n.network.Lease(), opts.resyncSeconds, opts.noRandomFully)
		if err != nil {
			return fmt.Errorf("masquerade rules: %w", err)
		}
	}
	if opts.forwardRules {
		rules.SetupAndEnsureForwardRules(ctx, n.config.Network, n.config.IPv6Network, opts.resyncSeconds)
	}
	return nil
}

func rulesManager(nft bool) trafficmngr.TrafficManager {
	if nft {
		return &nftables.NFTablesManager{}
	}
	return &iptables.IPTablesManager{}
}

// keepBlackholeRoutes makes packets to local pods that do not exist end here. Without it they follow
// the default route, and come back: the bridge CNI plugin would own the subnet, Calico does not.
func keepBlackholeRoutes(ctx context.Context, n *node, every time.Duration) {
	for {
		if err := addBlackholeRoutes(n.config, n.network.Lease()); err != nil {
			klog.Errorf("blackhole route for the local pod subnet: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func addBlackholeRoutes(config *subnet.Config, l *lease.Lease) error {
	var v4, v6 error
	if config.EnableIPv4 {
		v4 = ip.AddBlackholeV4Route(l.Subnet.ToIPNet())
	}
	if config.EnableIPv6 {
		v6 = ip.AddBlackholeV6Route(l.IPv6Subnet.ToIPNet())
	}
	return errors.Join(v4, v6)
}

func writeSubnetFile(opts *options, n *node) error {
	l := n.network.Lease()
	err := n.manager.HandleSubnetFile(opts.subnetFile, n.config, opts.ipMasq, l.Subnet, l.IPv6Subnet, n.network.MTU())
	if err != nil {
		return fmt.Errorf("%s: %w", opts.subnetFile, err)
	}
	return nil
}

// warnWithoutBridgeFilter only warns: under Canal pods hang on routed veths, no bridge is involved.
func warnWithoutBridgeFilter(config *subnet.Config) {
	if config.EnableNFTables {
		return
	}
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		klog.Warningf("br_netfilter is not loaded: traffic of bridged containers escapes iptables (%v)", err)
	}
}

func v6String(n *node) string {
	if !n.config.EnableIPv6 {
		return ""
	}
	return n.network.Lease().IPv6Subnet.String()
}

func waitFor(done <-chan struct{}, limit time.Duration) {
	select {
	case <-done:
	case <-time.After(limit):
		klog.Warningf("backend still busy after %s, leaving anyway", limit)
	}
}
