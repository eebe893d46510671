// Answers what sigs.k8s.io/structured-merge-diff makes of sequences of applies and updates: one JSON object a line in, one out.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

type sequence struct {
	// Schemas in the JSON form of a structured-merge-diff schema; a step names one by its index.
	Schemas []json.RawMessage `json:"schemas"`
	Ignored json.RawMessage   `json:"ignored"`
	Steps   []step            `json:"steps"`
}

type step struct {
	Schema  int             `json:"schema"`
	Apply   bool            `json:"apply"`
	Force   bool            `json:"force"`
	Manager string          `json:"manager"`
	Version string          `json:"version"`
	Object  json.RawMessage `json:"object"`
}

type owned struct {
	Set     json.RawMessage `json:"set"`
	Version string          `json:"version"`
	Applied bool            `json:"applied"`
}

type answer struct {
	Object    any                        `json:"object,omitempty"`
	Managers  map[string]owned           `json:"managers,omitempty"`
	Conflicts map[string]json.RawMessage `json:"conflicts,omitempty"`
	Error     string                     `json:"error,omitempty"`
}

var errMissing = errors.New("no such version")

// The version v2 calls the field "one" "uno"; v0 is gone.
type converter struct{ parser *typed.Parser }

func (c converter) Convert(object *typed.TypedValue, version fieldpath.APIVersion) (*typed.TypedValue, error) {
	if version == "v0" {
		return nil, errMissing
	}
	fields, _ := object.AsValue().Unstructured().(map[string]any)
	renamed := map[string]any{}
	for key, value := range fields {
		switch {
		case key == "one" && version == "v2":
			key = "uno"
		case key == "uno" && version == "v1":
			key = "one"
		}
		renamed[key] = value
	}
	return c.parser.Type(string(version)).FromUnstructured(renamed, typed.AllowDuplicates)
}

func (c converter) IsMissingVersionError(err error) bool { return err == errMissing }

func set(s *fieldpath.Set) json.RawMessage {
	text, err := s.ToJSON()
	if err != nil {
		panic(err)
	}
	return text
}

func number(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for key, value := range v {
			v[key] = number(value)
		}
	case []any:
		for i, value := range v {
			v[i] = number(value)
		}
	}
	return v
}

func read(text json.RawMessage) any {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		panic(err)
	}
	return number(v)
}

func run(s sequence) []answer {
	var parsers []*typed.Parser
	for _, schema := range s.Schemas {
		parser, err := typed.NewParser(typed.YAMLObject(schema))
		if err != nil {
			return []answer{{Error: "schema: " + err.Error()}}
		}
		parsers = append(parsers, parser)
	}
	managers := fieldpath.ManagedFields{}
	live := any(map[string]any{})
	liveVersion := "v1"
	answers := []answer{}
	for _, step := range s.Steps {
		parser := parsers[step.Schema]
		builder := merge.UpdaterBuilder{Converter: converter{parser}}
		if s.Ignored != nil {
			ignored := &fieldpath.Set{}
			if err := ignored.FromJSON(strings.NewReader(string(s.Ignored))); err != nil {
				panic(err)
			}
			builder.IgnoreFilter = map[fieldpath.APIVersion]fieldpath.Filter{"v1": fieldpath.NewExcludeSetFilter(ignored)}
		}
		next, object, err := one(builder.BuildUpdater(), parser, step, live, liveVersion, managers)
		var conflicts merge.Conflicts
		switch {
		case errors.As(err, &conflicts):
			sets := map[string]*fieldpath.Set{}
			for _, conflict := range conflicts {
				if sets[conflict.Manager] == nil {
					sets[conflict.Manager] = &fieldpath.Set{}
				}
				sets[conflict.Manager].Insert(conflict.Path)
			}
			a := answer{Conflicts: map[string]json.RawMessage{}}
			for manager, s := range sets {
				a.Conflicts[manager] = set(s)
			}
			answers = append(answers, a)
		case err != nil:
			answers = append(answers, answer{Error: err.Error()})
		default:
			managers, live, liveVersion = next, object, step.Version
			a := answer{Object: live, Managers: map[string]owned{}}
			for manager, o := range managers {
				a.Managers[manager] = owned{set(o.Set()), string(o.APIVersion()), o.Applied()}
			}
			answers = append(answers, a)
		}
	}
	return answers
}

func one(updater *merge.Updater, parser *typed.Parser, step step, live any, liveVersion string, managers fieldpath.ManagedFields) (fieldpath.ManagedFields, any, error) {
	before, err := parser.Type(liveVersion).FromUnstructured(live, typed.AllowDuplicates)
	if err != nil {
		return nil, nil, fmt.Errorf("live: %w", err)
	}
	version := fieldpath.APIVersion(step.Version)
	before, err = updater.Converter.Convert(before, version)
	if err != nil {
		return nil, nil, fmt.Errorf("live: %w", err)
	}
	if step.Apply {
		config, err := parser.Type(step.Version).FromUnstructured(read(step.Object))
		if err != nil {
			return nil, nil, fmt.Errorf("config: %w", err)
		}
		after, managers, err := updater.Apply(before, config, version, managers.Copy(), step.Manager, step.Force)
		if err != nil {
			return nil, nil, err
		}
		if after == nil {
			after = before
		}
		return managers, after.AsValue().Unstructured(), nil
	}
	config, err := parser.Type(step.Version).FromUnstructured(read(step.Object), typed.AllowDuplicates)
	if err != nil {
		return nil, nil, fmt.Errorf("config: %w", err)
	}
	after, managers, err := updater.Update(before, config, version, managers.Copy(), step.Manager)
	if err != nil {
		return nil, nil, err
	}
	return managers, after.AsValue().Unstructured(), nil
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	for in.Scan() {
		var s sequence
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		text, err := json.Marshal(run(s))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out.Write(text)
		out.WriteByte('\n')
		out.Flush()
	}
}
