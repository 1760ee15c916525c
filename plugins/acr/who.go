package acr

import "regcred/shared/serviceaccount"

// who is whose token is asked for, for messages.
type who struct {
	name     string
	tenant   string
	audience string
	// client is the application's id.
	client string
	// pod is whose token vouches for the application, if a pod's does, and
	// federation the audience that such a token has to have.
	pod        *serviceaccount.Token
	federation string
	// file holds the secret or the certificate, and tokenFile a Kubernetes
	// token.
	file, tokenFile string
	// vouched says that a managed identity vouches for the application.
	vouched bool
	// selected says that the managed identity that is asked for is named.
	selected bool
	// repository is what may be pulled. Empty means all.
	repository string
}

// String names the identity.
func (w who) String() string {
	text := w.name
	if w.tenant != "" {
		text += " of tenant " + w.tenant
	}
	if w.audience != "" {
		text += " for audience " + w.audience
	}
	if w.repository != "" {
		text += " to pull " + w.repository
	}
	return text
}
