package acr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
)

// entraSource is where an access token of Entra's is from.
type entraSource interface {
	credential.Source
	who() who
}

// application is the token of an application, which asks Entra by itself.
type application struct {
	authority string
	tenant    string
	client    string
	audience  string
	caFile    string
	proof     proof
}

// proof is how an application shows that it is itself.
type proof interface {
	// key tells the proof from others of the application.
	key() []string
	// add adds the proof to the form that is posted to an endpoint.
	add(ctx context.Context, getter credential.Getter, form url.Values, endpoint string) error
	// describe completes who asks, for messages.
	describe(*who)
}

// Key says who asks whom for what, and how it is shown. Names of applications
// and tenants are the same in any case.
func (s *application) Key() credential.Key {
	return slices.Concat([]string{"acr", "entra", s.authority, strings.ToLower(s.tenant), strings.ToLower(s.client), s.audience}, s.proof.key())
}

// Fetch asks Entra once.
func (s *application) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	api, err := cloudhttp.API(s.caFile)
	if err != nil {
		return credential.Credential{}, s.who().explain(fileProblem(err))
	}
	return s.fetch(ctx, getter, api)
}

func (s *application) fetch(ctx context.Context, getter credential.Getter, client *http.Client) (credential.Credential, error) {
	endpoint := "https://" + s.authority + "/" + s.tenant + "/oauth2/v2.0/token"
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {s.client},
		"scope":      {s.audience + "/.default"},
	}
	if err := s.proof.add(ctx, getter, form, endpoint); err != nil {
		if failure, ok := errors.AsType[*credential.Failure](err); ok {
			return credential.Credential{}, failure
		}
		return credential.Credential{}, s.who().explain(fileProblem(err))
	}
	r := call{stage: stageEntra, url: endpoint, form: form}.do(ctx, client)
	return s.who().token(r)
}

func (s *application) who() who {
	w := who{name: "application " + s.client, tenant: s.tenant, audience: s.audience, client: s.client}
	s.proof.describe(&w)
	return w
}

// token reads the token that a service answered with, or explains why there is
// none.
func (w who) token(r reply) (credential.Credential, error) {
	if !r.ok() {
		return credential.Credential{}, w.explain(r.problem(nil))
	}
	var a entraAnswer
	err := r.decode(&a)
	var c credential.Credential
	if err == nil {
		c, err = a.credential(r.date())
	}
	if err != nil {
		return credential.Credential{}, w.explain(r.problem(err))
	}
	return c, nil
}

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

func (p secretProof) add(_ context.Context, _ credential.Getter, form url.Values, _ string) error {
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

// readSecret reads a secret of one line.
func readSecret(file string) (credential.Secret, error) {
	text, err := settings.ReadFile(file)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", file, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case secret == "":
		return credential.Secret{}, fmt.Errorf("%s: is empty", file)
	case strings.ContainsAny(secret, "\r\n\x00"):
		return credential.Secret{}, fmt.Errorf("%s: is more than one line", file)
	}
	return credential.NewSecret(secret), nil
}

// tokenFileProof is a Kubernetes token in a file.
type tokenFileProof struct{ file, federation string }

func (p tokenFileProof) key() []string { return []string{workload, p.file} }

func (p tokenFileProof) add(_ context.Context, _ credential.Getter, form url.Values, _ string) error {
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

// managedProof is the token of a managed identity. It is good for more than one
// application, and kept like any other.
type managedProof struct{ identity *managedIdentity }

func (p managedProof) key() []string { return append([]string{federatedManaged}, p.identity.Key()...) }

func (p managedProof) add(ctx context.Context, getter credential.Getter, form url.Values, _ string) error {
	token, err := getter.Get(ctx, p.identity)
	if err != nil {
		return err
	}
	addAssertion(form, token.Password.Reveal())
	return nil
}

func (p managedProof) describe(w *who) {
	w.name += " by " + p.identity.selector.String()
	w.federation = p.identity.audience
	w.managed = true
}

// podProof is the token of a pod's service account.
type podProof struct {
	pod        *serviceaccount.Token
	scope      serviceaccount.Scope
	federation string
}

func (p podProof) key() []string { return p.pod.Identity(p.scope) }

func (p podProof) add(_ context.Context, _ credential.Getter, form url.Values, _ string) error {
	addAssertion(form, p.pod.Reveal())
	return nil
}

func (p podProof) describe(w *who) {
	w.name = p.pod.String() + " as " + w.name
	w.pod, w.federation = p.pod, p.federation
}
