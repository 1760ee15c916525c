// Package protocol is the kubelet's image credential provider protocol: one
// CredentialProviderRequest on stdin, one CredentialProviderResponse on stdout.
//
// The types are those of k8s.io/kubelet/pkg/apis/credentialprovider, written
// out: importing that package adds about as much to the start of a plugin as an
// empty Go program takes in all. The tests hold them to the originals and to
// the decoder that the kubelet uses.
package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"

	"regcred/shared/credential"
)

const group = "credentialprovider.kubelet.k8s.io/"

// versions are the API versions that are understood, newest first.
var versions = []string{group + "v1", group + "v1beta1", group + "v1alpha1"}

const (
	requestKind  = "CredentialProviderRequest"
	responseKind = "CredentialProviderResponse"

	// maxRequest bounds what is read. Nearly all of a large request are the
	// annotations: Kubernetes lets a service account have 256 KiB of them, and
	// the kubelet's encoder writes up to six bytes for one ("<" as "\u003c"),
	// which makes 1.5 MiB. The rest is room for the image, the token and what
	// a newer kubelet adds.
	maxRequest = 4 << 20
)

// Request is a decoded CredentialProviderRequest.
type Request struct {
	// APIVersion is that of the request, and has to be that of the answer.
	APIVersion string
	// Image is the image's name as the kubelet normalised it, without tag
	// and digest.
	Image string
	// ServiceAccountToken is empty unless the kubelet's configuration asks
	// for tokens.
	ServiceAccountToken credential.Secret
	// ServiceAccountAnnotations are those that the kubelet's configuration
	// names and the service account has.
	ServiceAccountAnnotations map[string]string
}

// Read decodes the request that the kubelet wrote. Fields that it does not
// know are passed over, as a newer kubelet may send some; what it does know
// has to be right, and to belong to the version. No error repeats a value but
// kind and apiVersion.
func Read(r io.Reader) (Request, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRequest+1))
	if err != nil {
		return Request{}, fmt.Errorf("read the request on stdin: %w", err)
	}
	request, err := decode(data)
	if err != nil {
		return Request{}, fmt.Errorf("request on stdin: %w", err)
	}
	return request, nil
}

func decode(data []byte) (Request, error) {
	if len(data) > maxRequest {
		return Request{}, errors.New("larger than 4 MiB")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return Request{}, errors.New("nothing to read; the kubelet writes a " + requestKind + " there, see --help")
	}
	var wire struct {
		Kind        string            `json:"kind"`
		APIVersion  string            `json:"apiVersion"`
		Image       string            `json:"image"`
		Token       string            `json:"serviceAccountToken"`
		Annotations map[string]string `json:"serviceAccountAnnotations"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &wire); err != nil {
		return Request{}, errors.New("not a single JSON object of a " + requestKind)
	}
	switch {
	case wire.Kind != requestKind:
		return Request{}, fmt.Errorf("kind %.80q; want %q", wire.Kind, requestKind)
	case !slices.Contains(versions, wire.APIVersion):
		return Request{}, fmt.Errorf("apiVersion %.80q; want one of %s", wire.APIVersion, strings.Join(versions, ", "))
	case wire.Image == "":
		return Request{}, errors.New("no image")
	case wire.APIVersion != versions[0] && (wire.Token != "" || len(wire.Annotations) > 0):
		// Whoever wrote it wants the pod's credential. To pass over the token
		// would be to hand out the node's.
		return Request{}, fmt.Errorf("a service account in apiVersion %s; only %s has them",
			wire.APIVersion, versions[0])
	}
	return Request{
		APIVersion:                wire.APIVersion,
		Image:                     wire.Image,
		ServiceAccountToken:       credential.NewSecret(wire.Token),
		ServiceAccountAnnotations: wire.Annotations,
	}, nil
}

// CacheKey says for what the kubelet may use an answer again.
type CacheKey string

const (
	// CacheImage is for the same image only.
	CacheImage CacheKey = "Image"
	// CacheRegistry is for all images of the registry.
	CacheRegistry CacheKey = "Registry"
)

// Response is a CredentialProviderResponse to be.
type Response struct {
	// CacheKey is for what the kubelet may use the answer again.
	CacheKey CacheKey
	// CacheDuration is for how long, in whole seconds: what is below one is
	// cut off. Zero forbids it. It is always written, since without it the
	// kubelet uses its own default, which knows nothing of the credential.
	CacheDuration time.Duration
	// Registry is the host, with port if it has one, that Username and
	// Password are for. Empty means that there is no credential.
	Registry           string
	Username, Password string
	// Anonymous is a pattern of registries that the kubelet is to pull from
	// without a credential, after it tried those that match more exactly.
	// Empty means that there is none.
	Anonymous string
}

// Write writes the one object that the kubelet's strict decoder accepts, in
// the version of the request.
func Write(w io.Writer, version string, response Response) error {
	type auth struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	wire := struct {
		Kind          string          `json:"kind"`
		APIVersion    string          `json:"apiVersion"`
		CacheKeyType  CacheKey        `json:"cacheKeyType"`
		CacheDuration string          `json:"cacheDuration"`
		Auth          map[string]auth `json:"auth"`
	}{
		Kind:          responseKind,
		APIVersion:    version,
		CacheKeyType:  response.CacheKey,
		CacheDuration: max(0, response.CacheDuration).Truncate(time.Second).String(),
		Auth:          map[string]auth{},
	}
	if response.Anonymous != "" {
		wire.Auth[response.Anonymous] = auth{}
	}
	if response.Registry != "" {
		wire.Auth[response.Registry] = auth{response.Username, response.Password}
	}
	data, err := json.Marshal(wire)
	if err != nil {
		return fmt.Errorf("encode the response: %w", err)
	}
	if _, err := w.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write the response to stdout: %w", err)
	}
	return nil
}
