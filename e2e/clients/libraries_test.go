package clients_test

import (
	"testing"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// crane, ko and others: with credsStore it asks for the repository first.
func TestGoContainerRegistry(t *testing.T) {
	n := newNode(t)
	for _, test := range []struct{ name, config string }{
		{"credHelpers", credHelpers(n.registry, n.open)},
		{"credsStore", credsStore},
	} {
		t.Run(test.name, func(t *testing.T) {
			n.configure(t, test.config)
			for _, host := range []string{n.registry, n.open} {
				reference, err := name.ParseReference(host + "/team/app:v1")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := remote.Head(reference, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
}

func TestOras(t *testing.T) {
	n := newNode(t)
	for _, test := range []struct{ name, config string }{
		{"credHelpers", credHelpers(n.registry, n.open)},
		{"credsStore", credsStore},
	} {
		t.Run(test.name, func(t *testing.T) {
			n.configure(t, test.config)
			store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range []string{n.registry, n.open} {
				repository, err := orasremote.NewRepository(host + "/team/app")
				if err != nil {
					t.Fatal(err)
				}
				repository.PlainHTTP = true
				repository.Client = &auth.Client{Credential: credentials.Credential(store)}
				if _, err := repository.Resolve(t.Context(), "v1"); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
}

// The library of docker's own client: docker pull asks for one registry, docker
// build and compose for all, docker login stores, and docker logout erases.
func TestDocker(t *testing.T) {
	n := newNode(t)
	for _, test := range []struct{ name, config string }{
		{"credHelpers", credHelpers(n.registry, n.open)},
		{"credsStore", credsStore},
	} {
		t.Run(test.name, func(t *testing.T) {
			n.configure(t, test.config)
			file, err := config.Load(n.home)
			if err != nil {
				t.Fatal(err)
			}
			login, err := file.GetAuthConfig(n.registry)
			if err != nil || login.Username != user || login.Password != password {
				t.Errorf("%s: user %q, %v", n.registry, login.Username, err)
			}
			for _, other := range []string{n.open, "https://index.docker.io/v1/"} {
				if login, err = file.GetAuthConfig(other); err != nil || login.Username != "" {
					t.Errorf("%s: user %q, %v; want none", other, login.Username, err)
				}
			}
			before := n.asked(t)
			all, err := file.GetAllCredentials()
			if err != nil {
				t.Error(err)
			}
			// Of a store, the client asks for what the store lists, which is nothing.
			want := map[string]int{"credHelpers": 1, "credsStore": 0}[test.name]
			if got := n.asked(t) - before; got != want || all[n.registry].Username != map[int]string{1: user}[want] {
				t.Errorf("all credentials: %d runs of the provider, want %d; %d registries", got, want, len(all))
			}
			store := file.GetCredentialsStore(n.registry)
			if err := store.Store(types.AuthConfig{ServerAddress: n.registry, Username: "me", Password: "a-password-of-mine"}); err != nil {
				t.Errorf("log in: %v", err)
			}
			if err := store.Erase(n.registry); err != nil {
				t.Errorf("log out: %v", err)
			}
			if err := file.GetCredentialsStore(n.open).Store(types.AuthConfig{ServerAddress: n.open, Username: "me", Password: "a-password-of-mine"}); err == nil {
				t.Error("logged in to a registry that nothing is stored for")
			}
		})
	}
}

// A provider that fails is a failure of the pull, with the provider's own line.
func TestAFailureIsTold(t *testing.T) {
	n := newNode(t)
	n.configure(t, credHelpers(n.registry))
	n.failProvider(t)
	file, err := config.Load(n.home)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.GetAuthConfig(n.registry)
	wantLine(t, err)
	reference, err := name.ParseReference(n.registry + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Head(reference, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	wantLine(t, err)
}
