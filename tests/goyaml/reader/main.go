// Command reader reads YAML as Go programs do: a JSON list of texts on standard input, and for each text what every
// library makes of it, as JSON, on standard output.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"

	v2 "go.yaml.in/yaml/v2"
	v3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

type answer struct {
	Value any    `json:"value"`
	Error string `json:"error"`
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	answers := make([]map[string]answer, 0, len(texts))
	for _, text := range texts {
		answers = append(answers, map[string]answer{
			"kubernetes": kubernetes(text),
			"v2":         read(text, v2.Unmarshal),
			"v3":         read(text, v3.Unmarshal),
		})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

func kubernetes(text string) answer {
	content, err := sigs.YAMLToJSON([]byte(text))
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Value: json.RawMessage(content)}
}

func read(text string, unmarshal func([]byte, any) error) answer {
	var value any
	if err := unmarshal([]byte(text), &value); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Value: jsonable(value)}
}

// jsonable keeps apart what JSON would make equal: numbers and times become lists that name their type.
func jsonable(value any) any {
	switch typed := value.(type) {
	case map[any]any:
		found := map[string]any{}
		for key, inner := range typed {
			found[fmt.Sprint(key)] = jsonable(inner)
		}
		return found
	case map[string]any:
		found := map[string]any{}
		for key, inner := range typed {
			found[key] = jsonable(inner)
		}
		return found
	case []any:
		found := make([]any, 0, len(typed))
		for _, inner := range typed {
			found = append(found, jsonable(inner))
		}
		return found
	case float64:
		if math.IsInf(typed, 0) || math.IsNaN(typed) {
			return fmt.Sprintf("float %v", typed)
		}
		return typed
	case string, bool, nil, int, int64, uint64:
		return typed
	default:
		return fmt.Sprintf("%T %v", value, value)
	}
}
