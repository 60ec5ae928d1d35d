package main

import (
	"bufio"
	"net"
	"os"
	"strings"

	"github.com/flannel-io/flannel/pkg/ip"
	"k8s.io/klog/v2"
)

// previous is what an earlier flanneld wrote to the subnet file. The masquerade rules of those networks
// are removed when the present ones differ.
type previous struct {
	network, subnet   ip.IP4Net
	network6, subnet6 ip.IP6Net
}

// readPrevious returns empty networks where the file or a line is missing or unusable.
func readPrevious(path string) previous {
	values := readEnvFile(path)
	return previous{
		network:  parseIP4Net(values["FLANNEL_NETWORK"]),
		subnet:   parseIP4Net(values["FLANNEL_SUBNET"]),
		network6: parseIP6Net(values["FLANNEL_IPV6_NETWORK"]),
		subnet6:  parseIP6Net(values["FLANNEL_IPV6_SUBNET"]),
	}
}

func readEnvFile(path string) map[string]string {
	values := map[string]string{}
	file, err := os.Open(path)
	if err != nil {
		if !os.IsNotExist(err) {
			klog.Warningf("previous subnet: %v", err)
		}
		return values
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "="); ok {
			values[name] = value
		}
	}
	return values
}

func parseIP4Net(text string) ip.IP4Net {
	_, network, err := net.ParseCIDR(text)
	if err != nil || network.IP.To4() == nil {
		return ip.IP4Net{}
	}
	return ip.FromIPNet(network)
}

// parseIP6Net returns a zero address, never a nil one: flannel compares networks without looking.
func parseIP6Net(text string) ip.IP6Net {
	_, network, err := net.ParseCIDR(text)
	if err != nil || network.IP.To4() != nil {
		return ip.IP6Net{IP: new(ip.IP6)}
	}
	return ip.FromIP6Net(network)
}
