package nodecache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredns/caddy"
)

// What stands in the base for addresses that only the node knows.
const (
	localVariable    = "__PILLAR__LOCAL__DNS__"
	clusterVariable  = "__PILLAR__CLUSTER__DNS__"
	upstreamVariable = "__PILLAR__UPSTREAM__SERVERS__"
)

// resolvConf is the node's: the pod has `dnsPolicy: Default`.
const resolvConf = "/etc/resolv.conf"

// corefile is made again from its parts whenever it is asked for.
type corefile struct {
	opts   *options
	getenv func(string) string
	told   string // the last error
}

// load is CoreDNS' way to a Corefile. Its plugin `reload` keeps errors to itself, so they are told here.
func (c *corefile) load(serverType string) (caddy.Input, error) {
	text, err := c.render()
	if err != nil {
		if c.told != err.Error() {
			log.Errorf("the last Corefile stays: %v", err)
			c.told = err.Error()
		}
		return nil, err
	}
	c.told = ""
	return caddy.CaddyfileInput{Filepath: c.opts.base, Contents: []byte(text), ServerTypeName: serverType}, nil
}

func (c *corefile) render() (string, error) {
	base, err := os.ReadFile(c.opts.base)
	if err != nil {
		return "", err
	}
	values := map[string]string{localVariable: c.local()}
	if strings.Contains(string(base), clusterVariable) {
		if values[clusterVariable], err = c.cluster(); err != nil {
			return "", err
		}
	}
	var servers []string
	if err := c.setting("upstreamNameservers", &servers); err != nil {
		return "", err
	}
	values[upstreamVariable] = resolvConf
	if len(servers) > 0 {
		values[upstreamVariable] = strings.Join(servers, " ")
	}
	text := string(base)
	for name, value := range values {
		text = strings.ReplaceAll(text, name, value)
	}
	stubs, err := c.stubDomains()
	return text + stubs, err
}

func (c *corefile) local() string {
	words := []string{}
	for _, address := range c.opts.addresses {
		words = append(words, address.String())
	}
	return strings.Join(words, " ")
}

// cluster is the address of the cluster's DNS; the kubelet puts it into the environment.
func (c *corefile) cluster() (string, error) {
	name := strings.ToUpper(strings.ReplaceAll(c.opts.service, "-", "_")) + "_SERVICE_HOST"
	if address := c.getenv(name); address != "" {
		return address, nil
	}
	return "", fmt.Errorf("%s is not set: there was no Service %s in this namespace when the container was made; "+
		"the next one will know it", name, c.opts.service)
}

// stubDomains are server blocks for the domains that have servers of their own.
func (c *corefile) stubDomains() (string, error) {
	domains := map[string][]string{}
	if err := c.setting("stubDomains", &domains); err != nil {
		return "", err
	}
	text := ""
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		text += fmt.Sprintf("\n%s:%d {\n    errors\n    cache 30\n    loop\n    bind %s\n    forward . %s\n}\n",
			domain, c.opts.port, c.local(), strings.Join(domains[domain], " "))
	}
	return text, nil
}

// setting reads JSON from the ConfigMap kube-dns; what is not in it stays as it is.
func (c *corefile) setting(key string, into any) error {
	text, err := os.ReadFile(filepath.Join(c.opts.upstreams, key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s of the ConfigMap kube-dns: %w", key, err)
	}
	return nil
}
