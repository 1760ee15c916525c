package aws

import (
	"crypto/subtle"
	"net/http"
	"time"

	"regcred/e2e/cloud"
)

// ContainerCredentials is the endpoint that hands credentials to containers,
// as the agent of EKS Pod Identity does. Its one operation is GetCredentials.
func (f *Fake) ContainerCredentials() http.Handler {
	return f.Front(&cloud.Service{
		Name:      "container",
		Operation: func(*cloud.Request) string { return "GetCredentials" },
		Answer:    f.answerContainer,
		Refuse: func(refusal cloud.Refusal) (string, []byte) {
			return "text/plain", []byte(refusal.Message + "\n")
		},
	})
}

func (f *Fake) answerContainer(x *cloud.Exchange, r *cloud.Request) error {
	settings := f.Current().Container
	shown := r.Header.Get("Authorization")
	switch {
	case r.Method != http.MethodGet || r.URL.RequestURI() != "/v1/credentials":
		return cloud.Refusal{Status: http.StatusNotFound, Message: "404 page not found", Form: true}
	case shown == "":
		return cloud.Refusal{Status: http.StatusBadRequest, Message: "Service account token cannot be empty", Form: true}
	case subtle.ConstantTimeCompare([]byte(shown), []byte(settings.Authorization)) != 1:
		return cloud.Refusal{Status: http.StatusUnauthorized, Message: "Service account token cannot be verified"}
	}
	role, ok := f.identities.role(settings.Role)
	if !ok {
		return cloud.Refusal{Status: http.StatusNotFound, Message: "No association found"}
	}
	x.Summarize("%s", role.ARN)
	issued := f.openSession(role, "container", 6*time.Hour)
	x.Header().Set("Content-Type", "application/json")
	return answerIndented(x, map[string]string{
		"AccessKeyId":     issued.AccessKeyID,
		"SecretAccessKey": issued.SecretAccessKey,
		"Token":           issued.SessionToken,
		"AccountId":       issued.Principal.Account(),
		"Expiration":      issued.Expires.UTC().Format(time.RFC3339),
	})
}
