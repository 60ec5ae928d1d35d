package nodecache

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// node is a machine whose programs are watched; those that begin like one of `refused` fail.
type node struct {
	ran     []string
	refused []string
}

func (n *node) run(name string, args ...string) error {
	command := name + " " + strings.Join(args, " ")
	n.ran = append(n.ran, command)
	for _, refused := range n.refused {
		if strings.Contains(command, refused) {
			return errors.New(refused)
		}
	}
	return nil
}

func networkOn(node *node, addresses ...string) *network {
	opts := &options{device: "nodecache-test", port: 53, healthPort: 8080, setUpDevice: true, setUpRules: true}
	for _, address := range addresses {
		opts.addresses = append(opts.addresses, netip.MustParseAddr(address))
	}
	return &network{opts: opts, run: node.run}
}

// ensure sets up everything.
func (n *network) ensure() error {
	return errors.Join(n.ensureDevice(), n.ensureRules())
}

func TestWhatIsThereIsNotMadeAgain(t *testing.T) {
	node := &node{}
	if err := networkOn(node, "169.254.20.10").ensure(); err != nil {
		t.Error(err)
	}
	if slices.ContainsFunc(node.ran, func(command string) bool { return strings.Contains(command, " -I ") }) {
		t.Error(node.ran)
	}
}

func TestAKernelWithoutDummiesHasABridge(t *testing.T) {
	node := &node{refused: []string{"type dummy", " -C "}}
	if err := networkOn(node, "169.254.20.10").ensure(); err != nil {
		t.Error(err)
	}
	for _, command := range []string{
		"ip link add nodecache-test type bridge",
		"ip address replace 169.254.20.10/32 dev nodecache-test",
		"iptables -w 5 -t raw -I PREROUTING -p udp --dport 53 -d 169.254.20.10 " +
			"-m comment --comment NodeLocal DNS Cache: skip conntrack -j NOTRACK",
		"iptables -w 5 -t filter -I OUTPUT -p tcp --sport 53 -s 169.254.20.10 " +
			"-m comment --comment NodeLocal DNS Cache: allow DNS traffic -j ACCEPT",
	} {
		if !slices.Contains(node.ran, command) {
			t.Errorf("%s is not in\n%s", command, strings.Join(node.ran, "\n"))
		}
	}
}

func TestWhatFailsIsTold(t *testing.T) {
	for _, refused := range []string{"type bridge", "address replace", "-I OUTPUT"} {
		node := &node{refused: []string{refused, "type dummy", " -C "}}
		if err := networkOn(node, "169.254.20.10").ensure(); err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s: %v", refused, err)
		}
	}
}

func TestEachFamilyHasItsTool(t *testing.T) {
	for _, rule := range networkOn(&node{}, "10.43.0.10", "fd00::a").rules() {
		six := strings.Contains(strings.Join(rule.match, " "), "fd00::a")
		if six != (rule.tool == "ip6tables") {
			t.Error(rule)
		}
	}
}

func TestAllThatWasMadeIsRemovedRulesFirst(t *testing.T) {
	made, gone := &node{refused: []string{" -C "}}, &node{}
	if err := networkOn(made, "169.254.20.10", "fd00::a").ensure(); err != nil {
		t.Error(err)
	}
	networkOn(gone, "169.254.20.10", "fd00::a").remove()
	for _, command := range made.ran {
		removed := strings.Replace(command, " -I ", " -D ", 1)
		if removed != command && !slices.Contains(gone.ran, removed) {
			t.Error(removed)
		}
	}
	if last := gone.ran[len(gone.ran)-1]; last != "ip link delete nodecache-test" {
		t.Error(last)
	}
}

func TestWhatIsRemovedIsNotMadeAgain(t *testing.T) {
	node := &node{}
	network := networkOn(node, "169.254.20.10")
	network.remove()
	ran := len(node.ran)
	if err := network.ensure(); err != nil || len(node.ran) > ran {
		t.Error(err, node.ran[ran:])
	}
}

func TestWhatIsSwitchedOffIsLeftAlone(t *testing.T) {
	node := &node{}
	network := networkOn(node, "169.254.20.10")
	network.opts.setUpDevice, network.opts.setUpRules = false, false
	if err := network.ensure(); err != nil {
		t.Error(err)
	}
	network.remove()
	if len(node.ran) > 0 {
		t.Error(node.ran)
	}
}
