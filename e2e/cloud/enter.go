package cloud

import (
	"errors"
	"os"
)

// ErrUnsupported says that this machine, or this user on it, cannot have the
// namespaces that a Cloud needs. Tests skip on it.
var ErrUnsupported = errors.New("cloud: no namespace")

const (
	// marker tells a re-executed program that it was started inside. Its
	// value names the mount namespace it was started from, so that a marker
	// that leaked into some other environment cannot make a program mount
	// over the machine's own files.
	marker = "REGCRED_CLOUD_OUTSIDE"

	// runPath is emptied for the namespace: plugins keep their caches there.
	runPath = "/run"
	// agentsPath is emptied for the namespace: clouds' agents keep there what
	// proves that a program is on the machine.
	agentsPath = "/var/opt"
	// OwnDir holds the files that are bound over the machine's, and those that
	// WriteFile puts there.
	OwnDir = runPath + "/cloud"
	// hostsPath is bound over the file of static names.
	hostsPath = OwnDir + "/hosts"
	// resolverPath is bound over the resolver's configuration.
	resolverPath = OwnDir + "/resolv.conf"
	// trustPath is emptied for the namespace but for the bundle, since Go
	// trusts every certificate it finds in the directory.
	trustPath  = "/etc/ssl/certs"
	bundlePath = trustPath + "/ca-certificates.crt"
)

// entered reports whether Enter has prepared the namespace this program is in.
func entered() bool {
	_, err := os.Stat(hostsPath)
	return err == nil
}
