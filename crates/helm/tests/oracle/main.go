// Without arguments: answers questions with Helm's own engine, one JSON line in, one out. With arguments: the helm command.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	helmcmd "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
)

type question struct {
	// A chart's files, as [name, hex of content].
	Files [][2]string `json:"files"`
	// What is laid over its values, as a file of values.
	Values string `json:"values"`
	// Instead of files: a chart's folder or archive, to be rendered that many times.
	Chart string `json:"chart"`
	Times int    `json:"times"`
}

type answer struct {
	// What each template made, in hex, for it need not be UTF-8.
	Output map[string]string `json:"output,omitempty"`
	Error  *string           `json:"error,omitempty"`
	// What the command prints of a chart, and how long each rendering took in nanoseconds.
	Text  string  `json:"text,omitempty"`
	Spent []int64 `json:"spent,omitempty"`
}

func given(text string) (map[string]any, error) {
	return loader.LoadValues(strings.NewReader(text))
}

func ask(q question) (made map[string]string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	files := make([]*archive.BufferedFile, 0, len(q.Files))
	for _, pair := range q.Files {
		data, err := hex.DecodeString(pair[1])
		if err != nil {
			return nil, err
		}
		files = append(files, &archive.BufferedFile{Name: pair[0], Data: data})
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		return nil, err
	}
	values, err := given(q.Values)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: "rel", Namespace: "ns1", Revision: 1, IsInstall: true}
	values, err = util.ToRenderValues(loaded, values, release, common.DefaultCapabilities.Copy())
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, values)
}

// template does what `helm template rel CHART --namespace ns1 --values FILE` does, but for the process around it.
func template(chartPath, valuesText string) (string, error) {
	loaded, err := loader.Load(chartPath)
	if err != nil {
		return "", err
	}
	values, err := given(valuesText)
	if err != nil {
		return "", err
	}
	install := action.NewInstall(&action.Configuration{})
	install.DryRunStrategy = action.DryRunClient
	install.ReleaseName = "rel"
	install.Namespace = "ns1"
	install.Replace = true
	made, err := install.Run(loaded, values)
	if err != nil {
		return "", err
	}
	rel := made.(*release.Release)
	var text strings.Builder
	fmt.Fprintln(&text, strings.TrimSpace(rel.Manifest))
	for _, hook := range rel.Hooks {
		fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return text.String(), nil
}

func answered(q question) (a answer) {
	told := func(err error) {
		text := err.Error()
		a.Error = &text
	}
	if q.Chart != "" {
		for range q.Times {
			begun := time.Now()
			text, err := template(q.Chart, q.Values)
			if err != nil {
				told(err)
				return a
			}
			a.Spent = append(a.Spent, time.Since(begun).Nanoseconds())
			a.Text = text
		}
		return a
	}
	made, err := ask(q)
	if err != nil {
		told(err)
		return a
	}
	a.Output = map[string]string{}
	for name, text := range made {
		a.Output[name] = hex.EncodeToString([]byte(text))
	}
	return a
}

func command() {
	cmd, err := helmcmd.NewRootCmd(os.Stdout, os.Args[1:], helmcmd.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := cmd.Execute(); err != nil {
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) > 1 {
		command()
		return
	}
	questions := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := bufio.NewWriter(os.Stdout)
	for {
		line, err := questions.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked []question
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		all := make([]answer, 0, len(asked))
		for _, q := range asked {
			all = append(all, answered(q))
		}
		if err := json.NewEncoder(answers).Encode(all); err != nil {
			panic(err)
		}
		answers.Flush()
	}
}

