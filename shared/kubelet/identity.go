package kubelet

import (
	"context"
	"fmt"
	"slices"

	"regcred/shared/credential"
)

// ServiceAccount is a pod's service account as the API server has it.
type ServiceAccount struct {
	Namespace, Name, UID string
	Annotations          map[string]string
}

// String returns namespace/name.
func (s ServiceAccount) String() string { return s.Namespace + "/" + s.Name }

// Pod is for whom an image is pulled. The zero Pod has no service account, as
// static pods have none.
type Pod struct {
	// ServiceAccount is nil for a pod without one.
	ServiceAccount *ServiceAccount

	// Token asks the API server for a token of the service account, bound to
	// the pod, for an audience. It is called for providers that want one.
	Token func(ctx context.Context, audience string) (credential.Secret, error)
}

// Audience is whom the provider wants service accounts' tokens to be for.
// Empty means that it wants none.
func (p *Provider) Audience() string {
	if p.TokenAttributes == nil {
		return ""
	}
	return p.TokenAttributes.ServiceAccountTokenAudience
}

// Audiences are whom tokens are for that the providers want, each once and in the
// order of the providers.
func (c *Config) Audiences() []string {
	var audiences []string
	for i := range c.Providers {
		if audience := c.Providers[i].Audience(); audience != "" && !slices.Contains(audiences, audience) {
			audiences = append(audiences, audience)
		}
	}
	return audiences
}

// Annotations returns what a provider is told of a pod's service account. If
// skip is not empty the kubelet does not run the provider for the pod, and does
// not call that an error; skip says why.
func (p *Provider) Annotations(account *ServiceAccount) (annotations map[string]string, skip string) {
	if p.Audience() == "" {
		return nil, ""
	}
	a := p.TokenAttributes
	if account == nil {
		if a.RequireServiceAccount != nil && *a.RequireServiceAccount {
			return nil, "it requires a service account (requireServiceAccount), and the pod has none"
		}
		return nil, ""
	}
	annotations = map[string]string{}
	for _, key := range a.RequiredServiceAccountAnnotationKeys {
		value, found := account.Annotations[key]
		if !found {
			return nil, fmt.Sprintf("it requires the annotation %.120q (requiredServiceAccountAnnotationKeys), and service account %s has none", key, account)
		}
		annotations[key] = value
	}
	for _, key := range a.OptionalServiceAccountAnnotationKeys {
		if value, found := account.Annotations[key]; found {
			annotations[key] = value
		}
	}
	return annotations, ""
}
