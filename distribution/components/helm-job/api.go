package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// api speaks to the Kubernetes API as the pod's service account: the three requests this program
// needs do not justify client-go, which would double its start-up time.
type api struct {
	base   string
	token  string
	client *http.Client
}

// statusError is an answer of the API other than success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.code, e.message) }

func inClusterAPI(env lookup) (*api, error) {
	host, port := first(env("KUBERNETES_SERVICE_HOST")), first(env("KUBERNETES_SERVICE_PORT"))
	token, err := os.ReadFile(filepath.Join(serviceAccount, "token"))
	if err != nil {
		return nil, fmt.Errorf("no service account token in the pod: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("no cluster CA in the pod: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", serviceAccount)
	}
	return &api{
		base:  "https://" + net.JoinHostPort(host, port),
		token: strings.TrimSpace(string(token)),
		client: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				Proxy:           http.ProxyFromEnvironment, // as Helm's own client does
				TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			},
		},
	}, nil
}

func first(value string, _ bool) string { return value }

// get decodes the answer into result; accept narrows what the server sends.
func (a *api) get(ctx context.Context, path, accept string, result any) error {
	return a.do(ctx, http.MethodGet, path, http.Header{"Accept": {accept}}, nil, result)
}

func (a *api) mergePatch(ctx context.Context, path string, patch any) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/merge-patch+json"}, "Accept": {"application/json"}}
	return a.do(ctx, http.MethodPatch, path, header, body, nil)
}

func (a *api) do(ctx context.Context, method, path string, header http.Header, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("User-Agent", "helm-job")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return &statusError{response.StatusCode, statusMessage(content)}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content, result)
}

// statusMessage is the message of a metav1.Status, or the answer itself if it is none.
func statusMessage(content []byte) string {
	var status struct{ Message string }
	if json.Unmarshal(content, &status) == nil && status.Message != "" {
		return status.Message
	}
	return strings.TrimSpace(string(content))
}
