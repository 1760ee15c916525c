package settings_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	kjson "sigs.k8s.io/json"

	"regcred/shared/settings"
)

func TestToJSON(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"JSON":                     {`{"a": [1, "b", null, {"c": true}]}`, `{"a": [1, "b", null, {"c": true}]}`},
		"JSON with lines":          {"\n{\n\t\"a\": 1\n}\n", "\n{\n\t\"a\": 1\n}\n"},
		"JSON after a mark":        {"\ufeff{\"a\": 1}", `{"a": 1}`},
		"YAML":                     {"a: b # c\nd:\n- e: 'f'\n  g: \"h\\n\"\n- [1, {i: j}]\n", `{"a":"b","d":[{"e":"f","g":"h\n"},[1,{"i":"j"}]]}`},
		"YAML after a mark":        {"\ufeffa: b\n", `{"a":"b"}`},
		"YAML of Windows":          {"a: b\r\nc: d\r\n", `{"a":"b","c":"d"}`},
		"nearly JSON":              {"{\"a\": 1,\n# c\n}", `{"a":1}`},
		"values with colons":       {"a: https://x:443/y?z=#f\nb: C:\\k\nmirror.io:443: {m.io:443: r.io}\n", `{"a":"https://x:443/y?z=#f","b":"C:\\k","mirror.io:443":{"m.io:443":"r.io"}}`},
		"values with white space":  {"a: x\ty \nb: ' z'\n", `{"a":"x\ty","b":" z"}`},
		"blocks":                   {"a: |\n  x\n\n  y\nb: >-\n  x\n  y\n", `{"a":"x\n\ny\n","b":"x y"}`},
		"a marked start":           {"# c\n---\na: b\n", `{"a":"b"}`},
		"a marked end":             {"a: b\n...\n# c\n", `{"a":"b"}`},
		"a start of nothing":       {"a: b\n---\n# c\n", `{"a":"b"}`},
		"a version":                {"# c\n\n%YAML 1.2\n---\na: b\n", `{"a":"b"}`},
		"an older version":         {"%YAML 1.1\n---\na: b\n", `{"a":"b"}`},
		"what looks like one":      {"a: |\n  x\n  %YAML 1.2\n", `{"a":"x\n%YAML 1.2\n"}`},
		"numbers":                  {"a: 1\nb: -2.5\nc: 1e3\nd: 123456789012\n", `{"a":1,"b":-2.5,"c":1000,"d":123456789012}`},
		"numbers in quotes":        {"a: \"0123\"\nb: '1.10'\nc: !!str 0123\n", `{"a":"0123","b":"1.10","c":"0123"}`},
		"no numbers":               {"a: 10m\nb: 1.2.3\nc: 12345678-0000\nd: 1:30\ne: 2026-01-02\n", `{"a":"10m","b":"1.2.3","c":"12345678-0000","d":"1:30","e":"2026-01-02"}`},
		"booleans":                 {"a: true\nb: False\n", `{"a":true,"b":false}`},
		"no booleans any more":     {"a: yes\nb: off\nc: y\n", `{"a":"yes","b":"off","c":"y"}`},
		"nothing":                  {"a:\nb: ~\nc: null\nd: ''\n", `{"a":null,"b":null,"c":null,"d":""}`},
		"keys that are no strings": {"123456789012: a\ntrue: b\n", `{"123456789012":"a","true":"b"}`},
		"aliases":                  {"a: &x {b: c}\nd: [*x, *x]\n", `{"a":{"b":"c"},"d":[{"b":"c"},{"b":"c"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := settings.ToJSON([]byte(tc.text)); err != nil || string(got) != tc.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tc.want)
			}
		})
	}
}

func TestToJSONRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                   {"", "not a YAML or JSON object"},
		"a comment":                 {"# a: b\n", "not a YAML or JSON object"},
		"a list":                    {"- a\n", "not a YAML or JSON object"},
		"a JSON list":               {`["a"]`, "not a YAML or JSON object"},
		"a word":                    {"a\n", "not a YAML or JSON object"},
		"a second document":         {"a: b\n---\nc: d\n", "line 3, column 1: a second document"},
		"a second JSON object":      {"{\"a\": 1}\n{\"b\": 2}\n", "line 2, column 1: did not find expected <document start>"},
		"what follows the end":      {"a: b\n...\nc: d\n", "line 3, column 1: a second document"},
		"garbage after the end":     {"a: b\n...\n}\n", "line 3, column 1: did not find expected node content"},
		"JSON without its end":      {"{\n \"a\": {\n", "line 3, column 1: did not find expected node content"},
		"JSON without a comma":      {"{\n \"a\": 1\n \"b\": 2\n}", "line 3, column 5: did not find expected ',' or '}'"},
		"a list without its end":    {"a: [b,\nc: d\n", "line 3, column 1: did not find expected ',' or ']'"},
		"two values":                {"a: b\nc: d: e\n", "line 2, column 5: mapping values are not allowed in this context"},
		"a wrong indent":            {"a:\n  b: c\n d: e\n", "line 3, column 2: did not find expected key"},
		"a tab":                     {"a:\n\tb: c\n", "line 2, column 1: found character that cannot start any token"},
		"quotes without their end":  {"a: b\nc: \"d\n", "line 3, column 1: found unexpected end of stream"},
		"a key twice":               {"a: hunter2\nb: c\n\"a\": hunter2\n", "line 3, column 1: a key that was there already"},
		"a key twice, in a map":     {"x:\n  a: b\n  a: c\n", "line 3, column 3: a key that was there already"},
		"a key that is a list":      {"? [a]\n: b\n", "line 1, column 3: a key that is not a plain string"},
		"a key that is nothing":     {"~: b\n", "line 1, column 1: a key that is not a plain string"},
		"a merge key":               {"a: &x {b: c}\nd:\n  <<: *x\n", "line 3, column 3: a merge key: write the fields themselves"},
		"an alias of nothing":       {"a: *x\n", "line 1, column 4: unknown anchor 'x' referenced"},
		"an alias in itself":        {"a: &x [*x]\n", "line 1, column 8: an alias within what it stands for"},
		"aliases of aliases":        {"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\n", "line 1, column 10: more than 4 MiB of aliases"},
		"another type":              {"a: !!binary aGk=\n", "line 1, column 4: a tag that JSON has no type for"},
		"a wrong type":              {"a: !!int hunter2\n", "line 1, column 4: a value that does not fit its tag"},
		"infinity":                  {"a: .inf\n", "line 1, column 4: a number that JSON has not"},
		"another encoding":          {"a: \xff\n", "not YAML or JSON: invalid leading UTF-8 octet (value: 255)"},
		"a control character":       {"a: \x00\n", "not YAML or JSON: control characters are not allowed (value: 0)"},
		"a version of another kind": {"%YAML 2.0\n---\na: b\n", "line 1, column 1: found incompatible YAML document"},
		"endless brackets":          {"a: " + strings.Repeat("[", 1<<20), "line 1, column 10004: exceeded max depth of 10000"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := settings.ToJSON([]byte(tc.text)); err == nil || err.Error() != tc.want {
				t.Errorf("got %.80s, %v\nwant %s", got, err, tc.want)
			}
		})
	}
}

func TestFieldError(t *testing.T) {
	type document struct {
		Secret string            `json:"secret"`
		On     bool              `json:"on"`
		Life   settings.Duration `json:"life"`
		Number int               `json:"number"`
		List   []string          `json:"list"`
		Map    map[string]string `json:"map"`
		Nested struct {
			Login struct {
				Secret string `json:"secret"`
			} `json:"login"`
		} `json:"nested"`
		Logins []struct {
			Secret string `json:"secret"`
		} `json:"logins"`
	}
	for text, want := range map[string]string{
		"secret: 0123456789":              "secret: a number; want a string, in quotes",
		"secret: 1.10":                    "secret: a number; want a string, in quotes",
		"secret: true":                    "secret: true or false; want a string, in quotes",
		"secret: {a: b}":                  "secret: an object; want a string, in quotes",
		"secret: [a]":                     "secret: a list; want a string, in quotes",
		"on: yes":                         "on: a string; want true or false",
		"life: 600":                       `life: a number; want a duration, such as "10m"`,
		"number: a":                       "number: a string; want a number",
		"list: a":                         "list: a string; want a list",
		"map: a":                          "map: a string; want an object",
		"map: {a: 0123}":                  "map: a number; want a string, in quotes",
		"nested: {login: {secret: 0123}}": "nested.login.secret: a number; want a string, in quotes",
		"nested: a":                       "nested: a string; want an object",
		"logins: [{secret: 0123}]":        "logins.secret: a number; want a string, in quotes",
	} {
		data, err := settings.ToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, decode := range map[string]func([]byte, any) error{"encoding/json": json.Unmarshal, "sigs.k8s.io/json": kjson.UnmarshalCaseSensitivePreserveInts} {
			if err := settings.FieldError(decode(data, new(document))); err == nil || err.Error() != want {
				t.Errorf("%s, by %s:\n got %v\nwant %s", text, name, err, want)
			}
		}
	}
	other := json.Unmarshal([]byte("{"), new(document))
	if got := settings.FieldError(other); !errors.Is(got, other) || got.Error() != other.Error() {
		t.Errorf("got %v of %v", got, other)
	}
	if got := settings.FieldError(nil); got != nil {
		t.Errorf("got %v of no error", got)
	}
}

const example = `# What is pulled from where.
apiVersion: regcred/v1
kind: ExampleConfig
cacheDir: /run/regcred
maxKubeletCache: 10m
aliases:
  mirror.example.com: registry.example.com
  "other.example.com:443": registry.example.com
registries:
- host: registry.example.com
  username: puller
  passwordFile: /etc/kubernetes/password
`

func BenchmarkToJSON(b *testing.B) {
	asJSON, err := settings.ToJSON([]byte(example))
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string][]byte{"YAML": []byte(example), "JSON": asJSON} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := settings.ToJSON(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzToJSON(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("%YAML 1.2\n---\na: &x [1, {b: c}]\nd: *x\n...\n"))
	f.Add([]byte("{\"a\": 1,\n}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := settings.ToJSON(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 500 {
				t.Errorf("not a line: %q", err)
			}
			return
		}
		var object map[string]any
		if err := json.Unmarshal(got, &object); err != nil {
			t.Errorf("%q becomes %s: %v", text, got, err)
		}
	})
}
