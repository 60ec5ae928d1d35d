package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"
	// answerTimeout is for a whole answer; of a watch, for its beginning.
	answerTimeout = 30 * time.Second
	// silenceLimit ends a watch on which nothing came for so long; the API server sends a bookmark each minute.
	silenceLimit = 5 * time.Minute
)

// api speaks to the Kubernetes API as the pod's service account.
type api struct {
	base   string
	token  string // path of a file that the kubelet renews
	client *http.Client
}

// statusError is an answer of the API other than success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.code, e.message) }

func isNotFound(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusNotFound
}

func inClusterAPI(getenv func(string) string) (*api, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and _PORT are not set: this program runs in a pod")
	}
	ca, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("no cluster CA in the pod: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", serviceAccount)
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: answerTimeout, KeepAlive: answerTimeout}).DialContext,
		ResponseHeaderTimeout: answerTimeout,
		TLSHandshakeTimeout:   answerTimeout,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	return &api{
		base:   "https://" + net.JoinHostPort(host, port),
		token:  filepath.Join(serviceAccount, "token"),
		client: &http.Client{Transport: transport},
	}, nil
}

func (a *api) get(ctx context.Context, path string, result any) error {
	return a.do(ctx, http.MethodGet, path, nil, result)
}

// do sends body as JSON and decodes the answer into result; either may be nil.
func (a *api) do(ctx context.Context, method, path string, body, result any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	answer, err := a.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if result == nil {
		return nil
	}
	return json.NewDecoder(answer).Decode(result)
}

// watch hands each event to note until the answer ends, which is no error, or note fails.
func (a *api) watch(ctx context.Context, path string, note func(kind string, object json.RawMessage) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceLimit, func() {
		cancel(fmt.Errorf("watch: nothing came for %s", silenceLimit))
	})
	defer silence.Stop()
	answer, err := a.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	for events := json.NewDecoder(answer); ; {
		var event struct {
			Type   string
			Object json.RawMessage
		}
		switch err := events.Decode(&event); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.Join(context.Cause(ctx), err)
		}
		silence.Reset(silenceLimit)
		if err := note(event.Type, event.Object); err != nil {
			return err
		}
	}
}

// ask gives the body of a successful answer.
func (a *api) ask(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(a.token)
	if err != nil {
		return nil, fmt.Errorf("no service account token in the pod: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "cluster-proportional-autoscaler/"+version)
	answer, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		return nil, &statusError{answer.StatusCode, statusMessage(text)}
	}
	return answer.Body, nil
}

// statusMessage is the message of a metav1.Status, or the answer itself if it is none.
func statusMessage(content []byte) string {
	var status struct{ Message string }
	if json.Unmarshal(content, &status) == nil && status.Message != "" {
		return status.Message
	}
	return strings.TrimSpace(string(content))
}
