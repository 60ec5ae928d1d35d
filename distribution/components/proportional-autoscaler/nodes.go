package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// firstPause is between the end of one watch and the list that begins the next; it doubles with each failure.
	firstPause, longestPause = time.Second, 30 * time.Second
	// firstListPatience is how long the first look waits for the first list.
	firstListPatience = 5 * time.Second
)

var errNoAnswer = errors.New("no answer of the API yet")

// node is what counts of one.
type node struct {
	cores       float64
	schedulable bool
}

// nodeSet is the cluster's nodes as the API last told of them: a list, then a watch, again and again.
type nodeSet struct {
	api      *api
	selector string
	log      *logger

	listed chan struct{} // closed by the first list
	mutex  sync.Mutex
	known  map[string]node // nil until then
	err    error           // why there is no list yet
}

func newNodeSet(api *api, selector string, log *logger) *nodeSet {
	return &nodeSet{api: api, selector: selector, log: log, listed: make(chan struct{}), err: errNoAnswer}
}

// apiNode is the part of a Node that is decoded.
type apiNode struct {
	Metadata struct{ Name string }
	Spec     struct{ Unschedulable bool }
	Status   struct{ Allocatable struct{ CPU string } }
}

// sizes counts all nodes and those that are not cordoned.
func (n *nodeSet) sizes(ctx context.Context) (all, schedulable size, err error) {
	select {
	case <-n.listed:
	case <-ctx.Done():
	case <-time.After(firstListPatience):
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.known == nil {
		return all, schedulable, fmt.Errorf("nodes are not listed yet: %w", n.err)
	}
	for _, each := range n.known {
		all.nodes, all.cores = all.nodes+1, all.cores+each.cores
		if each.schedulable {
			schedulable.nodes, schedulable.cores = schedulable.nodes+1, schedulable.cores+each.cores
		}
	}
	return all, schedulable, nil
}

// follow keeps the set up to date until ctx ends. While the API does not answer, what was known last holds. The end
// of a watch is no failure: the API server ends each from time to time.
func (n *nodeSet) follow(ctx context.Context) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		version, err := n.list(ctx)
		if err == nil {
			pause = firstPause
			err = n.watch(ctx, version)
		}
		if err != nil && ctx.Err() == nil {
			n.log.say("nodes: %v; the next try is in %s", err, pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (n *nodeSet) watch(ctx context.Context, version string) error {
	query := n.query("watch", "true", "allowWatchBookmarks", "true", "resourceVersion", version)
	return n.api.watch(ctx, "/api/v1/nodes?"+query, n.note)
}

func (n *nodeSet) list(ctx context.Context) (version string, err error) {
	var found struct {
		Metadata struct{ ResourceVersion string }
		Items    []apiNode
	}
	// resourceVersion=0: from the API server's memory, which is recent enough and costs etcd nothing.
	err = n.api.get(ctx, "/api/v1/nodes?"+n.query("resourceVersion", "0"), &found)
	known := map[string]node{}
	for _, item := range found.Items {
		counted, invalid := item.counted()
		known[item.Metadata.Name], err = counted, errors.Join(err, invalid)
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if err != nil {
		n.err = err
		return "", err
	}
	if n.known == nil {
		close(n.listed)
	}
	n.known = known
	return found.Metadata.ResourceVersion, nil
}

func (n *nodeSet) query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	if n.selector != "" {
		values.Set("labelSelector", n.selector)
	}
	return values.Encode()
}

// note takes one event of the watch.
func (n *nodeSet) note(kind string, object json.RawMessage) error {
	if kind == "BOOKMARK" {
		return nil
	}
	if kind == "ERROR" {
		return fmt.Errorf("watch: %s", statusMessage(object))
	}
	var item apiNode
	if err := json.Unmarshal(object, &item); err != nil {
		return err
	}
	counted, err := item.counted()
	if err != nil {
		return err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if kind == "DELETED" {
		delete(n.known, item.Metadata.Name)
	} else {
		n.known[item.Metadata.Name] = counted
	}
	return nil
}

func (a *apiNode) counted() (node, error) {
	cores, err := parseCores(a.Status.Allocatable.CPU)
	if err != nil {
		return node{}, fmt.Errorf("node %s: allocatable cpu: %w", a.Metadata.Name, err)
	}
	return node{cores: cores, schedulable: !a.Spec.Unschedulable}, nil
}

// parseCores reads a quantity of processors: cores, or thousandths of one with "m". A node that has not told yet has
// none.
func parseCores(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	divisor := 1.0
	if digits, milli := strings.CutSuffix(text, "m"); milli {
		text, divisor = digits, 1000
	}
	value, err := strconv.ParseFloat(text, 64)
	return value / divisor, err
}
