package replay

import (
	"encoding/json"

	"regcred/shared/kubelet"
)

// Response is an answer as a provider of an apiVersion writes it, with its
// passwords.
func Response(apiVersion string, r *kubelet.Response) ([]byte, error) {
	type auth struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	answer := struct {
		Kind          string          `json:"kind"`
		APIVersion    string          `json:"apiVersion"`
		CacheKeyType  string          `json:"cacheKeyType"`
		CacheDuration *string         `json:"cacheDuration,omitempty"`
		Auth          map[string]auth `json:"auth"`
	}{Kind: "CredentialProviderResponse", APIVersion: apiVersion, CacheKeyType: r.CacheKeyType, Auth: map[string]auth{}}
	if r.CacheDuration != nil {
		text := r.CacheDuration.String()
		answer.CacheDuration = &text
	}
	for _, a := range r.Auth {
		answer.Auth[a.Key] = auth{a.Username, a.Password.Reveal()}
	}
	text, err := json.Marshal(answer)
	return append(text, '\n'), err
}
