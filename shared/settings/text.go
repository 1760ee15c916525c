package settings

import "strings"

// IsFrom reports whether s is made of ASCII letters, digits and others: a
// beginning for whatever reads what an annotation says.
func IsFrom(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}
