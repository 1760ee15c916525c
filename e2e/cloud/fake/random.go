package fake

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// Text encodes as many random bytes in the characters of a token.
func Text(size int) string { return base64.RawURLEncoding.EncodeToString(noise(size)) }

// Base64 encodes as many random bytes.
func Base64(size int) string { return base64.StdEncoding.EncodeToString(noise(size)) }

// GUID is a random identifier, RFC 9562.
func GUID() string {
	id := noise(16)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func noise(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails: see its documentation
	return content
}
