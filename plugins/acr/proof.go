package acr

import (
	"net/url"

	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// proof is how an application proves who it is: an ownProof or a managedProof.
type proof interface {
	// key tells the proof from others of the application.
	key() []string
	// describe completes who asks, for messages.
	describe(*who)
}

// ownProof is a proof that the plugin has, in files or in the request.
type ownProof interface {
	proof
	// add adds the proof to the form that is posted to an endpoint. Its errors
	// are of what is on the node.
	add(form url.Values, endpoint string) error
}

var _ = []ownProof{secretProof{}, certificateProof{}, tokenFileProof{}, podProof{}}

// addAssertion puts a token that vouches for the application into a form.
func addAssertion(form url.Values, token string) {
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", token)
}

// secretProof is a client secret, from a file of its own or azure.json.
type secretProof struct {
	file        string
	azureConfig string
	secret      credential.Secret
}

func (p secretProof) where() string {
	if p.file != "" {
		return p.file
	}
	return p.azureConfig
}

func (p secretProof) key() []string { return []string{clientSecret, p.where()} }

func (p secretProof) add(form url.Values, _ string) error {
	secret := p.secret
	if p.file != "" {
		var err error
		if secret, err = readSecret(p.file); err != nil {
			return err
		}
	}
	form.Set("client_secret", secret.Reveal())
	return nil
}

func (p secretProof) describe(w *who) {
	w.name += " with the secret in " + p.where()
	w.file = p.where()
}

// tokenFileProof is a Kubernetes token in a file.
type tokenFileProof struct{ file, federation string }

func (p tokenFileProof) key() []string { return []string{workload, p.file} }

func (p tokenFileProof) add(form url.Values, _ string) error {
	token, err := readSecret(p.file)
	if err != nil {
		return err
	}
	addAssertion(form, token.Reveal())
	return nil
}

func (p tokenFileProof) describe(w *who) {
	w.name += " with the token in " + p.file
	w.tokenFile = p.file
	w.federation = p.federation
}

// podProof is the token of a pod's service account.
type podProof struct {
	pod        *serviceaccount.Token
	scope      serviceaccount.Scope
	federation string
}

func (p podProof) key() []string { return p.pod.Identity(p.scope) }

func (p podProof) add(form url.Values, _ string) error {
	addAssertion(form, p.pod.Reveal())
	return nil
}

func (p podProof) describe(w *who) {
	w.name = p.pod.String() + " as " + w.name
	w.pod, w.federation = p.pod, p.federation
}

// managedProof is the token of a managed identity. It is good for more than one
// application, and kept like any other.
type managedProof struct{ identity *managedIdentity }

func (p managedProof) key() []string { return append([]string{federatedManaged}, p.identity.Key()...) }

func (p managedProof) describe(w *who) {
	w.name += " by " + p.identity.selector.String()
	w.federation = p.identity.audience
	w.vouched = true
}
