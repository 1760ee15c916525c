package dockerconfig_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"regcred/shared/dockerconfig"
)

func encode(login string) string { return base64.StdEncoding.EncodeToString([]byte(login)) }

// What can be logged in with, by what an entry holds.
func TestLogin(t *testing.T) {
	long := encode("jane:" + strings.Repeat("s", 100))
	for name, tc := range map[string]struct{ entry, want string }{
		"auth":                          {`{"auth":"` + encode("jane:secret") + `"}`, "jane secret"},
		"auth with a colon in password": {`{"auth":"` + encode("jane:sec:ret") + `"}`, "jane sec:ret"},
		"auth without padding":          {`{"auth":"` + strings.TrimRight(encode("jane:secrets"), "=") + `"}`, "jane secrets"},
		"auth with too much padding":    {`{"auth":"` + encode("jane:secret") + `=="}`, "jane secret"},
		"auth as echo | base64":         {`{"auth":"` + encode("jane:secret") + `\n"}`, "jane secret"},
		"auth as base64(1) folds it":    {`{"auth":"` + long[:76] + `\n` + long[76:] + `\n"}`, "jane " + strings.Repeat("s", 100)},
		"auth as Windows folds it":      {`{"auth":"` + long[:76] + `\r\n` + long[76:] + `\r\n"}`, "jane " + strings.Repeat("s", 100)},
		"auth as somebody pasted it":    {`{"auth":" ` + long[:50] + ` \t` + long[50:] + ` "}`, "jane " + strings.Repeat("s", 100)},
		"auth before fields":            {`{"auth":"` + encode("jane:secret") + `","username":"x","password":"y","email":"z"}`, "jane secret"},
		"fields":                        {`{"username":"jane","password":"secret"}`, "jane secret"},
		"fields in any case":            {`{"UserName":"jane","PASSWORD":"secret"}`, "jane secret"},
		"a password of white space":     {`{"username":"jane","password":"  "}`, "jane   "},
		"a password and a line's end":   {`{"auth":"` + encode("jane:secret\r\n") + `"}`, "jane secret"},
		"a password and zeros":          {`{"auth":"` + encode("jane:secret\x00\x00") + `"}`, "jane secret"},

		"nothing":                  {`{}`, "error: no user name and password"},
		"null":                     {`null`, "error: no user name and password"},
		"an email":                 {`{"email":"jane@example.com"}`, "error: no user name and password"},
		"a user name alone":        {`{"username":"jane"}`, "error: no user name and password"},
		"a password alone":         {`{"password":"secret"}`, "error: no user name and password"},
		"auth without a password":  {`{"auth":"` + encode("jane:") + `"}`, "error: no user name and password"},
		"auth with a line's end":   {`{"auth":"` + encode("jane:\n") + `"}`, "error: no user name and password"},
		"auth without a user name": {`{"auth":"` + encode(":secret") + `"}`, "error: no user name and password"},
		"auth without a colon":     {`{"auth":"` + encode("secret") + `"}`, "error: auth without a colon between user name and password in it"},
		"auth that is no base64":   {`{"auth":"secret%"}`, "error: auth not in base64"},
		"auth in another alphabet": {`{"auth":"` + strings.Replace(encode("jane:?>?>"), "/", "_", 1) + `"}`, "error: auth not in base64"},
		"an identity token":        {`{"identitytoken":"secret"}`, "error: a token instead of a user name and password"},
		"a registry token":         {`{"registrytoken":"secret"}`, "error: a token instead of a user name and password"},
		"az acr login":             {`{"auth":"` + encode("00000000-0000-0000-0000-000000000000:") + `","identitytoken":"secret"}`, "error: a token instead of a user name and password"},
		"a token beside a login":   {`{"auth":"` + encode("jane:secret") + `","identitytoken":"other"}`, "jane secret"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := dockerconfig.Parse([]byte(`{"auths":{"reg.example.com":` + tc.entry + `}}`))
			if err != nil || len(config.Entries) != 1 {
				t.Fatalf("got %+v, %v", config, err)
			}
			username, password, err := config.Entries[0].Login()
			got := username + " " + password.Reveal()
			if err != nil {
				got = "error: " + strings.TrimPrefix(err.Error(), `entry "reg.example.com": `)
				if strings.Contains(got, "secret%") {
					t.Errorf("%s is in an error", tc.entry)
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// What a later program may ask for stays to be seen, and is not printed.
func TestWhatTheKubeletPassesOverIsKept(t *testing.T) {
	config, err := dockerconfig.Parse([]byte(`{
		"auths": {"reg.example.com": {"identitytoken": "hunter2", "registrytoken": "hunter3"}},
		"credHelpers": {"123456789012.dkr.ecr.us-east-1.amazonaws.com": "ecr-login"},
		"credsStore": "desktop",
		"HttpHeaders": {"X-Meta": "hunter4"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	e := config.Entries[0]
	if e.IdentityToken.Reveal() != "hunter2" || e.RegistryToken.Reveal() != "hunter3" || config.CredsStore != "desktop" || len(config.CredHelpers) != 1 {
		t.Errorf("got %+v", config)
	}
	if text := fmt.Sprintf("%+v %#v", config, *config); strings.Contains(text, "hunter") {
		t.Errorf("a secret is in %s", text)
	}
}

func TestForms(t *testing.T) {
	const (
		entry = `{"reg.example.com":{"username":"jane","password":"secret"}}`
		none  = -1
	)
	for text, want := range map[string]struct{ either, json, cfg int }{
		entry:                              {1, 0, 1},
		`{"auths":` + entry + `}`:          {1, 1, 1},
		`{"AUTHS":` + entry + `}`:          {1, 1, 1},
		`{}`:                               {0, 0, 0},
		`{"auths":null}`:                   {0, 0, 1},
		`{"auths":{}}`:                     {0, 0, 1},
		`{"credsStore":"desktop"}`:         {0, 0, none},
		`{"credHelpers":{"gcr.io":"gcr"}}`: {0, 0, 1},
		// A repeated object is merged, as docker and the kubelet do.
		`{"auths":` + entry + `,"auths":{"other.example.com":{}}}`: {2, 2, 1},
		`{"auths":{"reg.example.com":"secret"}}`:                   {none, none, 1},
		`{"auths":[]}`:                                             {none, none, none},
		`{"HttpHeaders":7,"auths":{}}`:                             {none, none, none},
		"":                                                         {none, none, none},
		"null":                                                     {none, none, none},
		"[]":                                                       {none, none, none},
		`"secret"`:                                                 {none, none, none},
		"{":                                                        {none, none, none},
		entry + "x":                                                {none, none, none},
	} {
		for form, tc := range map[string]struct {
			parse func([]byte) (*dockerconfig.Config, error)
			want  int
		}{
			"either": {dockerconfig.Parse, want.either}, "config.json": {dockerconfig.ParseConfigJSON, want.json}, ".dockercfg": {dockerconfig.ParseDockercfg, want.cfg},
		} {
			got := none
			config, err := tc.parse([]byte(text))
			if err == nil {
				got = len(config.Entries)
			} else if !strings.HasPrefix(err.Error(), "not a docker configuration") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s as %s: %v", text, form, err)
			}
			if got != tc.want {
				t.Errorf("%s as %s: got %d entries, want %d", text, form, got, tc.want)
			}
		}
	}
	if _, err := dockerconfig.Parse([]byte(`{"auths": hunter2}`)); err == nil || err.Error() != "not a docker configuration: invalid JSON at byte 11" {
		t.Errorf("got %v", err)
	}
	// Editors show nothing of it.
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if _, err := dockerconfig.Parse([]byte(mark + "{}")); err == nil || err.Error() != "not a docker configuration: a byte order mark before the JSON, which has to be plain UTF-8" {
			t.Errorf("%q: got %v", mark, err)
		}
	}
}

// Which entries are for an image, and in which order, by the kubelet's rule and
// by whole parts.
func TestLookup(t *testing.T) {
	for name, tc := range map[string]struct {
		keys           []string
		image          string
		kubelet, whole []string // whole is as kubelet where it is nil
	}{
		"a host":                   {keys: []string{"reg.example.com"}, image: "reg.example.com/app", kubelet: []string{"reg.example.com"}},
		"another host":             {keys: []string{"reg.example.com"}, image: "evil.com/reg.example.com/app"},
		"a longer host":            {keys: []string{"reg.example.com"}, image: "reg.example.com.evil.com/app"},
		"a URL":                    {keys: []string{"https://reg.example.com", "http://other.example.com/"}, image: "reg.example.com/app", kubelet: []string{"https://reg.example.com"}},
		"a URL of API version 1":   {keys: []string{"https://reg.example.com/v1/"}, image: "reg.example.com/app", kubelet: []string{"https://reg.example.com/v1/"}},
		"a URL of API version 2":   {keys: []string{"http://reg.example.com/v2/"}, image: "reg.example.com/app", kubelet: []string{"http://reg.example.com/v2/"}},
		"without the last slash":   {keys: []string{"https://reg.example.com/v2"}, image: "reg.example.com/app", whole: []string{"https://reg.example.com/v2"}},
		"another scheme":           {keys: []string{"oci://reg.example.com"}, image: "reg.example.com/app"},
		"a slash at the end":       {keys: []string{"reg.example.com/"}, image: "reg.example.com/app", kubelet: []string{"reg.example.com/"}},
		"a port":                   {keys: []string{"reg.example.com:5000"}, image: "reg.example.com:5000/app", kubelet: []string{"reg.example.com:5000"}},
		"a port too many":          {keys: []string{"reg.example.com:5000"}, image: "reg.example.com/app"},
		"a port too few":           {keys: []string{"reg.example.com"}, image: "reg.example.com:443/app"},
		"a user and a query":       {keys: []string{"jane@reg.example.com?x=y#z"}, image: "reg.example.com/app", kubelet: []string{"jane@reg.example.com?x=y#z"}},
		"no URL at all":            {keys: []string{"reg.example.com:port", "%zz", "reg.example.com"}, image: "reg.example.com/app", kubelet: []string{"reg.example.com"}},
		"another case":             {keys: []string{"Reg.example.com"}, image: "reg.example.com/app", whole: []string{"Reg.example.com"}},
		"the same case":            {keys: []string{"Reg.example.com"}, image: "Reg.example.com/app", kubelet: []string{"Reg.example.com"}},
		"globs":                    {keys: []string{"*.example.com", "reg.*.com", "*"}, image: "reg.example.com/app", kubelet: []string{"reg.*.com", "*.example.com"}},
		"globs stay in their part": {keys: []string{"*.example.com"}, image: "a.reg.example.com/app"},
		"the more exact first":     {keys: []string{"*.example.com", "r*.example.com", "reg.example.com"}, image: "reg.example.com/app", kubelet: []string{"reg.example.com", "r*.example.com", "*.example.com"}},
		"the longer first":         {keys: []string{"reg.example.com", "reg.example.com/team", "reg.example.com/team/app"}, image: "reg.example.com/team/app", kubelet: []string{"reg.example.com/team/app", "reg.example.com/team", "reg.example.com"}},
		"a part of a path": {
			keys: []string{"reg.example.com/team"}, image: "reg.example.com/team-b/app",
			kubelet: []string{"reg.example.com/team"}, whole: []string{},
		},
		"a path and a slash":  {keys: []string{"reg.example.com/team/"}, image: "reg.example.com/team/app", kubelet: []string{"reg.example.com/team/"}},
		"a path of a version": {keys: []string{"reg.example.com/v1/team"}, image: "reg.example.com/team/app", kubelet: []string{"reg.example.com/v1/team"}},
		"one host twice":      {keys: []string{"reg.example.com", "https://reg.example.com"}, image: "reg.example.com/app", kubelet: []string{"https://reg.example.com", "reg.example.com"}},

		"Docker Hub":                  {keys: []string{"https://index.docker.io/v1/"}, image: "docker.io/library/nginx", kubelet: []string{"https://index.docker.io/v1/"}},
		"Docker Hub without a host":   {keys: []string{"index.docker.io"}, image: "nginx", kubelet: []string{"index.docker.io"}},
		"Docker Hub, by its own name": {keys: []string{"docker.io"}, image: "docker.io/library/nginx", kubelet: []string{"docker.io"}},
		"Docker Hub, if nothing else": {keys: []string{"https://index.docker.io/v1/", "docker.io/library"}, image: "docker.io/library/nginx", kubelet: []string{"docker.io/library"}},
		"Docker Hub, badly written":   {keys: []string{"https://index.docker.io/v1"}, image: "docker.io/library/nginx", whole: []string{"https://index.docker.io/v1"}},
		"what passes for Docker Hub":  {keys: []string{"https://index.docker.io/v1/"}, image: "localhost/app", kubelet: []string{"https://index.docker.io/v1/"}},
		"what does not":               {keys: []string{"https://index.docker.io/v1/"}, image: "localhost:5000/app"},
	} {
		t.Run(name, func(t *testing.T) {
			var entries []string
			for _, key := range tc.keys {
				entries = append(entries, fmt.Sprintf(`%q:{"username":"jane","password":"secret"}`, key))
			}
			config, err := dockerconfig.ParseDockercfg([]byte("{" + strings.Join(entries, ",") + "}"))
			if err != nil {
				t.Fatal(err)
			}
			if tc.whole == nil {
				tc.whole = tc.kubelet
			}
			for rule, want := range map[dockerconfig.Rule][]string{dockerconfig.Kubelet: tc.kubelet, dockerconfig.Whole: tc.whole} {
				got := []string{}
				for _, e := range config.Lookup(tc.image, rule) {
					got = append(got, e.Key)
				}
				if !slices.Equal(got, want) {
					t.Errorf("rule %d: got %q, want %q", rule, got, want)
				}
			}
		})
	}
}

// Helpers are looked up as entries are, each by itself.
func TestLookupHelpers(t *testing.T) {
	config, err := dockerconfig.Parse([]byte(`{"auths": {"reg.example.com": {}}, "credHelpers": {
		"reg.example.com": "host", "reg.example.com/team": "team", "*.example.com": "glob", "https://index.docker.io/v1/": "hub", "%zz": "none", "two.example.org": ""
	}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"reg.example.com/team/app": {"team", "host", "glob"},
		"reg.example.com/other":    {"host", "glob"},
		"two.example.com/app":      {"glob"},
		"two.example.org/app":      {""},
		"docker.io/library/nginx":  {"hub"},
		"reg.example.net/app":      nil,
	} {
		var got []string
		for _, h := range config.LookupHelpers(name, dockerconfig.Kubelet) {
			got = append(got, h.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if all := config.Helpers(); len(all) != 5 || all[0].Key != "two.example.org" || all[4].Pattern != "*.example.com" {
		t.Errorf("got %+v", all)
	}
}

// FuzzParse holds that no text is half a login, and that what an entry was
// written for can be written again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"auths":{"https://gcr.io/v1/":{"auth":"amFuZTpzZWNyZXQ="}},"credsStore":"desktop"}`,
		`{"*.gcr.io/a":{"username":"u","password":"p"},"b":{"auth":"%"}}`,
		`{"auths":{"a":{"identitytoken":"t"},"a":null}}`, "null", "[]", "{",
	} {
		f.Add(text, "gcr.io/a/b")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		config, err := dockerconfig.Parse([]byte(text))
		if err != nil {
			if config != nil || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("got %+v, %q", config, err)
			}
			return
		}
		if !slices.IsSortedFunc(config.Entries, func(a, b dockerconfig.Entry) int { return strings.Compare(b.Pattern, a.Pattern) }) {
			t.Error("out of order")
		}
		for _, e := range config.Entries {
			username, password, err := e.Login()
			if (err == nil) == (username == "" || password.Empty()) {
				t.Errorf("half a login: %q, %v", username, err)
			}
		}
		for _, rule := range []dockerconfig.Rule{dockerconfig.Kubelet, dockerconfig.Whole} {
			for _, e := range config.Lookup(name, rule) {
				if !slices.ContainsFunc(config.Entries, func(own dockerconfig.Entry) bool { return own.Key == e.Key }) {
					t.Errorf("%q is not in the configuration", e.Key)
				}
			}
		}
	})
}
