package acr

import (
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
)

const (
	// metadataURL is where an Azure virtual machine gets tokens.
	metadataURL = "http://169.254.169.254/metadata/identity/oauth2/token"

	// arcURL is where a machine that Azure Arc manages gets tokens: from an
	// agent that listens on the machine alone.
	arcURL = "http://127.0.0.1:40342/metadata/identity/oauth2/token"
)

// endpoints are the services of Azure, and the way to them.
type endpoints struct {
	clients *cloudhttp.Clients

	// arcDirectory is where the agent of Azure Arc keeps the keys that it has
	// read to it.
	arcDirectory string
}

func newEndpoints(caFile string, getenv func(string) string) *endpoints {
	return &endpoints{
		clients: cloudhttp.New(cloudhttp.Options{CAFile: caFile, Getenv: getenv, Patience: patience}),

		arcDirectory: arcDirectory(getenv),
	}
}

// patience is what Microsoft documents of the metadata service: the waits, but
// for the last one of 30 s, which would be past the kubelet's minute; and that
// 404 and 410 pass, in which it is being updated.
var patience = cloudhttp.Patience{
	Waits: []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second},
	Again: func(r cloudhttp.Reply) bool { return isUpdate(r) && isAzure(r) },
}

// isUpdate reports whether the service itself is not there, and not what it was
// asked for.
func isUpdate(r cloudhttp.Reply) bool {
	return (r.Status == http.StatusNotFound || r.Status == http.StatusGone) && !isUnassigned(readSaid(r))
}

// isAzure reports by its form whether a refusal is of Azure's metadata service:
// it says what is wrong as OAuth does, and names itself in a header. Those of
// other clouds, which are at the same address, do neither. What it says while it
// is being updated is not documented: others are never gone, and have a text
// with what they do not find.
func isAzure(r cloudhttp.Reply) bool {
	_, ok := r.OAuthError()
	return ok || strings.HasPrefix(r.Header.Get("Server"), "IMDS/") ||
		r.Status == http.StatusGone || r.Status == http.StatusNotFound && len(r.Body) == 0
}

// arcDirectory is where the agent keeps its keys.
func arcDirectory(getenv func(string) string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(getenv("ProgramData"), "AzureConnectedMachineAgent", "Tokens")
	}
	return "/var/opt/azcmagent/tokens"
}
