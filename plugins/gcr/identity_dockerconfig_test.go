package gcr

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
		bare    bool
		values  map[string]string
		image   string
		want    string
		wantErr string
	}{
		"in the attribute":          {values: map[string]string{"google-dockercfg": document}, want: "jane hunter2hunter2"},
		"nothing for an image":      {values: map[string]string{"google-dockercfg": document}, image: "quay.io/app"},
		"the more exact entry":      {values: map[string]string{"google-dockercfg": `{"*.example.com":{"username":"any","password":"x"},"reg.example.com/team":{"username":"team","password":"x"}}`}, image: "reg.example.com/team/app", want: "team x"},
		"not of the other team":     {values: map[string]string{"google-dockercfg": `{"reg.example.com/team":{"username":"team","password":"x"}}`}, image: "reg.example.com/team-b/app"},
		"white space in auth":       {values: map[string]string{"google-dockercfg": `{"reg.example.com":{"auth":"amFuZTpz ZWNyZXQ=\n"}}`}, want: "jane secret"},
		"a line's end in auth":      {values: map[string]string{"google-dockercfg": `{"reg.example.com":{"auth":"amFuZTpzZWNyZXQK"}}`}, want: "jane secret"},
		"a token instead":           {values: map[string]string{"google-dockercfg": `{"reg.example.com":{"identitytoken":"hunter2hunter2"}}`}, wantErr: `instance attribute google-dockercfg: entry "reg.example.com": a token instead of a user name and password`},
		"the server is none":        {bare: true, wantErr: "what answers at ADDRESS is not Google's metadata server, or does not say so: off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env; if it is, the instance has no attribute google-dockercfg ["},
		"an answer of another kind": {values: map[string]string{"google-dockercfg": `203 hunter2hunter2`}, wantErr: "the answer cannot be read [metadata at ADDRESS; as the node]"},
		"no attribute":              {wantErr: "the instance has no attribute google-dockercfg: set it, or leave out --authFlow [metadata at ADDRESS: status 404; as the node]"},
		"not a configuration":       {values: map[string]string{"google-dockercfg": "hunter2hunter2"}, wantErr: "instance attribute google-dockercfg: not a docker configuration: invalid JSON at byte 1"},
		"by URL, on this node":      {byURL: true, values: map[string]string{"google-dockercfg-url": elsewhere.URL + "/config\n"}, want: "jane hunter2hunter2"},
		"by URL, in the clear":      {byURL: true, values: map[string]string{"google-dockercfg-url": "http://192.0.2.1/config"}, wantErr: "instance attribute google-dockercfg-url: neither https nor on this node: an address of 192.0.2.1"},
		"by URL, of another kind":   {byURL: true, values: map[string]string{"google-dockercfg-url": "file://localhost/etc/shadow"}, wantErr: "neither https nor on this node"},
		"by what is no URL":         {byURL: true, values: map[string]string{"google-dockercfg-url": "config"}, wantErr: "instance attribute google-dockercfg-url: not a URL"},
		"by URL, without the attr":  {byURL: true, wantErr: "no attribute google-dockercfg-url"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMetadata{values: map[string]string{}, bare: tc.bare}
			for attribute, value := range tc.values {
				fake.values["instance/attributes/"+attribute] = value
			}
			if tc.image == "" {
				tc.image = "reg.example.com/app"
			}
			address := fake.serve(t)
			source := &dockerPassword{image: tc.image, document: &dockerConfig{server: server(t, googleCloud), byURL: tc.byURL}}
			c, err := source.Fetch(t.Context(), uncached{})
			switch {
			case tc.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(tc.wantErr, "ADDRESS", address)) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
			case err != nil || strings.TrimSpace(c.Username+" "+c.Password.Reveal()) != tc.want || c.IsAnonymous() != (tc.want == "") || c.Expires.IsZero():
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
}
