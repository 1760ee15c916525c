package gcr_test

import (
	"regexp"
	"strings"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"sigs.k8s.io/json"

	"regcred/e2e/cloud/gcp"
)

// answer is what came of one run.
type answer struct {
	node       *node
	apiVersion string // that was asked in

	exit           int
	stdout, stderr string
	took           time.Duration
}

// response is the answer as the kubelet's strict decoder reads it, and for how
// long the kubelet keeps it.
func (a answer) response() (response credentialprovider.CredentialProviderResponse, keep time.Duration) {
	t := a.node.t
	t.Helper()
	if a.exit != 0 {
		t.Fatalf("exit code %d, %s", a.exit, a.stderr)
	}
	strict, err := json.UnmarshalStrict([]byte(a.stdout), &response)
	if err != nil || len(strict) != 0 {
		t.Fatalf("stdout is not a response: %v %v\n%s", err, strict, a.stdout)
	}
	if response.Kind != "CredentialProviderResponse" || response.APIVersion != a.apiVersion {
		t.Errorf("answered a %s of %s, want a CredentialProviderResponse of %s", response.Kind, response.APIVersion, a.apiVersion)
	}
	if response.CacheDuration == nil {
		t.Fatal("no cacheDuration: the kubelet would use its own")
	}
	return response, response.CacheDuration.Duration
}

// wantCredential fails the test unless the answer is an access token of the
// principal for exactly one registry, for all of its images, without a word on
// stderr. It returns what Google Cloud knows of the token.
func (a answer) wantCredential(registry string, principal gcp.Principal) issued {
	t := a.node.t
	t.Helper()
	response, keep := a.response()
	if a.stderr != "" {
		t.Errorf("stderr: %s", a.stderr)
	}
	if response.CacheKeyType != credentialprovider.RegistryPluginCacheKeyType {
		t.Errorf("cacheKeyType %q, want Registry", response.CacheKeyType)
	}
	login, ok := response.Auth[registry]
	if !ok || len(response.Auth) != 1 {
		t.Fatalf("auth for %d registries, want it for %s", len(response.Auth), registry)
	}
	if login.Username != "_token" {
		t.Errorf("user %q, want _token", login.Username)
	}
	token, ok := a.node.gcp.Token(login.Password)
	if !ok {
		t.Fatal("Google Cloud did not issue the password")
	}
	if token.Principal != principal {
		t.Errorf("the token of %s, want that of %s", token.Principal, principal)
	}
	if left := time.Until(token.Expires); keep < 0 || keep > left {
		t.Errorf("the kubelet keeps for %s a token that ends in %s", keep, left)
	}
	return issued{Token: token, password: login.Password, keep: keep}
}

// issued is a token that the fake knows.
type issued struct {
	gcp.Token
	password string
	keep     time.Duration // by the kubelet
}

// wantNothing fails the test unless the answer is that there is no credential,
// which the kubelet is not to keep.
func (a answer) wantNothing() {
	t := a.node.t
	t.Helper()
	response, keep := a.response()
	if a.stderr != "" {
		t.Errorf("stderr: %s", a.stderr)
	}
	if response.Auth == nil || len(response.Auth) != 0 {
		t.Errorf("auth for %d registries, want {}", len(response.Auth))
	}
	if keep != 0 {
		t.Errorf("the kubelet keeps the answer for %s", keep)
	}
}

// tokenLike is a run of characters that is too long for anything but a token
// or a key.
var tokenLike = regexp.MustCompile(`ya29\.|eyJ[A-Za-z0-9_-]{10,}|PRIVATE KEY|[A-Za-z0-9+=_-]{100,}`)

// wantFailure fails the test unless the run failed with the exit code and one
// line for the operator that says all of this and no secret.
func (a answer) wantFailure(exit int, says ...string) {
	t := a.node.t
	t.Helper()
	if a.exit != exit || a.stdout != "" {
		t.Errorf("exit code %d and %d bytes on stdout, want %d and none", a.exit, len(a.stdout), exit)
	}
	line, rest, ended := strings.Cut(a.stderr, "\n")
	if !ended || rest != "" || !strings.HasPrefix(line, "gcr-credential-provider: ") {
		t.Errorf("stderr is not one line of the plugin's:\n%s", a.stderr)
	}
	for _, want := range says {
		if !strings.Contains(line, want) {
			t.Errorf("the line does not say %q:\n\t%s", want, line)
		}
	}
	if secret := tokenLike.FindString(a.stderr); secret != "" {
		t.Errorf("%q on stderr may be a secret", secret)
	}
}

// wantWithin fails the test if the run took longer.
func (a answer) wantWithin(limit time.Duration) {
	a.node.t.Helper()
	if a.took > limit {
		a.node.t.Errorf("took %s, want at most %s", a.took, limit)
	}
}
