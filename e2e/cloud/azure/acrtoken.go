package azure

import (
	"crypto/subtle"
	"net/http"
	"regexp"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// scopeGrammar is a scope that a puller asks for.
var scopeGrammar = regexp.MustCompile(`^repository:([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):pull$`)

// answerAccessToken makes an access token for one repository: of a refresh
// token, or of whatever a container runtime logs in with.
func (f *Fake) answerAccessToken(x *cloud.Exchange, r *cloud.Request, host string, registry Registry) error {
	fields, err := fake.Form(r, "grant_type", "service", "scope", "refresh_token", "username", "password", "client_id", "access_type")
	if err != nil {
		return badForm("%v", err)
	}
	scope := scopeGrammar.FindStringSubmatch(fields["scope"])
	switch {
	case fields["service"] != host:
		return badForm("service %q is not %q", fields["service"], host)
	case scope == nil:
		return badForm("scope %q is not repository:NAME:pull", fields["scope"])
	}
	var owner Principal
	switch fields["grant_type"] {
	case "refresh_token":
		if fields["username"] != "" || fields["password"] != "" {
			return badForm("a refresh token needs no user")
		}
		x.Summarize("%s", scope[1])
		owner, err = f.checkRefreshToken(registry, fields["refresh_token"], scope[1])
	case "password":
		x.Summarize("%s as %s", scope[1], fields["username"])
		owner, err = f.checkLogin(registry, fields["username"], fields["password"], scope[1])
	default:
		return badForm("grant_type is %q", fields["grant_type"])
	}
	if err != nil {
		return err
	}
	settings := f.Current().ACR.Access
	text := f.issueCredential(registry, settings, settings.LifeOr(75*time.Minute), Credential{Host: host, Principal: owner, Repository: scope[1]})
	return answerCredential(x, "access_token", text, settings.Shape)
}

func (f *Fake) checkRefreshToken(registry Registry, text, repository string) (Principal, error) {
	if _, known := f.Credential(text); !known {
		refused := unauthorized("the refresh token was not issued here")
		refused.Form = true
		return Principal{}, refused
	}
	credential, ok := f.registries.valid(registry, text, f.Now())
	if !ok || credential.Repository != "" || !registry.lets(credential.Principal, repository) {
		return Principal{}, unauthorized("authentication required, visit https://aka.ms/acr/authorization for more information.")
	}
	return credential.Principal, nil
}

// Pull says whether a container runtime that logs in so can pull from a
// repository: nil, or how the registry refuses.
func (f *Fake) Pull(host, username, password, repository string) error {
	registry, ok := f.registries.find(host)
	switch {
	case !ok:
		return fake.Refuse(http.StatusNotFound, "NAME_UNKNOWN", "no registry at %s", host)
	case registry.Blocked:
		return fake.Refuse(http.StatusForbidden, "DENIED", "client is not allowed access")
	}
	_, err := f.checkLogin(registry, username, password, repository)
	return err
}

// checkLogin checks a user name and a password for one repository. An access
// token is good for its own.
func (f *Fake) checkLogin(registry Registry, username, password, repository string) (Principal, error) {
	if username != TokenUser {
		for _, login := range registry.Logins {
			if login.Username == username && subtle.ConstantTimeCompare([]byte(login.Password), []byte(password)) == 1 && allows(login.Repositories, repository) {
				return Principal{registry.Tenant, username}, nil
			}
		}
		return Principal{}, unauthorized("Invalid clientid or client secret.")
	}
	credential, ok := f.registries.valid(registry, password, f.Now())
	if !ok || credential.Repository != "" && credential.Repository != repository || !registry.lets(credential.Principal, repository) {
		return Principal{}, unauthorized("authentication required, visit https://aka.ms/acr/authorization for more information.")
	}
	return credential.Principal, nil
}
