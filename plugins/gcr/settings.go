package gcr

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

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

	// Scopes are what tokens are asked for with, of pods and by the file of
	// credentials. The tokens of the metadata server have the instance's.
	Scopes []string `json:"scopes,omitempty"`

	// UniverseDomain is what the hosts of the cloud's APIs end in:
	// googleapis.com, or that of another universe, whose registries are then
	// answered for, and no others.
	UniverseDomain string `json:"universeDomain,omitempty"`

	// CacheType is what the kubelet may use an answer again for: registry, or
	// image. It can be global, which does the same as registry: an answer
	// names one registry and is of no use for others.
	CacheType string `json:"cacheType,omitempty"`
}

// newSettings returns the plugin's own defaults.
func newSettings() *Settings {
	return &Settings{AuthFlow: flowToken, CacheType: perRegistry, UniverseDomain: universes[0].domain, Scopes: []string{everything}}
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
	fs.StringSliceVar(&s.Scopes, "scope", s.Scopes, "`scope` of tokens of pods and of --credentials-file, such as "+everything+".read-only; an instance's tokens have the instance's; repeatable")
	fs.StringVar(&s.UniverseDomain, "universe-domain", s.UniverseDomain, "`domain` of the cloud's APIs, if it is not Google's own")
	fs.StringVar(&s.CacheType, "cache-type", s.CacheType, "`what` the kubelet may use an answer again for: registry or image")
	settings.Env(fs, "credentials-file", "GOOGLE_APPLICATION_CREDENTIALS")
	settings.Env(fs, "universe-domain", "GOOGLE_CLOUD_UNIVERSE_DOMAIN")
	settings.Env(fs, "cache-type", "KUBE_SIDECAR_CACHE_TYPE")
	// There it is how long the kubelet keeps an answer, whether its token
	// lives that long or not.
	settings.Env(fs, "max-kubelet-cache", "KUBE_SIDECAR_CACHE_DURATION")
}

// Provider compiles the settings.
func (s *Settings) Provider(run plugin.Run) (credential.Provider, error) {
	universe, known := findUniverse(s.UniverseDomain)
	if !known {
		return nil, fmt.Errorf("universeDomain: no registries are known of %q", s.UniverseDomain)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	p := &provider{
		fallback:      s.NodeFallback,
		identityScope: s.IdentityScope,
		flow:          s.AuthFlow,
		// A docker configuration may hold passwords for parts of a registry.
		perImage:       s.CacheType == perImage || s.AuthFlow != flowToken,
		file:           s.CredentialsFile,
		serviceAccount: s.ServiceAccount,
		scopes:         s.Scopes,
		endpoints:      newEndpoints(universe, s.CAFile, run.Getenv),
		getenv:         run.Getenv,
	}
	var err error
	if s.IdentityProvider != "" {
		if p.cluster, err = clusterAudience(s.ProjectID, s.IdentityProvider); err != nil {
			return nil, err
		}
	}
	if s.WorkloadIdentityProvider != "" {
		if p.defaultAudience, err = providerAudience(s.WorkloadIdentityProvider, universe); err != nil {
			return nil, fmt.Errorf("workloadIdentityProvider: %w", err)
		}
	}
	return p, nil
}

// check finds what the types allow and the meaning does not.
func (s *Settings) check() error {
	switch {
	case s.AuthFlow != flowToken && s.AuthFlow != flowConfig && s.AuthFlow != flowConfigURL:
		return fmt.Errorf("authFlow: %q is none of gcr, dockercfg, dockercfg-url", s.AuthFlow)
	case s.CacheType != perImage && s.CacheType != perRegistry && s.CacheType != global:
		return fmt.Errorf("cacheType: %q is none of registry, image, global", s.CacheType)
	case s.CredentialsFile != "" && !filepath.IsAbs(s.CredentialsFile):
		return fmt.Errorf("credentialsFile: not an absolute path: %q", s.CredentialsFile)
	case s.IdentityProvider != "" && s.ProjectID == "":
		return errors.New("projectID: empty, while identityProvider needs it")
	case s.IdentityProvider != "" && s.WorkloadIdentityProvider != "":
		return errors.New("workloadIdentityProvider: cannot be combined with identityProvider, as the kubelet's tokens have one audience")
	case !slices.ContainsFunc(s.Scopes, readsRegistries):
		return fmt.Errorf("scopes: none of %q reads registries; %s.read-only does", s.Scopes, everything)
	}
	for _, scope := range s.Scopes {
		if !isName(scope, ":/._-") {
			return fmt.Errorf("scopes: %.80q is not the URL of a scope", scope)
		}
	}
	if s.ServiceAccount != "" {
		if err := checkEmail(s.ServiceAccount); err != nil {
			return fmt.Errorf("serviceAccount: %w", err)
		}
	}
	return nil
}
