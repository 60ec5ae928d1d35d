package nodecache

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// deviceKinds can have addresses without anything behind them; the first that the kernel knows is taken.
var deviceKinds = []string{"dummy", "bridge"}

// network is the interface with the addresses, and the rules that keep their traffic out of connection tracking: with it
// kube-proxy's translation of the cluster's DNS address, and its losses when many ask at once.
type network struct {
	opts *options
	run  func(name string, args ...string) error

	mutex   sync.Mutex
	removed bool // for good: what is looked for later is not made again
}

// ensureDevice makes the interface with the addresses if it is missing.
func (n *network) ensureDevice() error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if !n.opts.setUpDevice || n.removed {
		return nil
	}
	if _, err := net.InterfaceByName(n.opts.device); err != nil {
		if err := n.addDevice(); err != nil {
			return err
		}
	}
	for _, address := range n.opts.addresses {
		prefix := netip.PrefixFrom(address, address.BitLen()).String()
		command := []string{"address", "replace", prefix, "dev", n.opts.device}
		if address.Is6() {
			command = append(command, "nodad") // else it cannot be listened on for a second
		}
		if err := n.run("ip", command...); err != nil {
			return err
		}
	}
	return n.run("ip", "link", "set", n.opts.device, "up")
}

func (n *network) addDevice() error {
	tries := []error{}
	for _, kind := range deviceKinds {
		err := n.run("ip", "link", "add", n.opts.device, "type", kind)
		if err == nil {
			return nil
		}
		tries = append(tries, err)
	}
	return errors.Join(tries...)
}

// ensureRules makes those that are missing.
func (n *network) ensureRules() error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if !n.opts.setUpRules || n.removed {
		return nil
	}
	failed := []error{}
	for _, rule := range n.rules() {
		if n.run(rule.tool, rule.words("-C")...) != nil {
			failed = append(failed, n.run(rule.tool, rule.words("-I")...))
		}
	}
	return errors.Join(failed...)
}

// remove is the opposite. The rules go first: with them and without the addresses questions would be lost.
func (n *network) remove() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.removed = true
	if n.opts.setUpRules {
		for _, rule := range n.rules() {
			if err := n.run(rule.tool, rule.words("-D")...); err != nil {
				log.Errorf("removing a rule: %v", err)
			}
		}
	}
	if n.opts.setUpDevice {
		if err := n.run("ip", "link", "delete", n.opts.device); err != nil {
			log.Errorf("removing the interface: %v", err)
		}
	}
}

// rule is one of iptables; its comment is what rke2-killall.sh knows it by.
type rule struct {
	tool, table, chain string
	match              []string
	target, comment    string
}

func (r rule) words(action string) []string {
	words := append([]string{"-w", "5", "-t", r.table, action, r.chain}, r.match...)
	return append(words, "-m", "comment", "--comment", "NodeLocal DNS Cache: "+r.comment, "-j", r.target)
}

// rules are those for questions and answers of each address, and for its health port, which the kubelet asks.
func (n *network) rules() []rule {
	rules := []rule{}
	for _, address := range n.opts.addresses {
		tool := "iptables"
		if address.Is6() {
			tool = "ip6tables"
		}
		to, from := []string{"-d", address.String()}, []string{"-s", address.String()}
		untracked := func(chain string, match []string) {
			rules = append(rules, rule{tool, "raw", chain, match, "NOTRACK", "skip conntrack"})
		}
		allowed := func(chain string, match []string) {
			rules = append(rules, rule{tool, "filter", chain, match, "ACCEPT", "allow DNS traffic"})
		}
		for _, protocol := range []string{"udp", "tcp"} {
			question, answer := ports(to, protocol, "--dport", n.opts.port), ports(from, protocol, "--sport", n.opts.port)
			untracked("PREROUTING", question)
			untracked("OUTPUT", question)
			untracked("OUTPUT", answer)
			allowed("INPUT", question)
			allowed("OUTPUT", answer)
		}
		untracked("OUTPUT", ports(to, "tcp", "--dport", n.opts.healthPort))
		untracked("OUTPUT", ports(from, "tcp", "--sport", n.opts.healthPort))
	}
	return rules
}

func ports(address []string, protocol, side string, port uint) []string {
	return append([]string{"-p", protocol, side, strconv.FormatUint(uint64(port), 10)}, address...)
}

// execute runs a program; its error has what the program said.
func execute(name string, args ...string) error {
	output, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
