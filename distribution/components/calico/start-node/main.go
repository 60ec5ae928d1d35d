// Command start-node is the first process of the calico-node container of Canal and of Calico.
//
// It does what the shell scripts and runit of Calico's own image do, in an image without a shell: run
// `calico-node -startup` until it succeeds, then keep what CALICO_NETWORKING_BACKEND asks for running
// (see backends). It also gives the CNI configuration its real name, which makes the node Ready, once Felix
// is ready.
//
// Calico's image also runs -status-reporter, which only reports on BGP.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	calicoNode   = "/usr/bin/calico-node"
	nodenameFile = "/var/lib/calico/nodename"
)

// felixDefaults are the settings of the felix.cfg in Calico's image. Felix keeps no file of its own here:
// its log belongs to the container's output. A variable that is already set wins.
var felixDefaults = map[string]string{
	"FELIX_METADATAADDR":    "None",
	"FELIX_LOGFILEPATH":     "None",
	"FELIX_LOGSEVERITYFILE": "None",
	"FELIX_LOGSEVERITYSYS":  "None",
}

func main() {
	log.SetFlags(log.LstdFlags | log.Lmsgprefix)
	log.SetPrefix("start-node: ")
	if err := run(); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	processes := newProcesses()
	// Felix dumps profiles and stacks on these.
	processes.forward(ctx, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)

	env := os.Environ()
	chosen, err := chooseBackend(env)
	if err != nil {
		return err
	}
	startup := command{name: "startup", argv: []string{calicoNode, "-startup"}, env: env}
	if err := untilSuccess(ctx, processes, startup, retryPauses); err != nil {
		return err
	}
	env, err = withNodename(env, nodenameFile)
	if err != nil {
		return err
	}
	for _, name := range chosen.once {
		first := command{name: name, argv: []string{calicoNode, "-" + name, "-" + name + "-run-once"}, env: env}
		if err := untilSuccess(ctx, processes, first, retryPauses); err != nil {
			return err
		}
	}
	go func() {
		if err := publishCNIConfig(ctx, env); err != nil && ctx.Err() == nil {
			log.Fatalf("CNI configuration: %v", err)
		}
	}()
	return keepRunning(ctx, processes, restartPauses, commands(chosen, env)...)
}

// backend is what a value of CALICO_NETWORKING_BACKEND needs besides Felix: services that run on, and those of
// them that have to have done their work before anything else starts.
type backend struct{ once, services []string }

var backends = map[string]backend{
	// Canal: addresses, tunnels and routes are those of the node's pod CIDR, kept by flannel.
	"none": {services: []string{"monitor-token"}},
	// Calico: the tunnel's address comes from Calico's IPAM and has to be on the Node before Felix looks for it,
	// and tunnels follow the addresses of hosts.
	"vxlan": {
		once:     []string{"allocate-tunnel-addrs"},
		services: []string{"monitor-token", "monitor-addresses", "allocate-tunnel-addrs"},
	},
}

func chooseBackend(env []string) (backend, error) {
	name := lookup(env)["CALICO_NETWORKING_BACKEND"]
	chosen, known := backends[name]
	if !known {
		return chosen, fmt.Errorf("CALICO_NETWORKING_BACKEND=%q: this image has no BGP daemon, use vxlan or none", name)
	}
	return chosen, nil
}

func commands(chosen backend, env []string) []command {
	made := []command{{name: "felix", argv: []string{calicoNode, "-felix"}, env: felixEnvironment(env)}}
	for _, name := range chosen.services {
		made = append(made, command{name: name, argv: []string{calicoNode, "-" + name}, env: env})
	}
	return made
}

// withNodename sets NODENAME to the name that the startup step decided on.
func withNodename(env []string, path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("node name left by calico-node -startup: %w", err)
	}
	name := strings.TrimSpace(string(content))
	if name == "" {
		return nil, fmt.Errorf("node name left by calico-node -startup: %s is empty", path)
	}
	return setenv(env, "NODENAME", name), nil
}

// felixEnvironment translates the names of the container's interface into Felix's.
func felixEnvironment(env []string) []string {
	values := lookup(env)
	for name, value := range felixDefaults {
		if _, given := values[name]; !given {
			env = setenv(env, name, value)
		}
	}
	for from, to := range map[string]string{"NODENAME": "FELIX_FELIXHOSTNAME", "DATASTORE_TYPE": "FELIX_DATASTORETYPE"} {
		if value := values[from]; value != "" {
			env = setenv(env, to, value)
		}
	}
	return env
}

func lookup(env []string) map[string]string {
	values := make(map[string]string, len(env))
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return values
}

// setenv returns a copy of env in which name has value.
func setenv(env []string, name, value string) []string {
	result := make([]string, 0, len(env)+1)
	for _, pair := range env {
		if !strings.HasPrefix(pair, name+"=") {
			result = append(result, pair)
		}
	}
	return append(result, name+"="+value)
}

// pauses double from first to last; a process that ran for steady starts again at first.
type pauses struct{ first, last, steady time.Duration }

var (
	retryPauses = pauses{first: 500 * time.Millisecond, last: 10 * time.Second, steady: time.Hour}
	// Felix exits on purpose when its configuration changes, so the first restart must be quick.
	restartPauses = pauses{first: 200 * time.Millisecond, last: 10 * time.Second, steady: 10 * time.Second}
)

func (p pauses) next(previous, ran time.Duration) time.Duration {
	if previous == 0 || ran >= p.steady {
		return p.first
	}
	return min(previous*2, p.last)
}
