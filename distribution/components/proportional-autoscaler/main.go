// Command cluster-proportional-autoscaler keeps the replicas of a workload, the cluster's DNS, in proportion to
// the cluster's nodes and processor cores. Its flags, its ConfigMap and its rules are those of
// kubernetes-sigs/cluster-proportional-autoscaler v1.10, whose Go module is not to be had.
//
// It differs where that saves memory or time, and where silence would mislead:
//   - It speaks to the API without client-go (api.go): 9 MB of program, 10 MB of memory.
//   - Parameters with a name it does not know are refused; a mistyped one would have no effect.
//   - It uses the pod's service account only; there is no --kubeconfig.
//   - It logs to standard error always: the other flags of glog are accepted and have no effect.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const version = "v0.1.0"

func main() {
	opts, err := parseOptions(os.Args[1:], os.Getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case opts.version:
		fmt.Println(version)
		return
	}
	log := &logger{level: opts.verbosity, out: os.Stderr}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts, log); err != nil && ctx.Err() == nil {
		log.say("%v", err)
		os.Exit(1)
	}
}

// run scales until ctx ends, the health port cannot be had, or the API was unusable for too long.
func run(ctx context.Context, opts *options, log *logger) error {
	api, err := inClusterAPI(os.Getenv)
	if err != nil {
		return err
	}
	health := &health{}
	failed := make(chan error, 2)
	go func() { failed <- http.ListenAndServe(healthAddress, health) }()

	nodes := newNodeSet(api, opts.nodeLabels, log)
	go nodes.follow(ctx)

	scaler := &autoscaler{opts: opts, api: api, nodes: nodes, health: health, log: log}
	go func() { failed <- scaler.run(ctx, time.NewTicker(opts.pollPeriod).C) }()
	return <-failed
}
