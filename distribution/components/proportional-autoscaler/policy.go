package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// policy says how many replicas a cluster of this size is to have.
type policy interface {
	replicas(all, schedulable size) int
}

// size is what replicas are in proportion to.
type size struct {
	nodes int
	cores float64
}

// parsePolicy reads the data of a ConfigMap: one entry, named after the mode.
func parsePolicy(data map[string]string) (policy, error) {
	inProportion, isLinear := data["linear"]
	inSteps, isLadder := data["ladder"]
	switch {
	case len(data) == 1 && isLinear:
		return parseLinear(inProportion)
	case len(data) == 1 && isLadder:
		return parseLadder(inSteps)
	default:
		return nil, fmt.Errorf("one entry, linear or ladder, is wanted, not %q", slices.Sorted(maps.Keys(data)))
	}
}

func decodeParams(mode, text string, params any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(params); err != nil {
		return fmt.Errorf("%s: %w", mode, err)
	}
	return nil
}

// linear gives one replica for so many cores or nodes, whichever makes more.
type linear struct {
	CoresPerReplica           float64 `json:"coresPerReplica"` // 0: cores do not count
	NodesPerReplica           float64 `json:"nodesPerReplica"` // 0: nodes do not count
	Min                       int     `json:"min"`
	Max                       int     `json:"max"` // 0: no limit
	PreventSinglePointFailure bool    `json:"preventSinglePointFailure"`
	IncludeUnschedulableNodes bool    `json:"includeUnschedulableNodes"`
}

func parseLinear(text string) (policy, error) {
	l := &linear{}
	if err := decodeParams("linear", text, l); err != nil {
		return nil, err
	}
	switch {
	case l.CoresPerReplica < 0 || l.NodesPerReplica < 0 || l.Min < 0 || l.Max < 0:
		return nil, fmt.Errorf("linear: %s: a number is negative", text)
	case l.CoresPerReplica == 0 && l.NodesPerReplica == 0:
		return nil, fmt.Errorf("linear: neither coresPerReplica nor nodesPerReplica is given")
	}
	l.Min = max(l.Min, 1)
	if l.Max != 0 && l.Max < l.Min {
		return nil, fmt.Errorf("linear: max %d is less than min %d", l.Max, l.Min)
	}
	return l, nil
}

// replicas is at least two on several nodes if a single one must not be the point of failure, whatever max says.
func (l *linear) replicas(all, schedulable size) int {
	counted := schedulable
	if l.IncludeUnschedulableNodes {
		counted = all
	}
	wanted := max(share(counted.cores, l.CoresPerReplica), share(float64(counted.nodes), l.NodesPerReplica))
	if l.Max != 0 {
		wanted = min(wanted, l.Max)
	}
	wanted = max(wanted, l.Min)
	if l.PreventSinglePointFailure && counted.nodes > 1 {
		wanted = max(wanted, 2)
	}
	return wanted
}

func share(count, perReplica float64) int {
	if perReplica == 0 {
		return 0
	}
	return int(math.Ceil(count / perReplica))
}

// ladder gives the replicas of the highest step that is reached, of cores or nodes, whichever makes more.
type ladder struct {
	CoresToReplicas steps `json:"coresToReplicas"`
	NodesToReplicas steps `json:"nodesToReplicas"`
}

// steps are pairs of a count, from which on it holds, and its replicas.
type steps [][]int

func parseLadder(text string) (policy, error) {
	l := &ladder{}
	if err := decodeParams("ladder", text, l); err != nil {
		return nil, err
	}
	if len(l.CoresToReplicas) == 0 && len(l.NodesToReplicas) == 0 {
		return nil, fmt.Errorf("ladder: neither coresToReplicas nor nodesToReplicas is given")
	}
	for _, steps := range []steps{l.CoresToReplicas, l.NodesToReplicas} {
		for _, step := range steps {
			if len(step) != 2 || step[0] < 0 || step[1] < 0 {
				return nil, fmt.Errorf("ladder: %v is not a pair of a count and its replicas", step)
			}
		}
		slices.SortFunc(steps, func(a, b []int) int { return a[0] - b[0] })
	}
	return l, nil
}

// replicas counts schedulable nodes only.
func (l *ladder) replicas(_, schedulable size) int {
	cores := int(math.Ceil(schedulable.cores))
	return max(l.CoresToReplicas.reached(cores), l.NodesToReplicas.reached(schedulable.nodes))
}

// reached is the lowest step's before any is reached.
func (s steps) reached(count int) int {
	if len(s) == 0 {
		return 0
	}
	reached := s[0][1]
	for _, step := range s {
		if step[0] <= count {
			reached = step[1]
		}
	}
	return reached
}
