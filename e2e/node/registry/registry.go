// Package registry puts a real registry behind the login of each cloud, at the
// names that production has.
//
// A Front is the cloud's side: it challenges, and judges what it is shown. All
// fronts share one distribution registry, which asks nobody anything and
// listens on loopback.
package registry

import (
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"

	"regcred/e2e/cloud"
)

// Service is the name of the fronts in a cloud's journal and among its faults,
// after the API that they speak. Its operations are Ping, GetManifest, GetBlob
// and GetToken.
const Service = "distribution"

// Address is where the registry behind the fronts listens.
const Address = "127.0.0.1:5000"

// address is where fronts listen whose names nothing had answered so far, one of
// those for documentation.
var address = netip.MustParseAddr("192.0.2.20")

// Login decides about one request for a repository of a host. It lets it in
// by returning nil, refuses it with a cloud.Refusal, or answers it by itself
// and returns ErrAnswered.
type Login func(x *cloud.Exchange, r *cloud.Request, repository string) error

// Front is a registry's host and its login.
type Front struct {
	Host  string
	Login Login
	// API reports whether a request is not a container runtime's: the service
	// that the cloud has at the host answers it. Nil: none is.
	API func(r *http.Request) bool
}

// Place puts the fronts at their names in a cloud.
func Place(c *cloud.Cloud, fronts ...Front) error {
	backend := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: Address})
		r.Out.URL.Path = strings.Replace(r.In.URL.Path, "/v2/", "/v2/"+r.In.Host+"/", 1)
		// Nothing behind the front has to know what it was shown.
		r.Out.Header.Del("Authorization")
	}}
	for _, front := range fronts {
		err := c.Intercept(front.Host, address, func(api http.Handler) http.Handler { return front.service(c, backend, api) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (f Front) service(c *cloud.Cloud, backend, api http.Handler) http.Handler {
	front := &cloud.Service{
		Name:      Service,
		Calls:     c.Calls,
		Faults:    c.Faults,
		Operation: func(r *cloud.Request) string { return operation(r.URL.Path) },
		Answer: func(x *cloud.Exchange, r *cloud.Request) error {
			x.Summarize("%s", summary(r))
			x.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			repository := repositoryIn(r.URL.Path)
			if err := f.Login(x, r, repository); err != nil {
				return answered(err)
			}
			if repository == "" {
				x.WriteHeader(http.StatusOK)
				return nil
			}
			backend.ServeHTTP(x, r.Request)
			return nil
		},
		Refuse: refuse,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.API != nil && f.API(r) {
			api.ServeHTTP(w, r)
			return
		}
		front.ServeHTTP(w, r)
	})
}

// Shown is the scheme of the credential that a journalled call of a front was
// made with: Basic, Bearer, or empty.
func Shown(call cloud.Call) string {
	_, scheme, _ := strings.Cut(call.Summary, shownBy)
	return scheme
}

// shownBy is between what was asked for and the scheme.
const shownBy = " by "

func summary(r *cloud.Request) string {
	scheme, _, shown := cutScheme(r)
	if !shown {
		return r.URL.Path
	}
	return r.URL.Path + shownBy + scheme
}

// cutScheme takes the credential of a request apart.
func cutScheme(r *cloud.Request) (scheme, credential string, shown bool) {
	return strings.Cut(r.Header.Get("Authorization"), " ")
}

func operation(path string) string {
	switch {
	case path == "/v2/":
		return "Ping"
	case strings.Contains(path, "/manifests/"):
		return "GetManifest"
	case strings.Contains(path, "/blobs/"):
		return "GetBlob"
	default:
		return "GetToken" // at a path of each cloud's choice
	}
}

// repositoryIn is the repository that a path is about, or empty.
func repositoryIn(path string) string {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return ""
	}
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		if repository, _, ok := strings.Cut(rest, kind); ok {
			return repository
		}
	}
	return ""
}

// refuse words a refusal as the distribution specification does.
func refuse(refusal cloud.Refusal) (string, []byte) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, _ := json.Marshal(map[string][]entry{"errors": {{refusal.Code, refusal.Message}}}) // strings never fail
	return "application/json", body
}
