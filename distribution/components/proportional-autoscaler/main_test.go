package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReplicas(t *testing.T) {
	const defaults = `{"coresPerReplica":256,"nodesPerReplica":16,"preventSinglePointFailure":true,"min":0,"max":0,"includeUnschedulableNodes":false}`
	for _, test := range []struct {
		name, mode, params string
		all, schedulable   size
		want               int
	}{
		{"one node", "linear", defaults, size{1, 2}, size{1, 2}, 1},
		{"two nodes", "linear", defaults, size{2, 4}, size{2, 4}, 2},
		{"two nodes, one cordoned", "linear", defaults, size{2, 4}, size{1, 2}, 1},
		{"every node cordoned", "linear", defaults, size{2, 4}, size{}, 1},
		{"many nodes", "linear", defaults, size{33, 66}, size{33, 66}, 3},
		{"many cores", "linear", defaults, size{3, 1024.5}, size{3, 1024.5}, 5},
		{"min", "linear", `{"nodesPerReplica":16,"min":4}`, size{1, 2}, size{1, 2}, 4},
		{"max", "linear", `{"nodesPerReplica":1,"max":3}`, size{9, 9}, size{9, 9}, 3},
		{"two in spite of max", "linear", `{"nodesPerReplica":1,"max":1,"preventSinglePointFailure":true}`, size{9, 9}, size{9, 9}, 2},
		{"cordoned nodes count", "linear", `{"nodesPerReplica":1,"includeUnschedulableNodes":true}`, size{9, 9}, size{1, 1}, 9},
		{"fractions", "linear", `{"nodesPerReplica":0.5}`, size{3, 3}, size{3, 3}, 6},
		{"step of nodes", "ladder", `{"coresToReplicas":[[1,1],[64,3]],"nodesToReplicas":[[2,2],[1,1]]}`, size{5, 10}, size{5, 10}, 2},
		{"step of cores", "ladder", `{"coresToReplicas":[[1,1],[64,3]],"nodesToReplicas":[[1,1],[2,2]]}`, size{5, 64}, size{5, 64}, 3},
		{"none", "ladder", `{"nodesToReplicas":[[0,0],[6,1]]}`, size{5, 10}, size{5, 10}, 0},
		{"below the first step", "ladder", `{"nodesToReplicas":[[4,2],[6,3]]}`, size{1, 1}, size{1, 1}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy, err := parsePolicy(map[string]string{test.mode: test.params})
			if err != nil {
				t.Fatal(err)
			}
			if got := policy.replicas(test.all, test.schedulable); got != test.want {
				t.Errorf("%d replicas, not %d", got, test.want)
			}
		})
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	for message, data := range map[string]map[string]string{
		`not []`:                         {},
		`not ["ladder" "linear"]`:        {"linear": "{}", "ladder": "{}"},
		`not ["exponential"]`:            {"exponential": "{}"},
		"unexpected EOF":                 {"linear": "{"},
		`unknown field "nodesPerReplca"`: {"linear": `{"nodesPerReplca":1}`},
		"neither coresPerReplica":        {"linear": `{"min":1}`},
		"a number is negative":           {"linear": `{"nodesPerReplica":-1}`},
		"max 2 is less than min 3":       {"linear": `{"nodesPerReplica":1,"min":3,"max":2}`},
		"neither coresToReplicas":        {"ladder": "{}"},
		"[1] is not a pair":              {"ladder": `{"nodesToReplicas":[[1]]}`},
		"[1 -1] is not a pair":           {"ladder": `{"nodesToReplicas":[[1,-1]]}`},
	} {
		if _, err := parsePolicy(data); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%v: %v instead of %q", data, err, message)
		}
	}
}

func TestOptions(t *testing.T) {
	given := "--namespace=kube-system --configmap=c --target=Deployment/DNS --logtostderr=true --v=2 --nodelabels=a=b"
	opts, err := parseOptions(strings.Fields(given), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if path := opts.target.scalePath(opts.namespace); path != "/apis/apps/v1/namespaces/kube-system/deployments/dns/scale" {
		t.Error(path)
	}
	if opts.verbosity != 2 || opts.nodeLabels != "a=b" || opts.pollPeriod != 10*time.Second || opts.defaultParams != nil {
		t.Errorf("%+v", opts)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for message, args := range map[string]string{
		"--target":                  "--namespace=n --configmap=c --target=daemonset/d",
		"--configmap is not given":  "--namespace=n --target=deployment/d",
		"--namespace is not given":  "--configmap=c --target=deployment/d",
		"0 is less than 1":          "--namespace=n --configmap=c --target=deployments/d --poll-period-seconds=0",
		"-1 is less than 0":         "--namespace=n --configmap=c --target=deployments/d --max-sync-failures=-1",
		"only flags are taken":      "--namespace=n --configmap=c --target=deployments/d more",
		"--default-params: linear:": `--namespace=n --configmap=c --target=deployments/d --default-params={"linear":{}}`,
		"not defined: -unknown":     "--unknown",
	} {
		_, err := parseOptions(strings.Fields(args), func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v instead of %q", args, err, message)
		}
	}
}

func TestCores(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "2": 2, "1500m": 1.5, "0.5": 0.5} {
		if got, err := parseCores(text); err != nil || got != want {
			t.Errorf("%q: %g, %v", text, got, err)
		}
	}
	if _, err := parseCores("two"); err == nil {
		t.Error("no error")
	}
}

// cluster is an API server with nodes, one Deployment and perhaps one ConfigMap.
type cluster struct {
	*httptest.Server
	events chan string // lines of the watch

	mutex    sync.Mutex
	replicas int
	writes   int
	params   string // "": there is no ConfigMap
	version  int
	failing  bool
}

const nodeList = `{"metadata":{"resourceVersion":"5"},"items":[
	{"metadata":{"name":"a"},"status":{"allocatable":{"cpu":"2"}}},
	{"metadata":{"name":"b"},"spec":{"unschedulable":true},"status":{"allocatable":{"cpu":"1500m"}}}]}`

func newCluster(t *testing.T, params string) (*cluster, *api) {
	c := &cluster{events: make(chan string), replicas: 1, params: params}
	c.Server = httptest.NewServer(c)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, &api{base: c.URL, token: token, client: c.Client()}
}

func (c *cluster) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Authorization") != "Bearer secret" {
		http.Error(answer, `{"message":"who are you?"}`, http.StatusUnauthorized)
		return
	}
	if request.URL.Query().Has("watch") {
		c.watch(answer, request)
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	body, _ := io.ReadAll(request.Body)
	switch path := request.URL.Path; {
	case c.failing:
		http.Error(answer, `{"message":"etcd is away"}`, http.StatusInternalServerError)
	case path == "/api/v1/nodes":
		fmt.Fprint(answer, nodeList)
	case request.Method == http.MethodPost:
		var made configMap
		_ = json.Unmarshal(body, &made)
		c.params = made.Data["linear"]
		c.writeConfigMap(answer)
	case strings.HasSuffix(path, "/configmaps/c") && c.params == "":
		http.Error(answer, `{"message":"not found"}`, http.StatusNotFound)
	case strings.HasSuffix(path, "/configmaps/c"):
		c.writeConfigMap(answer)
	case request.Method == http.MethodPut:
		var scale struct{ Spec struct{ Replicas int } }
		_ = json.Unmarshal(body, &scale)
		c.replicas, c.writes = scale.Spec.Replicas, c.writes+1
		_, _ = answer.Write(body)
	default:
		fmt.Fprintf(answer, `{"kind":"Scale","metadata":{"resourceVersion":"7"},"spec":{"replicas":%d}}`, c.replicas)
	}
}

func (c *cluster) writeConfigMap(answer http.ResponseWriter) {
	_ = json.NewEncoder(answer).Encode(configMap{
		Metadata: objectMeta{Name: "c", ResourceVersion: fmt.Sprint(c.version)},
		Data:     map[string]string{"linear": c.params},
	})
}

func (c *cluster) watch(answer http.ResponseWriter, request *http.Request) {
	answer.(http.Flusher).Flush()
	for {
		select {
		case <-request.Context().Done():
			return
		case event, more := <-c.events:
			if !more {
				return
			}
			fmt.Fprintln(answer, event)
			answer.(http.Flusher).Flush()
		}
	}
}

// change does it as somebody else would.
func (c *cluster) change(by func()) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	by()
}

func (c *cluster) state() (replicas, writes int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.replicas, c.writes
}

func newAutoscaler(t *testing.T, api *api, args ...string) *autoscaler {
	args = append([]string{"--namespace=n", "--configmap=c", "--target=deployment/d"}, args...)
	opts, err := parseOptions(args, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	log := &logger{out: io.Discard}
	return &autoscaler{opts: opts, api: api, nodes: newNodeSet(api, "", log), health: &health{}, log: log}
}

// until looks again and again, as long as the test may run.
func until(t *testing.T, what string, look func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !look(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func TestReplicasFollowNodesAndParameters(t *testing.T) {
	c, api := newCluster(t, `{"nodesPerReplica":1}`)
	defer c.CloseClientConnections()
	s := newAutoscaler(t, api)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go s.nodes.follow(ctx)
	scaled := func(want int) func() bool {
		return func() bool {
			if err := s.scale(ctx); err != nil {
				t.Fatal(err)
			}
			replicas, _ := c.state()
			return replicas == want
		}
	}
	until(t, "one schedulable node", scaled(1))
	if _, writes := c.state(); writes != 0 {
		t.Errorf("%d writes of what was so already", writes)
	}
	c.events <- `{"type":"BOOKMARK","object":{}}`
	c.events <- `{"type":"MODIFIED","object":{"metadata":{"name":"b"},"status":{"allocatable":{"cpu":"2"}}}}`
	until(t, "b is uncordoned", scaled(2))
	c.events <- `{"type":"DELETED","object":{"metadata":{"name":"b"}}}`
	until(t, "b is gone", scaled(1))
	c.change(func() { c.params, c.version = `{"nodesPerReplica":1,"min":5}`, 1 })
	until(t, "other parameters", scaled(5))
	c.events <- `{"type":"ERROR","object":{"message":"too old"}}`
	until(t, "the nodes are listed again", func() bool {
		all, _, _ := s.nodes.sizes(ctx)
		return all.nodes == 2
	})
}

func TestAnOutageIsOutlivedAndTold(t *testing.T) {
	c, api := newCluster(t, `{"nodesPerReplica":1,"min":3}`)
	defer c.CloseClientConnections()
	s := newAutoscaler(t, api)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go s.nodes.follow(ctx)
	if _, _, err := s.nodes.sizes(ctx); err != nil {
		t.Fatal(err)
	}
	c.change(func() { c.failing = true })
	ticks := make(chan time.Time)
	go func() { _ = s.run(ctx, ticks) }()
	ticks <- time.Now()
	ticks <- time.Now()
	if code, text := lastPoll(s.health); code != http.StatusInternalServerError || !strings.Contains(text, "etcd is away") {
		t.Error(code, text)
	}
	c.change(func() { c.failing = false })
	ticks <- time.Now()
	until(t, "scaled after the outage", func() bool { replicas, _ := c.state(); return replicas == 3 })
	until(t, "well again", func() bool { code, _ := lastPoll(s.health); return code == http.StatusOK })
}

func lastPoll(h *health) (code int, text string) {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/last-poll", nil))
	return answer.Code, answer.Body.String()
}

func TestTooManyFailuresEndIt(t *testing.T) {
	c, api := newCluster(t, "")
	defer c.Close()
	s := newAutoscaler(t, api, "--max-sync-failures=2")
	s.nodes.known = map[string]node{}
	close(s.nodes.listed)
	ticks := make(chan time.Time, 1)
	ticks <- time.Now()
	if err := s.run(context.Background(), ticks); err == nil || !strings.Contains(err.Error(), "failed 2 times") {
		t.Error(err)
	}
}

func TestParametersAreMadeIfThereAreNone(t *testing.T) {
	c, api := newCluster(t, "")
	defer c.Close()
	s := newAutoscaler(t, api, `--default-params={"linear":{"nodesPerReplica":1,"min":4}}`)
	s.nodes.known = map[string]node{}
	close(s.nodes.listed)
	if err := s.scale(context.Background()); err != nil {
		t.Fatal(err)
	}
	if replicas, _ := c.state(); replicas != 4 {
		t.Error(replicas)
	}
}
