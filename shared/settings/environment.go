package settings

import (
	"crypto/sha256"
	"encoding/hex"
)

// Environment returns those of the variables that are set, as NAME=HASH: parts
// of a cache key, so that a changed environment is not answered from the old
// one's entry. Values are hashed, since some are secrets and any may hold one.
func Environment(getenv func(string) string, names ...string) []string {
	var set []string
	for _, name := range names {
		if value := getenv(name); value != "" {
			sum := sha256.Sum256([]byte(value))
			set = append(set, name+"="+hex.EncodeToString(sum[:16]))
		}
	}
	return set
}
