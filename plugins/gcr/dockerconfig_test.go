package gcr

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// "amFuZTpzZWNyZXQ6MQ==" is jane:secret:1.
func TestLookUp(t *testing.T) {
	const document = `{
		"https://reg.example.com": {"auth": "amFuZTpzZWNyZXQ6MQ==", "username": "x", "password": "y", "email": "z"},
		"http://unpadded.example.com/v2/": {"auth": "amFuZTpzZWNyZXQ6MQ"},
		"plain.example.com:5000": {"username": "plain", "password": "secret"},
		"*.wild.example.com": {"username": "wild", "password": "secret"},
		"a.wild.example.com": {"username": "exact", "password": "secret"},
		"parts.example.com": {"username": "whole", "password": "secret"},
		"parts.example.com/team": {"username": "team", "password": "secret"},
		"https://index.docker.io/v1/": {"username": "hub", "password": "secret"},
		"US-docker.pkg.dev": {"username": "upper", "password": "secret"},
		"empty.example.com": {},
		"half.example.com": {"username": "half"},
		"broken.example.com": {"auth": "%"},
		"colon.example.com": {"auth": "amFuZQ=="}
	}`
	for form, text := range map[string]string{"dockercfg": document, "config.json": `{"auths":` + document + `,"credsStore":"desktop"}`} {
		config, err := parseDockerConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"reg.example.com/app":             "jane secret:1",
			"unpadded.example.com/app":        "jane secret:1",
			"plain.example.com:5000/app":      "plain secret",
			"plain.example.com/app":           "",
			"b.wild.example.com/app":          "wild secret",
			"a.wild.example.com/app":          "exact secret",
			"a.b.wild.example.com/app":        "",
			"parts.example.com/other/app":     "whole secret",
			"parts.example.com/team/app":      "team secret",
			"parts.example.com/team":          "team secret",
			"parts.example.com/team-b/app":    "whole secret",
			"docker.io/library/nginx":         "hub secret",
			"us-docker.pkg.dev/p/r/app":       "upper secret",
			"reg.example.com.evil.com/app":    "",
			"evil.com/reg.example.com/app":    "",
			"auths/app":                       "",
			"empty.example.com/app":           "error: holds no user name and password",
			"half.example.com/app":            "error: holds no user name and password",
			"colon.example.com/app":           "error: holds no user name and password",
			"broken.example.com/app":          "error: auth is not base64",
			"broken.example.com.evil.com/app": "",
		} {
			c, err := config.lookUp(name)
			got := strings.TrimSpace(c.Username + " " + c.Password.Reveal())
			if problem, wanted := strings.CutPrefix(want, "error: "); wanted {
				if err == nil || !strings.HasSuffix(err.Error(), problem) {
					t.Errorf("%s: %s: got %s, %v", form, name, got, err)
				}
			} else if err != nil || got != want {
				t.Errorf("%s: %s: got %q, %v; want %q", form, name, got, err, want)
			}
		}
	}
	for _, text := range []string{"", "null", "[]", `"x"`, "{", `{"a":"b"}`} {
		if got, err := parseDockerConfig([]byte(text)); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestDockerPassword(t *testing.T) {
	const document = `{"https://reg.example.com":{"username":"jane","password":"hunter2hunter2"}}`
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(flavorHeader) != "" {
			t.Error("the document's server is asked like a metadata server")
		}
		_, _ = w.Write([]byte(document))
	}))
	defer elsewhere.Close()

	for name, tc := range map[string]struct {
		byURL   bool
		values  map[string]string
		image   string
		want    string
		wantErr string
	}{
		"in the attribute":         {values: map[string]string{"google-dockercfg": document}, want: "jane"},
		"nothing for an image":     {values: map[string]string{"google-dockercfg": document}, image: "quay.io/app"},
		"no attribute":             {wantErr: "the instance has no attribute google-dockercfg: set it, or leave out --authFlow"},
		"not a configuration":      {values: map[string]string{"google-dockercfg": "hunter2hunter2"}, wantErr: "google-dockercfg: is not a docker configuration"},
		"by URL, on this node":     {byURL: true, values: map[string]string{"google-dockercfg-url": elsewhere.URL + "/config\n"}, want: "jane"},
		"by URL, in the clear":     {byURL: true, values: map[string]string{"google-dockercfg-url": "http://192.0.2.1/config"}, wantErr: `google-dockercfg-url: is an address of "192.0.2.1" that is not https`},
		"by URL, of another kind":  {byURL: true, values: map[string]string{"google-dockercfg-url": "file://localhost/etc/shadow"}, wantErr: "not https"},
		"by what is no URL":        {byURL: true, values: map[string]string{"google-dockercfg-url": "config"}, wantErr: "google-dockercfg-url: is not a URL"},
		"by URL, without the attr": {byURL: true, wantErr: "no attribute google-dockercfg-url"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMetadata{values: map[string]string{}}
			for attribute, value := range tc.values {
				fake.values["instance/attributes/"+attribute] = value
			}
			if tc.image == "" {
				tc.image = "reg.example.com/app"
			}
			source := &dockerPassword{image: tc.image, document: &dockerConfig{server: fake.serve(t), byURL: tc.byURL}}
			c, err := source.Fetch(t.Context(), uncached{})
			switch {
			case tc.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
			case err != nil || c.Username != tc.want || c.IsAnonymous() != (tc.want == "") || c.Expires.IsZero():
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
}

func FuzzDockerConfig(f *testing.F) {
	f.Add(`{"auths":{"https://gcr.io/v1/":{"auth":"amFuZTpzZWNyZXQ="}}}`, "gcr.io/p/app")
	f.Add(`{"*.gcr.io/a":{"username":"u","password":"p"}}`, "us.gcr.io/a/b")
	f.Fuzz(func(t *testing.T, text, name string) {
		config, err := parseDockerConfig([]byte(text))
		if err != nil {
			return
		}
		if c, err := config.lookUp(name); err == nil && (c.Username == "") != c.Password.Empty() {
			t.Errorf("half a credential: %+v", c)
		}
	})
}
