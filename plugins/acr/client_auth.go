package acr

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/serviceaccount"
)

// clientAuth is how an application proves to Entra who it is: an ownAuth or a
// managedAuth.
type clientAuth interface {
	// key tells it from others of the application.
	key() []string

	// as says in messages how an application proves itself so.
	as(application string) string

	// diagnose says what a code of Entra's means where that is about how the
	// application proves itself.
	diagnose(code, client string) (cloudhttp.Diagnosis, bool)
}

// ownAuth is a clientAuth that is at hand, in files or in the request.
type ownAuth interface {
	clientAuth
	// add adds it to the form that is posted to an endpoint.
	add(form url.Values, endpoint string) *credential.Failure
}

var _ = []ownAuth{secretAuth{}, certificateAuth{}, tokenFileAuth{}, podAuth{}}

// addAssertion puts a token that vouches for the application into a form.
func addAssertion(form url.Values, token string) {
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", token)
}

// secretAuth is a client secret, from a file of its own or azure.json.
type secretAuth struct {
	// file is named by setting.
	file, setting string

	azureConfig string
	secret      credential.Secret
}

func (a secretAuth) where() string {
	if a.file != "" {
		return a.file
	}
	return a.azureConfig
}

func (a secretAuth) key() []string { return []string{clientSecret, a.where()} }

func (a secretAuth) as(application string) string {
	return application + " with the secret in " + a.where()
}

func (a secretAuth) add(form url.Values, _ string) *credential.Failure {
	secret := a.secret
	if a.file != "" {
		var err error
		if secret, err = file.ReadSecret(a.file); err != nil {
			return file.Failure("the application's secret", a.setting, file.Unread, err)
		}
	}
	form.Set("client_secret", secret.Reveal())
	return nil
}

func (a secretAuth) diagnose(code, _ string) (cloudhttp.Diagnosis, bool) {
	switch code {
	case "AADSTS7000215":
		return diagnosis("the secret in "+a.where()+" is not the application's", "it has to be a secret's value, not its id")
	case "AADSTS7000222":
		return diagnosis("the secret in "+a.where()+" has expired", "create a new one")
	}
	return cloudhttp.Diagnosis{}, false
}

// tokenFileAuth is a Kubernetes token in a file.
type tokenFileAuth struct {
	// file is named by setting.
	file, setting string
	// audience is that of federated credentials in the cloud.
	audience string
}

func (a tokenFileAuth) key() []string { return []string{workload, a.file} }

func (a tokenFileAuth) as(application string) string {
	return application + " with the token in " + a.file
}

func (a tokenFileAuth) add(form url.Values, _ string) *credential.Failure {
	token, err := file.ReadSecret(a.file)
	if err != nil {
		return file.Failure("the token that vouches for the application", a.setting, file.Unread, err)
	}
	addAssertion(form, token.Reveal())
	return nil
}

func (a tokenFileAuth) diagnose(code, _ string) (cloudhttp.Diagnosis, bool) {
	switch code {
	case "AADSTS700212":
		return diagnosis("the token in "+a.file+" is for another audience than the application's federated credential names", cmp.Or(a.audience, "that of the cloud")+" is usual; see what writes the file")
	case "AADSTS700213", "AADSTS700211", "AADSTS70021", "AADSTS70025":
		return diagnosis("the application has no federated credential for the token in "+a.file, "add one with the token's issuer, subject and audience")
	case "AADSTS700024":
		return diagnosis("the token in "+a.file+" has expired, or is not yet valid", "see what writes the file, and check the node's clock")
	case "AADSTS90061", "AADSTS50166":
		return hiddenIssuer("the issuer of the token in "+a.file, "its ")
	case "AADSTS50013":
		return diagnosis("the token in "+a.file+" is not signed with a key of its issuer", "the issuer's "+discovery+" has to lead to the keys of what writes the file")
	}
	return cloudhttp.Diagnosis{}, false
}

// podAuth is the token of a pod's service account.
type podAuth struct {
	pod           *serviceaccount.Token
	identityScope serviceaccount.Scope
	// audience is that of federated credentials in the cloud.
	audience string
}

func (a podAuth) key() []string { return a.pod.Identity(a.identityScope) }

func (a podAuth) as(application string) string { return a.pod.String() + " as " + application }

func (a podAuth) add(form url.Values, _ string) *credential.Failure {
	addAssertion(form, a.pod.Reveal())
	return nil
}

func (a podAuth) diagnose(code, client string) (cloudhttp.Diagnosis, bool) {
	switch code {
	case "AADSTS700212":
		return diagnosis("the pod's token is for another audience than the federated credential of "+client+" names", "the kubelet's serviceAccountTokenAudience has to be that one; "+cmp.Or(a.audience, "that of the cloud")+" is usual")
	case "AADSTS700213", "AADSTS700211", "AADSTS70021", "AADSTS70025":
		return diagnosis(client+" has no federated credential for "+a.pod.String(), fmt.Sprintf("add one with issuer %s, subject %s and audience %s", a.pod.Issuer, a.pod.Subject, cmp.Or(a.audience, "the kubelet's serviceAccountTokenAudience")))
	case "AADSTS700024":
		return diagnosis("the pod's token is not valid at Entra's time", "check the clocks of the node and of the API server")
	case "AADSTS90061", "AADSTS50166":
		return hiddenIssuer("the issuer "+a.pod.Issuer, strings.TrimSuffix(a.pod.Issuer, "/")+"/")
	case "AADSTS50013":
		return diagnosis("the pod's token is not signed with a key of its issuer, "+a.pod.Issuer, strings.TrimSuffix(a.pod.Issuer, "/")+"/"+discovery+" has to lead to the keys of this cluster")
	}
	return cloudhttp.Diagnosis{}, false
}

// managedAuth is the token of a managed identity. It is good for more than one
// application, and kept like any other.
type managedAuth struct{ source *managedIdentity }

func (a managedAuth) key() []string { return append([]string{federatedManaged}, a.source.Key()...) }

func (a managedAuth) as(application string) string {
	return application + " by " + a.source.identity()
}

func (a managedAuth) diagnose(code, client string) (cloudhttp.Diagnosis, bool) {
	switch code {
	case "AADSTS700212", "AADSTS700213", "AADSTS700211", "AADSTS70021", "AADSTS70025":
		return diagnosis("application "+client+" has no federated credential for the managed identity", "add one: its issuer is the identity's tenant, its subject the identity's object id, its audience "+a.source.audience)
	case "AADSTS700236":
		return diagnosis("the managed identity cannot vouch for application "+client, "it has to be of the tenant that the application was registered in")
	case "AADSTS700024":
		return diagnosis("the managed identity's token is not valid at Entra's time", "check the node's clock")
	}
	return cloudhttp.Diagnosis{}, false
}

// discovery is where an issuer has the way to its keys.
const discovery = ".well-known/openid-configuration"

// hiddenIssuer is about keys that Entra reads where the issuer of a token has
// them, and did not get: the issuer's fault for good, or for a moment.
func hiddenIssuer(issuer, its string) (cloudhttp.Diagnosis, bool) {
	return cloudhttp.Diagnosis{
		Problem: "Entra cannot read the keys of " + issuer,
		Advice:  its + discovery + " has to be reachable from the internet",
	}, true
}

func diagnosis(problem, advice string) (cloudhttp.Diagnosis, bool) {
	return cloudhttp.Diagnosis{Problem: problem, Advice: advice, Permanent: true}, true
}
