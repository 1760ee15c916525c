package azure

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"regcred/e2e/cloud"
)

const (
	arcVersion = "2020-06-01"

	// ArcFolder is where the agent of Azure Arc keeps its keys.
	ArcFolder = "/var/opt/azcmagent/tokens"
)

// Arc is the agent of a machine outside of Azure. Who asks proves to be on the
// machine, with the right to read there: the agent answers the first call with
// the name of a file, and the second one shows what is in it. Its operations are
// GetChallenge and GetToken.
func (f *Fake) Arc() http.Handler {
	return f.service(&cloud.Service{
		Name: "arc",
		Operation: func(r *cloud.Request) string {
			if r.Header.Get("Authorization") == "" {
				return "GetChallenge"
			}
			return "GetToken"
		},
		Answer: f.answerArc,
		Refuse: wordEntra,
	})
}

func (f *Fake) answerArc(x *cloud.Exchange, r *cloud.Request) error {
	asked, err := f.parseMachineQuery(r, arcVersion)
	if err != nil {
		return err
	}
	settings := f.current().Arc
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		path, err := f.keys.make(settings)
		if err != nil {
			return err
		}
		x.Header().Set("WWW-Authenticate", "Basic realm="+path)
		x.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	key, ok := strings.CutPrefix(authorization, "Basic ")
	if !ok || !f.keys.use(key) {
		return refuseForm(http.StatusUnauthorized, "unauthorized", "that is no key of the agent")
	}
	if settings.OldAgent {
		asked.name, asked.value = "", ""
	}
	identity, assigned, err := settings.find(asked)
	x.Summarize("%s %s for %s", asked.name, asked.value, asked.resource)
	if err != nil {
		return err
	}
	issued := f.instanceToken("arc", settings.InstanceSettings, identity, assigned, asked.resource)
	fields := f.machineFields(issued, asked.resource)
	if asked.name != "" {
		fields[asked.name] = asked.value
	}
	return answerJSON(x, fields)
}

// arcKeys are the files that the agent waits to be shown, by content.
type arcKeys struct {
	mu       sync.Mutex
	contents map[string]string // paths by content
}

// make writes a key that is good for one call.
func (k *arcKeys) make(settings ArcSettings) (path string, err error) {
	folder, extension, size := settings.Folder, settings.Extension, settings.KeySize
	if folder == "" {
		folder = ArcFolder
	}
	if extension == "" {
		extension = ".key"
	}
	if size == 0 {
		size = 64
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("azure: %w", err)
	}
	content := randomText(size)[:size]
	path = filepath.Join(folder, newGUID()+extension)
	if err := os.WriteFile(path, []byte(content), 0o440); err != nil {
		return "", fmt.Errorf("azure: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.contents[content] = path
	return path, nil
}

// use reports whether a key is one that was made and takes it away.
func (k *arcKeys) use(content string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	path, ok := k.contents[content]
	if ok {
		delete(k.contents, content)
		_ = os.Remove(path) // a test may have taken its folder away
	}
	return ok
}
