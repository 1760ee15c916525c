package doctor

import "crypto/tls"

// unverified verifies nobody. The kubelet signs its certificate itself, nothing
// is sent to it, and what it answers is read as a hint.
func unverified() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // See above.
}
