package main

import (
	"net/http"
	"sync"
)

// healthAddress is the port of the chart's liveness probe.
const healthAddress = ":8080"

// health answers /healthz while the program lives, and /last-poll with the error of the last look, if it failed.
type health struct {
	mutex sync.Mutex
	last  error
}

func (h *health) note(err error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.last = err
}

func (h *health) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	switch {
	case request.URL.Path != "/healthz" && request.URL.Path != "/last-poll":
		http.NotFound(answer, request)
	case request.URL.Path == "/last-poll" && h.last != nil:
		http.Error(answer, h.last.Error(), http.StatusInternalServerError)
	}
}
