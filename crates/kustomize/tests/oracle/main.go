// Answers, one line of JSON for each line of JSON, what kustomize makes of a tree of files and what
// sigs.k8s.io/yaml makes of a text. One process answers any number of cases; nothing is read from the disk, but for trees with
// charts: Helm is a program that reads files.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/yaml"
)

type question struct {
	// Build these files at this root ...
	Files map[string]string `json:"files"`
	Root  string            `json:"root"`
	// ... in this order ("none", "legacy" or nothing), reading every file if Unrestricted.
	Reorder      string `json:"reorder"`
	Unrestricted bool   `json:"unrestricted"`
	// With charts, which this program renders.
	Helm string `json:"helm"`
	// Or read this text, with the "strict" or the "lenient" reader.
	YAML   *string `json:"yaml"`
	Reader string  `json:"reader"`
}

type answer struct {
	// What came out: YAML of a build, JSON of a text.
	Output *string `json:"output"`
	Error  *string `json:"error"`
}

func answerTo(line []byte) (reply answer) {
	// A panic of the oracle is a refusal: nothing was rendered.
	defer func() {
		if cause := recover(); cause != nil {
			reply = refused(fmt.Errorf("panic: %v", cause))
		}
	}()
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		log.Fatalf("a question cannot be read: %v", err)
	}
	var output []byte
	var err error
	if asked.YAML != nil {
		read := yaml.YAMLToJSONStrict
		if asked.Reader == "lenient" {
			read = yaml.YAMLToJSON
		}
		output, err = read([]byte(*asked.YAML))
	} else {
		output, err = build(asked)
	}
	if err != nil {
		return refused(err)
	}
	text := string(output)
	return answer{Output: &text}
}

func refused(err error) answer {
	text := err.Error()
	return answer{Error: &text}
}

// The last tree named a schema of its own.
var schemaNamed bool

func build(asked question) ([]byte, error) {
	// Schemas are kept by the process; one that a tree names must see none of an earlier tree, and must not be seen by a later one.
	namedBefore := schemaNamed
	schemaNamed = false
	for _, text := range asked.Files {
		schemaNamed = schemaNamed || strings.Contains(text, "openapi:")
	}
	if schemaNamed || namedBefore {
		openapi.ResetOpenAPI()
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	switch asked.Reorder {
	case "legacy":
		options.Reorder = krusty.ReorderOptionLegacy
	case "none":
		options.Reorder = krusty.ReorderOptionNone
	}
	if asked.Unrestricted {
		options.LoadRestrictions = types.LoadRestrictionsNone
	}
	if asked.Helm != "" {
		return withCharts(asked, options)
	}
	files := filesys.MakeFsInMemory()
	for path, text := range asked.Files {
		if err := files.WriteFile(path, []byte(text)); err != nil {
			return nil, err
		}
	}
	objects, err := krusty.MakeKustomizer(options).Run(files, asked.Root)
	if err != nil {
		return nil, err
	}
	return objects.AsYaml()
}

// What kustomize keeps for Helm.
var kept = regexp.MustCompile(`[^\s='"]*/kustomize-helm-[0-9]+`)

func withCharts(asked question, options *krusty.Options) ([]byte, error) {
	folder, err := os.MkdirTemp("", "charts-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	for path, text := range asked.Files {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	options.PluginConfig.HelmConfig.Enabled = true
	options.PluginConfig.HelmConfig.Command = asked.Helm
	objects, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(folder, asked.Root))
	if err != nil {
		text := strings.ReplaceAll(err.Error(), asked.Helm, "helm")
		return nil, errors.New(kept.ReplaceAllString(strings.ReplaceAll(text, folder, ""), ""))
	}
	return objects.AsYaml()
}

func main() {
	log.SetOutput(io.Discard)
	questions := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	for {
		line, err := questions.ReadBytes('\n')
		if len(line) > 0 {
			if encoder.Encode(answerTo(line)) != nil || answers.Flush() != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
