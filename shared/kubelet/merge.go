package kubelet

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Merged is what the kubelet makes of a pod's pull secrets: one docker
// configuration.
type Merged struct {
	// Auths are one for each pattern, in the order in which the kubelet tries
	// them.
	Auths []Candidate

	// Conflicts are what there is no place for.
	Conflicts []Conflict
}

// Conflict is a credential for what another one is for. The kubelet tries it
// after the other, and a docker configuration can hold but one.
type Conflict struct {
	// Kept comes first, and Lost after it. Same says that they are equal, so
	// that nothing is lost.
	Kept, Lost Candidate
	Same       bool

	// Chance says that the kubelet itself leaves it to chance which one comes
	// first.
	Chance bool
}

// MergeSecrets returns the one docker configuration that the pull secrets come
// to.
func (k *Keyring) MergeSecrets() Merged {
	var merged Merged
	for _, candidate := range k.secrets.where(func(string) bool { return true }) {
		if last := len(merged.Auths) - 1; last >= 0 && merged.Auths[last].Pattern == candidate.Pattern {
			kept := merged.Auths[last]
			merged.Conflicts = append(merged.Conflicts, Conflict{
				Kept: kept, Lost: candidate,
				Same:   kept.Username == candidate.Username && kept.Password.Reveal() == candidate.Password.Reveal(),
				Chance: kept.Chance && candidate.Chance && kept.Origin == candidate.Origin,
			})
			continue
		}
		merged.Auths = append(merged.Auths, candidate)
	}
	return merged
}

// ConfigJSON writes a docker configuration with the passwords in it.
func (m Merged) ConfigJSON() ([]byte, error) {
	auths := make([]Auth, 0, len(m.Auths))
	for _, candidate := range m.Auths {
		auths = append(auths, candidate.Auth)
	}
	return ConfigJSON(auths)
}

// ConfigJSON writes a docker configuration with the passwords in it, such as
// the data of a secret of type kubernetes.io/dockerconfigjson.
func ConfigJSON(auths []Auth) ([]byte, error) {
	type entry struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	}
	entries := make(map[string]entry, len(auths))
	for _, a := range auths {
		if strings.ContainsRune(a.Username, ':') {
			return nil, fmt.Errorf("user name with a colon for %.120q: a docker configuration cannot hold it", a.Key)
		}
		password := a.Password.Reveal()
		entries[a.Key] = entry{a.Username, password, base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + password))}
	}
	text, err := json.MarshalIndent(map[string]any{"auths": entries}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode a docker configuration: %w", err)
	}
	return append(text, '\n'), nil
}
