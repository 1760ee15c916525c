package image

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// authorities is the certificate authorities that Mozilla trusts, as PEM. They
// come from a Go module, whose version and hash the release's go.mod and go.sum
// have, and not from the machine that builds, where they are whatever was
// installed. Those that are trusted with a restriction are left out: PEM cannot
// say it.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // to memory
	}
	return all.Bytes()
}
