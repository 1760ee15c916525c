package gcr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

const (
	// metadataAddress is where an instance's metadata is.
	metadataAddress = "169.254.169.254"

	// flavorHeader has to be in requests for metadata, and is in answers: an
	// application that can be made to fetch addresses seldom sends headers too,
	// and another cloud's metadata server does not answer with it.
	flavorHeader = "Metadata-Flavor"
	flavor       = "Google"

	tokenPath    = "instance/service-accounts/default/token"
	scopesPath   = "instance/service-accounts/default/scopes"
	universePath = "universe/universe-domain"
)

// asideBudget bounds a look at what is neither the token nor who it is for.
const asideBudget = 2 * time.Second

// instance is the token of the service account that is attached to the node.
type instance struct {
	universe universe
	server   string
}

// Key does not name the account: another one can be attached only while the
// instance is stopped, and the cache does not outlive that.
func (s *instance) Key() credential.Key {
	return credential.Key{"gcr", "metadata", s.universe.domain, s.server}
}

// Fetch asks the metadata server. It repeats a token until some minutes before
// its end, and a token with little life left is as good as any.
func (s *instance) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	for number := 1; ; number++ {
		c, p := s.fetch(ctx)
		if p == nil {
			return c, nil
		}
		// GKE's metadata server begins to listen some seconds after a node.
		if !cloudhttp.Refused(p.err) || number > 3 || cloudhttp.Sleep(ctx, time.Second) != nil {
			return credential.Credential{}, who{}.explain(*p)
		}
	}
}

// fetch gets the token, and looks whether it is good for a registry of the
// universe.
func (s *instance) fetch(ctx context.Context) (credential.Credential, *problem) {
	server := newMetadataServer(ctx)
	text, err := server.get(ctx, tokenPath)
	var a answer
	if err == nil {
		err = decode([]byte(text), &a)
	}
	var c credential.Credential
	if err == nil {
		c, err = a.credential()
	}
	if err != nil {
		return credential.Credential{}, server.problem(err)
	}
	if err := server.checkUniverse(ctx, s.universe); err != nil {
		return credential.Credential{}, server.problem(err)
	}
	if err := server.checkScopes(ctx); err != nil {
		return credential.Credential{}, server.problem(err)
	}
	return c, nil
}

// metadataServer is the instance's, as the library finds it.
type metadataServer struct {
	client  *metadata.Client
	witness *witness
}

func newMetadataServer(ctx context.Context) metadataServer {
	client, witness := observe(ctx, cloudhttp.Metadata().Transport)
	return metadataServer{metadata.NewClient(client), witness}
}

// get returns a value. The library would repeat what failed in a way that may
// pass, but the witness tells it nothing of the kind.
func (m metadataServer) get(ctx context.Context, path string) (string, error) {
	text, err := m.client.GetWithContext(ctx, path)
	if err == nil && !m.witness.seen().flavor {
		err = errImpostor
	}
	return text, err
}

func (m metadataServer) problem(err error) *problem {
	last := m.witness.seen()
	if errors.Is(err, errScope) || errors.Is(err, errUniverse) {
		// The answer was in order; what it says is not.
		last = exchange{host: last.host, status: http.StatusOK, flavor: true}
	}
	p := dissect(err, last)
	p.stage = "metadata"
	return &p
}

var (
	// errImpostor is the error of an answer that is not the metadata server's.
	errImpostor = errors.New("the answer is not Google's")

	// errScope is the error of an account whose tokens no registry accepts.
	errScope = errors.New("the service account has no scope for registries")

	// errUniverse is the error of a token that would go to another operator.
	errUniverse = errors.New("the node is of another universe")
)

// checkUniverse refuses a node of another universe than the registries that
// are answered for: their operator is another one. Google's own nodes need not
// say where they are; one that can not be asked may be anywhere.
func (m metadataServer) checkUniverse(ctx context.Context, u universe) error {
	text, err := m.get(ctx, universePath)
	domain := strings.TrimSpace(text)
	if err != nil {
		if m.witness.seen().status != http.StatusNotFound {
			return err
		}
		domain = universes[0].domain
	}
	if domain != u.domain {
		return fmt.Errorf("%w: %.80q, not %s", errUniverse, domain, u.domain)
	}
	return nil
}

// checkScopes refuses an account whose tokens every registry denies: pulling
// without them at least gets what is public. What can not be found out is not
// held against it.
func (m metadataServer) checkScopes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, asideBudget)
	defer cancel()
	text, err := m.get(ctx, scopesPath)
	scopes := strings.Fields(text)
	if err != nil || len(scopes) == 0 || slices.ContainsFunc(scopes, readsRegistries) {
		return nil
	}
	return errScope
}

// readsRegistries reports whether a scope is enough for a registry. Access to
// storage is, since images were kept there.
func readsRegistries(scope string) bool {
	return strings.HasPrefix(scope, "https://www.googleapis.com/auth/devstorage") ||
		strings.HasPrefix(scope, "https://www.googleapis.com/auth/cloud-platform")
}
