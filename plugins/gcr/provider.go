// Package gcr answers for Google's registries: Container Registry and Artifact
// Registry.
package gcr

import (
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/settings"
)

var (
	//go:embed guide.txt
	guide string

	// nodeConfig is the kubelet configuration that --help and the
	// documentation show.
	//go:embed node.yaml
	nodeConfig string
)

// Plugin describes gcr-credential-provider.
func Plugin() settings.Plugin {
	return settings.Plugin{
		Name:  "gcr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "GCRCredentialProviderConfig",
		New: func() settings.Settings {
			return &Settings{AuthFlow: flowToken, CacheType: perRegistry, UniverseDomain: universes[0].domain}
		},
	}
}

// Service account annotations. The kubelet passes only those that its
// configuration lists.
const (
	// enableAnnotation is what the plugin of kubernetes/cloud-provider-gcp
	// reads: "true" lets the service account pull as itself, as a member of
	// the cluster's workload identity pool.
	enableAnnotation = "iam.gke.io/enable-wi-image-pull"

	// providerAnnotation names a workload identity provider. Webhooks that
	// set up workloads outside of Google Cloud read the same one.
	providerAnnotation = "cloud.google.com/workload-identity-provider"

	// accountAnnotation names the Google service account to impersonate, as
	// for GKE's workloads.
	accountAnnotation = "iam.gke.io/gcp-service-account"
)

// Flows, as the plugin of kubernetes/cloud-provider-gcp calls them.
const (
	flowToken     = "gcr"
	flowConfig    = "dockercfg"
	flowConfigURL = "dockercfg-url"
)

// What the kubelet may use an answer again for, as the plugin of
// kubernetes/cloud-provider-gcp calls it.
const (
	perImage    = "image"
	perRegistry = "registry"
	global      = "global"
)

// Settings are the plugin's own and those that every plugin has.
type Settings struct {
	settings.Common

	// AuthFlow is gcr for access tokens, or dockercfg or dockercfg-url for
	// the passwords in the docker configuration that the instance attribute
	// google-dockercfg holds, or that google-dockercfg-url has the address of.
	AuthFlow string `json:"authFlow,omitempty"`

	// CredentialsFile names the node's credentials off Google Cloud: a
	// service account key, an external account or an impersonated service
	// account. Empty asks the metadata server.
	CredentialsFile string `json:"credentialsFile,omitempty"`

	// IdentityProvider is the cluster in its own workload identity pool, such
	// as https://container.googleapis.com/v1/projects/P/locations/L/clusters/C.
	// It is who vouches for pods whose service account has the annotation
	// iam.gke.io/enable-wi-image-pull. Empty means that no pod pulls so.
	IdentityProvider string `json:"identityProvider,omitempty"`

	// ProjectID is the project of that pool, PROJECT_ID.svc.id.goog.
	ProjectID string `json:"projectID,omitempty"`

	// WorkloadIdentityProvider vouches for all other pods whose service
	// account names none:
	// projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER.
	// Empty means that there is none.
	WorkloadIdentityProvider string `json:"workloadIdentityProvider,omitempty"`

	// ServiceAccount is the Google service account that pods impersonate when
	// their own service account names none. Empty: they pull as themselves.
	ServiceAccount string `json:"serviceAccount,omitempty"`

	// UniverseDomain is what the hosts of the cloud's APIs end in:
	// googleapis.com, or that of another universe, whose registries are then
	// answered for, and no others.
	UniverseDomain string `json:"universeDomain,omitempty"`

	// CacheType is what the kubelet may use an answer again for: registry, or
	// image. It can be global, which does the same as registry: an answer
	// names one registry and is of no use for others.
	CacheType string `json:"cacheType,omitempty"`
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVarP(&s.AuthFlow, "authFlow", "a", s.AuthFlow, "`flow`: gcr (access tokens), dockercfg or dockercfg-url (passwords from instance attributes)")
	fs.StringVar(&s.CredentialsFile, "credentials-file", s.CredentialsFile, "`file` of the node's credentials off Google Cloud; empty asks the metadata server")
	fs.StringVar(&s.IdentityProvider, "identity-provider", s.IdentityProvider, "`URL` of the cluster, for pods with the annotation "+enableAnnotation)
	fs.StringVar(&s.ProjectID, "project-id", s.ProjectID, "`project` of the cluster's workload identity pool, for --identity-provider")
	fs.StringVar(&s.WorkloadIdentityProvider, "workload-identity-provider", s.WorkloadIdentityProvider, "`provider` that vouches for pods whose service account names none: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
	fs.StringVar(&s.ServiceAccount, "service-account", s.ServiceAccount, "Google service account (`email`) that pods impersonate when theirs names none")
	fs.StringVar(&s.UniverseDomain, "universe-domain", s.UniverseDomain, "`domain` of the cloud's APIs, if it is not Google's own")
	fs.StringVar(&s.CacheType, "cache-type", s.CacheType, "`what` the kubelet may use an answer again for: registry or image")
	settings.Env(fs, "credentials-file", "GOOGLE_APPLICATION_CREDENTIALS")
	settings.Env(fs, "universe-domain", "GOOGLE_CLOUD_UNIVERSE_DOMAIN")
	settings.Env(fs, "cache-type", "KUBE_SIDECAR_CACHE_TYPE")
	// There it is how long the kubelet keeps an answer, whether its token
	// lives that long or not.
	settings.Env(fs, "max-kubelet-cache", "KUBE_SIDECAR_CACHE_DURATION")
}

// Validate finds what the types allow and the meaning does not.
func (s *Settings) Validate() error {
	universe, known := findUniverse(s.UniverseDomain)
	switch {
	case !known:
		return fmt.Errorf("universeDomain: the registries of %q are not known", s.UniverseDomain)
	case s.AuthFlow != flowToken && s.AuthFlow != flowConfig && s.AuthFlow != flowConfigURL:
		return fmt.Errorf("authFlow: %q is none of gcr, dockercfg, dockercfg-url", s.AuthFlow)
	case s.CacheType != perImage && s.CacheType != perRegistry && s.CacheType != global:
		return fmt.Errorf("cacheType: %q is none of registry, image, global", s.CacheType)
	case s.CredentialsFile != "" && !filepath.IsAbs(s.CredentialsFile):
		return fmt.Errorf("credentialsFile: %q is not an absolute path", s.CredentialsFile)
	case s.IdentityProvider != "" && s.ProjectID == "":
		return errors.New("projectID: is needed with identityProvider")
	case s.IdentityProvider != "" && s.WorkloadIdentityProvider != "":
		return errors.New("workloadIdentityProvider: can not be combined with identityProvider, as the kubelet's tokens have one audience")
	}
	if s.IdentityProvider != "" {
		if _, err := clusterAudience(s.ProjectID, s.IdentityProvider); err != nil {
			return err
		}
	}
	if s.WorkloadIdentityProvider != "" {
		if _, err := providerAudience(s.WorkloadIdentityProvider, universe); err != nil {
			return fmt.Errorf("workloadIdentityProvider: %w", err)
		}
	}
	if s.ServiceAccount != "" {
		if err := checkEmail(s.ServiceAccount); err != nil {
			return fmt.Errorf("serviceAccount: %w", err)
		}
	}
	return nil
}

// PerImage says what the operator did. A docker configuration may hold
// passwords for parts of a registry.
func (s *Settings) PerImage() bool { return s.CacheType == perImage || s.AuthFlow != flowToken }

// Provider returns the cloud with these settings.
func (s *Settings) Provider(getenv func(string) string) credential.Provider {
	universe, _ := findUniverse(s.UniverseDomain) // Validate found it
	return &provider{settings: s, universe: universe, getenv: getenv}
}

type provider struct {
	settings *Settings
	universe universe
	getenv   func(string) string
}

// Source decides by the host whether a registry is Google's, and by the request
// and the settings with whose identity a token is asked for. A token is good
// for every registry that its owner may read, so the Source does not depend on
// which it is. In the dockercfg flows the configuration decides, and any
// registry may be in it.
func (p *provider) Source(request credential.Request) (credential.Source, error) {
	if p.settings.AuthFlow != flowToken {
		return p.dockerConfig(request)
	}
	if _, ok := parseRegistry(request.Registry, p.universe); !ok {
		return nil, nil
	}
	if request.Pod == nil {
		return p.node()
	}
	audience, err := p.audience(request)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", request.Pod, err)
	case audience.text != "":
		return p.pod(request, audience)
	case p.settings.NodeFallback:
		return p.node()
	default:
		return nil, p.nobody(request)
	}
}

// audience says who vouches for a pod: whom its service account names, else
// whom the settings name for all. Empty means nobody.
func (p *provider) audience(request credential.Request) (audience, error) {
	provider, where := request.Annotations[providerAnnotation], "annotation "+providerAnnotation
	if provider == "" {
		if request.Annotations[enableAnnotation] == "true" && p.settings.IdentityProvider != "" {
			return clusterAudience(p.settings.ProjectID, p.settings.IdentityProvider)
		}
		provider, where = p.settings.WorkloadIdentityProvider, "--workload-identity-provider"
	}
	if provider == "" {
		return audience{}, nil
	}
	a, err := providerAudience(provider, p.universe)
	if err != nil {
		return audience{}, fmt.Errorf("%s: %w", where, err)
	}
	return a, nil
}

// nobody is the error of a pod that nobody vouches for.
func (p *provider) nobody(request credential.Request) error {
	advice := "set --identity-provider and --project-id, or --workload-identity-provider"
	switch {
	case p.settings.IdentityProvider != "":
		advice = "annotate it with " + enableAnnotation + `="true" and list that annotation in the kubelet's tokenAttributes`
	case request.Annotations[enableAnnotation] == "true":
		advice = enableAnnotation + " needs --identity-provider and --project-id"
	}
	return fmt.Errorf("%s has no identity to pull with: %s, or allow the node's identity with --node-fallback", request.Pod, advice)
}

// pod returns the token of a pod's own principal, or of the Google service
// account that it impersonates.
func (p *provider) pod(request credential.Request, audience audience) (credential.Source, error) {
	self := &federated{
		place:    p.place(),
		pod:      request.Pod,
		scope:    p.settings.IdentityScope,
		audience: audience,
	}
	email, where := p.settings.ServiceAccount, "--service-account"
	if value := request.Annotations[accountAnnotation]; value != "" {
		email, where = value, "annotation "+accountAnnotation
	}
	if email == "" {
		return self, nil
	}
	if err := checkEmail(email); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", request.Pod, where, err)
	}
	return &impersonated{self: self, email: email}, nil
}

// node returns the token of the node: of its file off Google Cloud, or of the
// instance's service account.
func (p *provider) node() (credential.Source, error) {
	if file := p.settings.CredentialsFile; file != "" {
		return &fileToken{place: p.place(), file: file, environment: settings.Environment(p.getenv, sourceVariables...)}, nil
	}
	server, err := p.metadataServer()
	if err != nil {
		return nil, err
	}
	return &instance{universe: p.universe, server: server}, nil
}

// dockerConfig returns the password that the node's docker configuration has
// for an image. The configuration is the node's, and so no pod's.
func (p *provider) dockerConfig(request credential.Request) (credential.Source, error) {
	if request.Pod != nil && !p.settings.NodeFallback {
		return nil, fmt.Errorf("%s: --authFlow=%s has the node's credentials: do not ask for tokens in the kubelet's configuration, or allow them to pods with --node-fallback",
			request.Pod, p.settings.AuthFlow)
	}
	server, err := p.metadataServer()
	if err != nil {
		return nil, err
	}
	return &dockerPassword{
		image:    request.Registry.Canonical() + "/" + request.Image.Repository,
		document: &dockerConfig{server: server, byURL: p.settings.AuthFlow == flowConfigURL, caFile: p.settings.CAFile},
	}, nil
}

// metadataServer returns where the instance's metadata is, as the environment
// has it for all of Google's libraries: a host, with a port or without.
func (p *provider) metadataServer() (string, error) {
	server := p.getenv("GCE_METADATA_HOST")
	if server == "" {
		return metadataAddress, nil
	}
	// With a dot at its end, a name is not looked for in search domains.
	host := strings.TrimSuffix(strings.Replace(server, ".:", ":", 1), ".")
	if _, err := image.ParseRegistry(host); err != nil {
		return "", fmt.Errorf("GCE_METADATA_HOST: %.80q is not a host or host:port, without a scheme", server)
	}
	return server, nil
}

// place is where the APIs are and how they are reached.
type place struct {
	universe universe
	caFile   string
}

func (p *provider) place() place { return place{universe: p.universe, caFile: p.settings.CAFile} }
