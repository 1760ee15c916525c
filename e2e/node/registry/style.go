package registry

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// Style is how a registry asks for a login. It is what differs between clouds:
// whose a login is, the cloud says, and what that one may read, the policies.
type Style struct {
	Service string // the registry's name for itself

	// Realm is the path of the token endpoint that everybody is sent to, as the
	// distribution specification has it. Empty: there is none, and the login
	// itself is shown with every request.
	Realm string
	Scope string // that everybody is sent there for; empty: whatever they want

	// API is that of Front.
	API func(r *http.Request) bool
}

// Front is a registry of the node's cloud, with a login of a style.
func (s Style) Front(host string, node *fake.Node, policies *Policies) Front {
	login := &cloudLogin{style: s, host: host, whose: node.Whose, policies: policies}
	if s.Realm == "" {
		return Front{Host: host, Login: login.eachTime, API: s.API}
	}
	return Front{Host: host, Login: login.once, API: s.API}
}

// cloudLogin takes what a cloud has issued.
type cloudLogin struct {
	style    Style
	host     string
	whose    func(image, username, password string) (owner string, err error)
	policies *Policies

	mu     sync.Mutex
	issued map[string]string // whose, by token
}

// eachTime is the login that is shown with every request.
func (l *cloudLogin) eachTime(x *cloud.Exchange, r *cloud.Request, repository string) error {
	username, password, shown := r.BasicAuth()
	if !shown {
		return challenge(x, fmt.Sprintf(`Basic realm="https://%s/",service=%q`, l.host, l.style.Service))
	}
	owner, err := l.whose(l.host+"/"+repository, username, password)
	if err != nil {
		return denied(http.StatusForbidden, "%v", err)
	}
	return l.admit(owner, repository)
}

// once is the login at a token endpoint, for a token that is shown from then on.
func (l *cloudLogin) once(x *cloud.Exchange, r *cloud.Request, repository string) error {
	if r.URL.Path == l.style.Realm {
		return l.issue(x, r)
	}
	scheme, token, _ := cutScheme(r)
	if scheme != "Bearer" {
		with := fmt.Sprintf(`Bearer realm="https://%s%s",service=%q`, l.host, l.style.Realm, l.style.Service)
		if l.style.Scope != "" {
			with += fmt.Sprintf(`,scope=%q`, l.style.Scope)
		}
		return challenge(x, with)
	}
	owner, ok := l.owner(token)
	if !ok {
		return denied(http.StatusUnauthorized, "not a token of this registry")
	}
	return l.admit(owner, repository)
}

// issue answers the token endpoint. A client that begins with the OAuth 2 form
// is told to use the other one.
func (l *cloudLogin) issue(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodGet {
		return cloud.Refusal{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "use GET"}
	}
	query := r.URL.Query()
	if service := query.Get("service"); service != l.style.Service {
		return denied(http.StatusBadRequest, "%q is not this service", service)
	}
	owner := Everybody
	if username, password, shown := r.BasicAuth(); shown {
		repository, _, _ := strings.Cut(strings.TrimPrefix(query.Get("scope"), "repository:"), ":")
		var err error
		if owner, err = l.whose(l.host+"/"+repository, username, password); err != nil {
			return denied(http.StatusUnauthorized, "%v", err)
		}
	}
	token := rand.Text()
	l.mu.Lock()
	if l.issued == nil {
		l.issued = map[string]string{}
	}
	l.issued[token] = owner
	l.mu.Unlock()
	x.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(x).Encode(map[string]string{"token": token}); err != nil {
		return err
	}
	return ErrAnswered
}

func (l *cloudLogin) owner(token string) (owner string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	owner, ok = l.issued[token]
	return owner, ok
}

// admit refuses an owner that may not read a repository. Everybody may ask
// whether the registry is there.
func (l *cloudLogin) admit(owner, repository string) error {
	if repository == "" || l.policies.allows(l.host+"/"+repository, owner) {
		return nil
	}
	return denied(http.StatusForbidden, "%s may not read %s", owner, repository)
}
