package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// autoscaler looks at the cluster again and again and sets the replicas of its target.
type autoscaler struct {
	opts   *options
	api    *api
	nodes  *nodeSet
	health *health
	log    *logger

	policy  policy // of the parameters that were read last
	version string // resourceVersion of their ConfigMap
}

// run looks at once and with each tick. What fails is told and tried again: the API may be away for as long as it
// likes, unless --max-sync-failures says otherwise.
func (s *autoscaler) run(ctx context.Context, ticks <-chan time.Time) error {
	for failures := 0; ; {
		err := s.scale(ctx)
		s.health.note(err)
		if err == nil {
			failures = 0
		} else {
			failures++
			s.log.say("%v", err)
		}
		if failures > 0 && failures == s.opts.maxSyncFailures {
			return fmt.Errorf("failed %d times in a row", failures)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks:
		}
	}
}

func (s *autoscaler) scale(ctx context.Context) error {
	all, schedulable, err := s.nodes.sizes(ctx)
	if err != nil {
		return err
	}
	s.log.detail(4, "nodes %d, schedulable %d; cores %g, schedulable %g",
		all.nodes, schedulable.nodes, all.cores, schedulable.cores)
	if err := s.readParameters(ctx); err != nil {
		return err
	}
	return s.set(ctx, s.policy.replicas(all, schedulable), schedulable)
}

type configMap struct {
	Kind     string            `json:"kind,omitempty"`
	Version  string            `json:"apiVersion,omitempty"`
	Metadata objectMeta        `json:"metadata"`
	Data     map[string]string `json:"data"`
}

type objectMeta struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// readParameters takes the ConfigMap's parameters if they have changed.
func (s *autoscaler) readParameters(ctx context.Context) error {
	found, err := s.configMap(ctx)
	if err != nil {
		return fmt.Errorf("configmap %s: %w", s.opts.configMap, err)
	}
	if s.policy != nil && found.Metadata.ResourceVersion == s.version {
		return nil
	}
	policy, err := parsePolicy(found.Data)
	if err != nil {
		return fmt.Errorf("configmap %s: %w", s.opts.configMap, err)
	}
	s.log.detail(2, "parameters: %v", found.Data)
	s.policy, s.version = policy, found.Metadata.ResourceVersion
	return nil
}

// configMap makes it from --default-params if there is none.
func (s *autoscaler) configMap(ctx context.Context) (*configMap, error) {
	path := "/api/v1/namespaces/" + s.opts.namespace + "/configmaps"
	found := &configMap{}
	err := s.api.get(ctx, path+"/"+s.opts.configMap, found)
	if !isNotFound(err) || s.opts.defaultParams == nil {
		return found, err
	}
	s.log.say("configmap %s is made from --default-params", s.opts.configMap)
	made := configMap{
		Kind:     "ConfigMap",
		Version:  "v1",
		Metadata: objectMeta{Name: s.opts.configMap, Namespace: s.opts.namespace},
		Data:     s.opts.defaultParams,
	}
	return found, s.api.do(ctx, http.MethodPost, path, made, found)
}

// set writes the number of replicas if it is another. The scale's resourceVersion goes with it, so that a change of
// somebody else in between is not undone.
func (s *autoscaler) set(ctx context.Context, wanted int, counted size) error {
	path := s.opts.target.scalePath(s.opts.namespace)
	var scale map[string]any
	if err := s.api.get(ctx, path, &scale); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	spec, _ := scale["spec"].(map[string]any)
	if spec == nil {
		spec = map[string]any{} // as the API writes a scale of no replicas
		scale["spec"] = spec
	}
	current, _ := spec["replicas"].(float64)
	if int(current) == wanted {
		return nil
	}
	s.log.say("%s/%s: %d replicas become %d (schedulable: %d nodes, %g cores)",
		s.opts.target.resource, s.opts.target.name, int(current), wanted, counted.nodes, counted.cores)
	spec["replicas"] = wanted
	if err := s.api.do(ctx, http.MethodPut, path, scale, nil); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
