package registry

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"regcred/e2e/cloud"
)

// Bearer is the login of registries that send everybody to a token endpoint
// of their own, as the distribution specification has it.
type Bearer struct {
	Realm   string // path of the token endpoint
	Service string // the registry's name of itself
	Scope   string // what the challenge asks for; empty: nothing

	// Identify says whose the password is that the token endpoint was shown,
	// or refuses it. Shown is false for who has none.
	Identify func(user, password string, shown bool) (who string, err error)
	// Admit refuses who may not read a repository, written with its host.
	Admit func(who, repository string) error

	mu     sync.Mutex
	issued map[string]string // whose, by token
}

// Login is the login's Login.
func (b *Bearer) Login(x *cloud.Exchange, r *cloud.Request, repository string) error {
	if r.URL.Path == b.Realm {
		return b.issue(x, r)
	}
	scheme, token, _ := cutScheme(r)
	if scheme != "Bearer" {
		with := fmt.Sprintf(`Bearer realm="https://%s%s",service=%q`, r.Host, b.Realm, b.Service)
		if b.Scope != "" {
			with += fmt.Sprintf(`,scope=%q`, b.Scope)
		}
		return challenge(x, with)
	}
	who, ok := b.whose(token)
	if !ok {
		return denied(http.StatusBadRequest, "Your Authorization Token is invalid.")
	}
	if repository == "" {
		return nil
	}
	return b.Admit(who, r.Host+"/"+repository)
}

// issue answers the token endpoint. A client that begins with the OAuth 2 form
// is told to use the other one.
func (b *Bearer) issue(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodGet {
		return cloud.Refusal{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "use GET"}
	}
	if service := r.URL.Query().Get("service"); service != b.Service {
		return denied(http.StatusBadRequest, "%q is not this service", service)
	}
	user, password, shown := r.BasicAuth()
	who, err := b.Identify(user, password, shown)
	if err != nil {
		return err
	}
	token := rand.Text()
	b.mu.Lock()
	if b.issued == nil {
		b.issued = map[string]string{}
	}
	b.issued[token] = who
	b.mu.Unlock()
	x.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(x).Encode(map[string]string{"token": token}); err != nil {
		return err
	}
	return ErrAnswered
}

func (b *Bearer) whose(token string) (who string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	who, ok = b.issued[token]
	return who, ok
}
