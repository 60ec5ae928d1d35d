package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	apiPatience = 2 * time.Minute // how long an API that does not answer is asked again
	apiInterval = 500 * time.Millisecond
)

// records is Helm's own storage of one release: a Secret or ConfigMap per revision, named
// sh.helm.release.v1.<name>.v<revision>, whose labels repeat what is asked most often.
type records struct {
	api      *api
	resource string // "secrets" or "configmaps"
	path     string // of the collection
	name     string
}

func newRecords(a *api, j *job) *records {
	resource := "secrets"
	if j.driver == "configmap" {
		resource = "configmaps"
	}
	path := "/api/v1/namespaces/" + url.PathEscape(j.namespace) + "/" + resource
	return &records{api: a, resource: resource, path: path, name: j.name}
}

// latest reads the state of the release from the labels of its newest record. It outlasts an API
// server that is starting and an authoriser that does not know the job's service account yet.
func (r *records) latest(ctx context.Context, log *progress) (release, error) {
	deadline := time.Now().Add(apiPatience)
	for waiting := false; ; waiting = true {
		current, err := r.list(ctx)
		if err == nil || !passing(err) || time.Now().After(deadline) {
			return current, wrap(err, "cannot read the release records of %s in %s", r.name, r.path)
		}
		if !waiting {
			log.say("waiting for the Kubernetes API: %v", err)
		}
		time.Sleep(apiInterval)
	}
}

// passing tells whether asking again can help.
func passing(err error) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return true
	}
	switch status.code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	default:
		return status.code >= http.StatusInternalServerError
	}
}

// list asks for metadata only: a record's payload is up to a megabyte.
func (r *records) list(ctx context.Context) (release, error) {
	var answer struct {
		Items []struct {
			Metadata struct{ Labels map[string]string }
		}
	}
	query := url.Values{"labelSelector": {"owner=helm,name=" + r.name}}
	accept := "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	if err := r.api.get(ctx, r.path+"?"+query.Encode(), accept, &answer); err != nil {
		return release{}, err
	}
	var newest release
	for _, item := range answer.Items {
		revision, err := strconv.Atoi(item.Metadata.Labels["version"])
		if err == nil && revision > newest.revision {
			newest = release{revision, item.Metadata.Labels["status"]}
		}
	}
	return newest, nil
}

// setStatus is the Helm plugin set-status: it changes what the record says, nothing in the cluster.
func (r *records) setStatus(ctx context.Context, revision int, status string) error {
	return r.rewrite(ctx, revision, map[string]string{"status": status}, func(p payload) error {
		return p.setStatus(status)
	})
}

// renewAPIs is the Helm plugin mapkubeapis and returns what it changed. Nothing is written if nothing
// had to change.
func (r *records) renewAPIs(ctx context.Context, revision int) (changes []string, err error) {
	err = r.rewrite(ctx, revision, nil, func(p payload) error {
		var manifest string
		if err := json.Unmarshal(p["manifest"], &manifest); err != nil {
			return err
		}
		manifest, changes = renewManifest(manifest)
		if len(changes) == 0 {
			return errUnchanged
		}
		return p.set("manifest", manifest)
	})
	if errors.Is(err, errUnchanged) {
		return nil, nil
	}
	return changes, err
}

var errUnchanged = errors.New("unchanged")

func (r *records) recordPath(revision int) string {
	return fmt.Sprintf("%s/sh.helm.release.v1.%s.v%d", r.path, url.PathEscape(r.name), revision)
}

// read returns the resource version of a record and what is in it.
func (r *records) read(ctx context.Context, revision int) (version string, content payload, err error) {
	var object struct {
		Metadata struct{ ResourceVersion string }
		Data     struct{ Release string }
	}
	path := r.recordPath(revision)
	if err := r.api.get(ctx, path, "application/json", &object); err != nil {
		return "", nil, wrap(err, "cannot read %s", path)
	}
	content, err = r.decode(object.Data.Release)
	return object.Metadata.ResourceVersion, content, wrap(err, "%s is not a Helm release record", path)
}

// rewrite changes a record's payload and labels, and fails if someone else changed it meanwhile.
func (r *records) rewrite(ctx context.Context, revision int, labels map[string]string, change func(payload) error) error {
	path := r.recordPath(revision)
	version, content, err := r.read(ctx, revision)
	if err != nil {
		return err
	}
	if err := change(content); err != nil {
		return err
	}
	encoded, err := r.encode(content)
	if err != nil {
		return err
	}
	newLabels := map[string]string{"modifiedAt": strconv.FormatInt(time.Now().Unix(), 10)}
	for key, value := range labels {
		newLabels[key] = value
	}
	return wrap(r.api.mergePatch(ctx, path, map[string]any{
		"metadata": map[string]any{"resourceVersion": version, "labels": newLabels},
		"data":     map[string]string{"release": encoded},
	}), "cannot write %s", path)
}

// payload is a release as Helm stores it, with everything this program does not know kept verbatim.
type payload map[string]json.RawMessage

func (p payload) set(key string, value any) error {
	raw, err := json.Marshal(value)
	p[key] = raw
	return err
}

func (p payload) setStatus(status string) error {
	info := payload{}
	if err := json.Unmarshal(p["info"], &info); err != nil {
		return err
	}
	if err := info.set("status", status); err != nil {
		return err
	}
	return p.set("info", info)
}

// decode undoes base64(gzip(JSON)), and for Secrets the API's own base64 around it.
func (r *records) decode(data string) (payload, error) {
	content := []byte(data)
	for range r.layers() {
		decoded, err := base64.StdEncoding.DecodeString(string(content))
		if err != nil {
			return nil, err
		}
		content = decoded
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	content, err = io.ReadAll(unzipped)
	if err != nil {
		return nil, err
	}
	p := payload{}
	err = json.Unmarshal(content, &p)
	return p, err
}

func (r *records) encode(p payload) (string, error) {
	content, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var zipped bytes.Buffer
	writer, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := writer.Write(content); err != nil {
		return "", err
	}
	if err := writer.Close(); err != nil {
		return "", err
	}
	encoded := zipped.Bytes()
	for range r.layers() {
		encoded = []byte(base64.StdEncoding.EncodeToString(encoded))
	}
	return string(encoded), nil
}

func (r *records) layers() int {
	if r.resource == "secrets" {
		return 2
	}
	return 1
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
