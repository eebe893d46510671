// Answers questions with Go's own text/template, and with Sprig's functions: one JSON line in, one out.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	"unicode"

	"github.com/Masterminds/sprig/v3"
)

type question struct {
	// Texts to parse, in this order, as [name, hex of text].
	Templates [][2]string `json:"templates"`
	// The one to execute.
	Name    string          `json:"name"`
	Data    json.RawMessage `json:"data"`
	Missing string          `json:"missing"`
	Delims  [2]string       `json:"delims"`
	Sprig   bool            `json:"sprig"`
	// A character's place: what Go says of the 256 from there on.
	Characters *int `json:"characters"`
	// The names of Sprig's functions.
	List bool `json:"list"`
}

type answer struct {
	// In hex, for neither need be UTF-8.
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
}

// A point is what the crate's tests call a host object.
type point struct {
	X, Y int
	Name string
	Any  any
}

func (p *point) Sum(more ...int) int {
	sum := p.X + p.Y
	for _, n := range more {
		sum += n
	}
	return sum
}

func (p *point) Greet(greeting string) (string, error) {
	if greeting == "" {
		return "", fmt.Errorf("no greeting")
	}
	return greeting + ", " + p.Name, nil
}

// A pointValue is one that has no address.
type pointValue point

func (p pointValue) Sum(more ...int) int {
	return (*point)(&p).Sum(more...)
}

func (p pointValue) Greet(greeting string) (string, error) {
	return (*point)(&p).Greet(greeting)
}

// value makes a value of {"kind": value}.
func value(raw json.RawMessage) any {
	var tagged map[string]json.RawMessage
	if err := json.Unmarshal(raw, &tagged); err != nil || len(tagged) > 1 {
		panic(fmt.Sprintf("no value: %s", raw))
	}
	for kind, raw := range tagged {
		return kinds[kind](raw)
	}
	return nil
}

var kinds map[string]func(json.RawMessage) any

func read[T any](raw json.RawMessage) any {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	return v
}

func init() {
	kinds = map[string]func(json.RawMessage) any{
		"bool": read[bool], "int": read[int], "int8": read[int8], "int16": read[int16], "int32": read[int32],
		"int64": read[int64], "uint": read[uint], "uint8": read[uint8], "uint16": read[uint16],
		"uint32": read[uint32], "uint64": read[uint64],
		"texts": read[[]string], "ints": read[[]int], "textmap": read[map[string]string],
		"float": func(raw json.RawMessage) any {
			f, err := strconv.ParseFloat(read[string](raw).(string), 64)
			if err != nil {
				panic(err)
			}
			return f
		},
		"float32": func(raw json.RawMessage) any { return float32(kinds["float"](raw).(float64)) },
		"text": func(raw json.RawMessage) any {
			b, err := hex.DecodeString(read[string](raw).(string))
			if err != nil {
				panic(err)
			}
			return string(b)
		},
		"bytes": func(raw json.RawMessage) any { return []byte(kinds["text"](raw).(string)) },
		"list": func(raw json.RawMessage) any {
			items := read[[]json.RawMessage](raw).([]json.RawMessage)
			list := make([]any, len(items))
			for i, item := range items {
				list[i] = value(item)
			}
			return list
		},
		"map": func(raw json.RawMessage) any {
			m := map[string]any{}
			for key, item := range read[map[string]json.RawMessage](raw).(map[string]json.RawMessage) {
				m[key] = value(item)
			}
			return m
		},
		"nillist": func(json.RawMessage) any { return []any(nil) },
		"nilmap":  func(json.RawMessage) any { return map[string]any(nil) },
		"point": func(raw json.RawMessage) any {
			p := read[point](raw).(point)
			return &p
		},
		"pointvalue": read[pointValue],
		"time":       func(raw json.RawMessage) any { return time.Unix(0, read[int64](raw).(int64)).UTC() },
		"function": func(raw json.RawMessage) any {
			return functions[read[string](raw).(string)]
		},
	}
}

// The functions that the crate's tests have too.
var functions = template.FuncMap{
	"add":     func(a, b int) int { return a + b },
	"join":    func(sep string, parts ...string) string { return fmt.Sprint(len(parts)) + sep + fmt.Sprint(parts) },
	"half":    func(f float64) float64 { return f / 2 },
	"invert":  func(b bool) bool { return !b },
	"size":    func(u uint64) uint64 { return u },
	"any":     func(v any) any { return v },
	"nothing": func() any { return nil },
	"set": func(m map[string]any, key string, v any) map[string]any {
		m[key] = v
		return m
	},
	"mklist": func(items ...any) []any { return items },
	"first":  func(items []any) any { return items[0] },
	"fail":   func(why string) (string, error) { return "", fmt.Errorf("failed: %s", why) },
}

func ask(q question) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	if q.Characters != nil {
		for r := rune(*q.Characters); r < rune(*q.Characters)+256; r++ {
			out = append(out, '0'+b(unicode.IsLetter(r))+2*b(unicode.IsDigit(r))+4*b(strconv.IsPrint(r)))
		}
		return out, nil
	}
	if q.List {
		names := []string{}
		for name := range sprig.TxtFuncMap() {
			names = append(names, name)
		}
		sort.Strings(names)
		return []byte(strings.Join(names, "\n")), nil
	}
	t := template.New("all").Funcs(functions)
	if q.Sprig {
		funcs := sprig.TxtFuncMap()
		delete(funcs, "env")
		delete(funcs, "expandenv")
		// As Helm has it where names are not to be looked up.
		funcs["getHostByName"] = func(string) string { return "" }
		t.Funcs(funcs)
		t.Funcs(judges)
	}
	if q.Missing != "" {
		t.Option("missingkey=" + q.Missing)
	}
	t.Delims(q.Delims[0], q.Delims[1])
	for _, pair := range q.Templates {
		text, err := hex.DecodeString(pair[1])
		if err != nil {
			panic(err)
		}
		if _, err := t.New(pair[0]).Parse(string(text)); err != nil {
			return nil, err
		}
	}
	var data any
	if q.Data != nil {
		data = value(q.Data)
	}
	var buffer bytes.Buffer
	err = t.ExecuteTemplate(&buffer, q.Name, data)
	return buffer.Bytes(), err
}

func b(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func main() {
	questions := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := bufio.NewWriter(os.Stdout)
	for {
		line, err := questions.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			panic(err)
		}
		out, err := ask(q)
		var a answer
		if err != nil {
			text := hex.EncodeToString([]byte(err.Error()))
			a.Error = &text
		} else {
			text := hex.EncodeToString(out)
			a.Output = &text
		}
		if err := json.NewEncoder(answers).Encode(a); err != nil {
			panic(err)
		}
		answers.Flush()
	}
}
