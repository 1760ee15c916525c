// Package quiet keeps Oracle's SDK from what its debug variables ask for:
// printing the node's private key, making a file in the working directory, and
// ending the process where it cannot. The kubelet's environment is also its
// plugins', and the SDK reads it while it is initialized, long before main.
//
// Packages are initialized in the order of their import paths as soon as those
// are that they import. This one imports nothing but os, so that it comes before
// the SDK, which waits for net/http, which waits for packages under vendor/. A
// test holds the binary to it.
package quiet

import "os"

var _ = []error{
	os.Unsetenv("OCI_GO_SDK_DEBUG"),
	os.Unsetenv("OCI_GO_SDK_LOG_OUTPUT_MODE"),
	os.Unsetenv("OCI_GO_SDK_LOG_FILE"),
	os.Unsetenv("OCI_GO_SDK_EC_CONFIG"),
}
