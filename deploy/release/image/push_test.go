package image

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"regcred/deploy/release/tree"
)

// lay makes the layout of a release whose one plugin has a content.
func lay(t *testing.T, content string) string {
	t.Helper()
	binaries := t.TempDir()
	if err := os.WriteFile(filepath.Join(binaries, "a-credential-provider"), []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	var platforms []Platform
	for _, arch := range []string{"amd64", "s390x"} {
		platforms = append(platforms, Platform{Arch: arch, Dir: binaries, Names: []string{"a-credential-provider"}})
	}
	index, err := Plain(tree.Stage{Dir: t.TempDir()}, Release{Version: "v1.2.3", Time: time.Unix(1700000000, 0)}, platforms)
	if err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(directory, "v1.2.3", index); err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/team/regcred"
	first := lay(t, "first")

	pushed, err := Push(t.Context(), repository, first, false)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, each := range pushed {
		names = append(names, strings.TrimPrefix(each.Name, repository))
		tag, err := name.NewTag(each.Name)
		if err != nil {
			t.Fatal(err)
		}
		there, err := remote.Get(tag)
		if err != nil || there.Digest != each.Digest {
			t.Errorf("%s: got %v, %v; want %s", each.Name, there, err, each.Digest)
		}
	}
	if want := []string{"-amd64:v1.2.3", "-s390x:v1.2.3", ":v1.2.3"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}

	if again, err := Push(t.Context(), repository, first, false); err != nil || !slices.Equal(again, pushed) {
		t.Errorf("again: got %v, %v; want the same", again, err)
	}
	second := lay(t, "second")
	if _, err := Push(t.Context(), repository, second, false); err == nil || !strings.Contains(err.Error(), "-amd64:v1.2.3: it is there already, as "+pushed[0].Digest.String()) {
		t.Errorf("something else under the same tag: %v", err)
	}
	replaced, err := Push(t.Context(), repository, second, true)
	if err != nil || replaced[2].Digest == pushed[2].Digest {
		t.Errorf("by force: got %v, %v", replaced, err)
	}
}

func TestPushFails(t *testing.T) {
	server := httptest.NewServer(registry.New())
	server.Close()
	gone := strings.TrimPrefix(server.URL, "http://") + "/regcred"
	good := lay(t, "content")
	for what, tc := range map[string]struct{ repository, layout string }{
		"no registry":             {gone, good},
		"no layout":               {"localhost/regcred", t.TempDir()},
		"not a repository's name": {"localhost/RegCred", good},
		"a tag":                   {"localhost/regcred:v1", good},
	} {
		if pushed, err := Push(t.Context(), tc.repository, tc.layout, false); err == nil || len(pushed) > 0 {
			t.Errorf("%s: got %v, %v", what, pushed, err)
		}
	}
}

// The login is the one that docker has for the registry.
func TestPushLogsIn(t *testing.T) {
	inside := registry.New()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "releaser" || password != "of the team" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inside.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	layout := lay(t, "content")
	configuration := t.TempDir()
	t.Setenv("DOCKER_CONFIG", configuration)
	if _, err := Push(t.Context(), host+"/regcred", layout, false); err == nil {
		t.Error("pushed without a login")
	}
	login := base64.StdEncoding.EncodeToString([]byte("releaser:of the team"))
	if err := os.WriteFile(filepath.Join(configuration, "config.json"), []byte(`{"auths":{"`+host+`":{"auth":"`+login+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), host+"/regcred", layout, false); err != nil {
		t.Error(err)
	}
}

// What the layout is called and when it was made has no part in the digest.
func TestTheSameFilesAreTheSameImage(t *testing.T) {
	digest := func(content string) string {
		index, _, err := ReadLayout(lay(t, content))
		if err != nil {
			t.Fatal(err)
		}
		hash, err := index.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return hash.String()
	}
	if one, other := digest("a"), digest("a"); one != other {
		t.Errorf("%s and %s of the same on %s", one, other, runtime.GOARCH)
	}
	if one, other := digest("a"), digest("b"); one == other {
		t.Error("the content has no part in the digest")
	}
}
