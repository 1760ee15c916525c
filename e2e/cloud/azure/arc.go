package azure

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	arcVersion = "2020-06-01"

	// ArcDirectory is where the agent of Azure Arc keeps its keys.
	ArcDirectory = "/var/opt/azcmagent/tokens"
)

// Arc is the agent of a machine outside of Azure. Who asks proves to be on the
// machine, with the right to read there: the agent answers the first call with
// the name of a file, and the second one shows what is in it. Its operations are
// GetChallenge and GetToken.
func (f *Fake) Arc() http.Handler {
	return f.Front(&cloud.Service{
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
	settings := f.Current().Arc
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		path, err := f.makeKey(settings)
		if err != nil {
			return err
		}
		x.Header().Set("WWW-Authenticate", "Basic realm="+path)
		x.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	key, ok := strings.CutPrefix(authorization, "Basic ")
	if !ok || !f.useKey(key) {
		return fake.RefuseForm(http.StatusUnauthorized, "unauthorized", "that is no key of the agent")
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
	return fake.AnswerJSON(x, fields)
}

// makeKey writes a key that is good for one call.
func (f *Fake) makeKey(settings ArcSettings) (path string, err error) {
	directory, extension, size := settings.Directory, settings.Extension, settings.KeySize
	if directory == "" {
		directory = ArcDirectory
	}
	if extension == "" {
		extension = ".key"
	}
	if size == 0 {
		size = 64
	}
	if err := os.MkdirAll(f.file(directory), 0o755); err != nil {
		return "", fmt.Errorf("azure: %w", err)
	}
	content := fake.Text(size)[:size]
	path = filepath.Join(directory, fake.GUID()+extension)
	if err := os.WriteFile(f.file(path), []byte(content), 0o440); err != nil {
		return "", fmt.Errorf("azure: %w", err)
	}
	f.keys.Add(content, path)
	return path, nil
}

// useKey reports whether a key is one that was made and takes it away.
func (f *Fake) useKey(content string) bool {
	path, ok := f.keys.Take(content)
	if ok {
		_ = os.Remove(f.file(path)) // a test may have taken its directory away
	}
	return ok
}
