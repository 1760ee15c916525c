package acr

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestArcChallenge(t *testing.T) {
	const directory = "/var/opt/azcmagent/tokens"
	for challenge, want := range map[string]string{
		"Basic realm=" + directory + "/a-1.key":                              "a-1.key",
		"basic Realm=" + directory + "/a.b.key":                              "a.b.key",
		`Basic realm="` + directory + `/a.key"`:                              "a.key",
		"":                                                                   "",
		"Basic":                                                              "",
		"Basic realm=":                                                       "",
		"Bearer realm=" + directory + "/a.key":                               "",
		"Basic scope=" + directory + "/a.key":                                "",
		"Basic realm=" + directory + "/.key":                                 "",
		"Basic realm=" + directory + "/a.pem":                                "",
		"Basic realm=" + directory + "/a.key.pem":                            "",
		"Basic realm=" + directory + "/a":                                    "",
		"Basic realm=" + directory:                                           "",
		"Basic realm=/etc/kubernetes/a.key":                                  "",
		"Basic realm=" + directory + "2/a.key":                               "",
		"Basic realm=" + directory + "/b/a.key":                              "",
		"Basic realm=" + directory + "/../a.key":                             "",
		"Basic realm=" + directory + "//a.key":                               "",
		`Basic realm=` + directory + `/..\a.key`:                             "",
		"Basic realm=" + directory + "/a\x00.key":                            "",
		"Basic realm=" + directory + "/a b.key":                              "",
		"Basic realm=tokens/a.key":                                           "",
		"Basic realm=" + directory + "/" + strings.Repeat("a", 252) + ".key": "",
	} {
		if got, err := parseArcChallenge(challenge, directory); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", challenge, got, err)
		}
	}
}

func TestArcKeys(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{"good.key": "secret", "full.key": strings.Repeat("x", maxArcKey), "large.key": strings.Repeat("x", maxArcKey+1), "empty.key": "", "lines.key": "a\r\nX-Evil: b"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o440); err != nil {
			t.Fatal(err)
		}
	}
	outside := write(t, "outside.key", "not for agents")
	if err := os.Symlink(outside, filepath.Join(directory, "link.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("good.key", filepath.Join(directory, "inner.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(directory, "directory.key"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"good.key": "", "full.key": "", "large.key": "not a key", "empty.key": "not a key", "lines.key": "not a key",
		"link.key": "not a regular file", "inner.key": "not a regular file", "directory.key": "not a regular file", "absent.key": "no such file",
	} {
		key, err := arcKey("Basic realm="+filepath.Join(directory, name), directory)
		if want == "" && (err != nil || key.Empty()) || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := arcKey("Basic realm=/absent/a.key", "/absent"); err == nil || !strings.Contains(err.Error(), "/absent: no such file") {
		t.Errorf("without a directory: %v", err)
	}
}

func TestArc(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "a.key"), []byte("the-key"), 0o440); err != nil {
		t.Fatal(err)
	}
	challenge := answer{401, "", http.Header{"Www-Authenticate": {"Basic realm=" + filepath.Join(directory, "a.key")}}}
	token := func(more string) answer {
		return answer{200, `{"access_token":"arc-token","expires_in":"3599","expires_on":"4000000000"` + more + `}`, nil}
	}
	user := selector{"client_id", client}
	for name, tc := range map[string]struct {
		selector selector
		answers  []answer
		want     string
	}{
		"the machine's":         {selector{}, []answer{challenge, token("")}, ""},
		"a user-assigned one":   {user, []answer{challenge, token(`,"client_id":"` + strings.ToUpper(client) + `"`)}, ""},
		"by object id":          {selector{"object_id", client}, []answer{challenge, token(`,"object_id":"` + client + `"`)}, ""},
		"by resource id":        {selector{"msi_res_id", "/subscriptions/S"}, []answer{challenge, token(`,"msi_res_id":"/subscriptions/s"`)}, ""},
		"an old agent's":        {user, []answer{challenge, token("")}, "does not say that the token is of this identity"},
		"somebody else's":       {user, []answer{challenge, token(`,"client_id":"` + client2 + `"`)}, "does not say that the token is of this identity"},
		"by another name":       {user, []answer{challenge, token(`,"object_id":"` + client + `"`)}, "does not say that the token is of this identity"},
		"a token without a key": {selector{}, []answer{token("")}, "the agent did not ask for a key: something else may answer in place of the Connected Machine agent (himds): check proxies and endpoints [arc at 127.0.0.1:40342; as "},
		"a key that is refused": {selector{}, []answer{challenge, {401, `{"error":"unauthorized","error_description":"no"}`, nil}}, "the Connected Machine agent (himds) refuses its key: the plugin has to run as root or in the group himds [arc at 127.0.0.1:40342: status 401 unauthorized: no; as the machine's managed identity for audience " + defaultAudience},
		"no challenge":          {selector{}, []answer{{401, "", nil}}, "the agent's challenge is not Basic realm=FILE"},
		"another file":          {selector{}, []answer{{401, "", http.Header{"Www-Authenticate": {"Basic realm=/etc/shadow"}}}}, "names no .key file in " + directory},
		"not assigned":          {user, []answer{{400, `{"error":"invalid_request","error_description":"Identity not found"}`, nil}}, "managed identity " + client + " is not assigned to this machine: assign it, or correct its id [arc at 127.0.0.1:40342: status 400 invalid_request: Identity not found; as managed identity " + client},
	} {
		t.Run(name, func(t *testing.T) {
			s := &cloudFake{t: t, answers: tc.answers}
			e := s.endpoints()
			e.arcDirectory = directory
			c, err := (&arcIdentity{selector: tc.selector, audience: defaultAudience, endpoints: e}).Fetch(t.Context(), nil)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "arc-token") {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil || c.Value.Reveal() != "arc-token" {
				t.Fatalf("got %+v, %v", c, err)
			}
			first, second := s.asked[0], s.asked[1]
			if first.URL.String() != second.URL.String() || !strings.HasPrefix(first.URL.String(), arcURL+"?api-version=2020-06-01&") || first.URL.Query().Get("resource") != defaultAudience ||
				first.Header.Get("Metadata") != "true" || first.Header.Get("Authorization") != "" || second.Header.Get("Authorization") != "Basic the-key" {
				t.Errorf("asked %s with %v, then %s with %v", first.URL, first.Header, second.URL, second.Header)
			}
		})
	}
}

func FuzzArcChallenge(f *testing.F) {
	f.Add("Basic realm=/var/opt/azcmagent/tokens/a.key")
	f.Add(`Basic realm="/var/opt/azcmagent/tokens/../a.key"`)
	f.Fuzz(func(t *testing.T, challenge string) {
		name, err := parseArcChallenge(challenge, "/var/opt/azcmagent/tokens")
		if err == nil && (filepath.Base(name) != name || !filepath.IsLocal(name) || !strings.HasSuffix(name, ".key")) {
			t.Errorf("%q: got %q", challenge, name)
		}
	})
}
