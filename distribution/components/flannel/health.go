package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// readiness is ready, or waits for something that it can name.
type readiness struct {
	mu      sync.Mutex
	waiting string
	since   time.Time
}

func newReadiness() *readiness {
	return &readiness{waiting: "start", since: time.Now()}
}

func (r *readiness) wait(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting, r.since = what, time.Now()
}

func (r *readiness) ready() { r.wait("") }

func (r *readiness) describe() (ok bool, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == "" {
		return true, "flanneld is ready\n"
	}
	return false, fmt.Sprintf("flanneld waits to %s (since %s)\n", r.waiting, r.since.UTC().Format(time.RFC3339))
}

func healthHandler(state *readiness) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "flanneld is running")
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		ok, text := state.describe()
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, text)
	})
	return mux
}

// serveHealth listens before it returns, so that a taken port is an error of the start.
func serveHealth(ctx context.Context, address string, port int, state *readiness) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("health server: %w", err)
	}
	server := &http.Server{Handler: healthHandler(state), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			klog.Errorf("health server ended: %v", err)
		}
	}()
	return nil
}
