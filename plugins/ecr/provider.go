// Package ecr answers for Amazon Elastic Container Registry, private and
// public.
package ecr

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
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

// Plugin describes ecr-credential-provider.
func Plugin() settings.Plugin {
	return settings.Plugin{
		Name:  "ecr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "ECRCredentialProviderConfig",
		New:   func() settings.Settings { return &Settings{RoleAnnotations: []string{roleAnnotation}} },
	}
}

// roleAnnotation is the service account annotation that the plugin of
// kubernetes/cloud-provider-aws reads. The annotation of EKS's IAM roles for
// service accounts is another one on purpose: those roles are for the
// workload, and pulling images asks for less.
const roleAnnotation = "eks.amazonaws.com/ecr-role-arn"

// Settings are the plugin's own and those that every plugin has.
type Settings struct {
	settings.Common

	// RoleARN is the role that pods assume with their own token when their
	// service account names none. Empty means there is no such role.
	RoleARN string `json:"roleARN,omitempty"`

	// RoleAnnotations are the service account annotations that may name a
	// pod's role; the first one that is set counts. The kubelet passes only
	// those that its configuration lists too.
	RoleAnnotations []string `json:"roleAnnotations,omitempty"`

	// Accounts says for registries of other accounts which role the node
	// assumes to read them, by account number. Without an entry the node's
	// own identity is used, and the registry's policy has to allow it.
	Accounts map[string]Account `json:"accounts,omitempty"`
}

// Account is how the node gets at the registries of one AWS account.
type Account struct {
	// RoleARN is the role to assume.
	RoleARN string `json:"roleARN"`

	// ExternalID is what the role's trust policy asks for. Empty sends none.
	ExternalID string `json:"externalID,omitempty"`
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVar(&s.RoleARN, "role-arn", s.RoleARN, "`role` that pods assume with their own token when their service account names none")
	fs.StringSliceVar(&s.RoleAnnotations, "role-annotation", s.RoleAnnotations, "service account `annotation` that names a pod's role; repeatable")
	fs.Var(&accountsFlag{accounts: &s.Accounts}, "account", "role that the node assumes for an account's registries; repeatable")
	settings.Env(fs, "role-arn", "AWS_ECR_ROLE_ARN")
	settings.Env(fs, "ca-file", "AWS_CA_BUNDLE")
}

// Validate finds what the types allow and the meaning does not.
func (s *Settings) Validate() error {
	if s.RoleARN != "" {
		if _, err := parseRole(s.RoleARN); err != nil {
			return fmt.Errorf("roleARN: %w", err)
		}
	}
	if slices.Contains(s.RoleAnnotations, "") {
		return fmt.Errorf("roleAnnotations: an annotation is empty")
	}
	for number, account := range s.Accounts {
		if !isAccount(number) {
			return fmt.Errorf("accounts[%q]: is not an account number of twelve digits", number)
		}
		if _, err := parseRole(account.RoleARN); err != nil {
			return fmt.Errorf("accounts[%q].roleARN: %w", number, err)
		}
		if id := account.ExternalID; id != "" && !isExternalID(id) {
			return fmt.Errorf("accounts[%q].externalID: has a character or a length that IAM does not allow", number)
		}
	}
	return nil
}

// Provider returns the cloud with these settings.
func (s *Settings) Provider(getenv func(string) string) credential.Provider {
	return &provider{settings: s, getenv: getenv}
}

type provider struct {
	settings *Settings
	getenv   func(string) string
}

// Source decides by the host whether a registry is ECR's, and by the request
// and the settings with whose identity ECR is asked.
func (p *provider) Source(request credential.Request) (credential.Source, error) {
	registry, ok := parseRegistry(request.Registry)
	if !ok {
		return nil, nil
	}
	identity, err := p.identity(request, registry)
	if err != nil {
		return nil, err
	}
	return &source{
		registry:    registry,
		identity:    identity,
		caFile:      p.settings.CAFile,
		environment: p.environment(identity),
	}, nil
}

// identity says with whose rights a request is answered.
func (p *provider) identity(request credential.Request, registry registry) (identity, error) {
	if request.Pod == nil {
		return p.node(registry)
	}
	arn, where := p.settings.RoleARN, "--role-arn"
	for _, name := range p.settings.RoleAnnotations {
		if value := request.Annotations[name]; value != "" {
			arn, where = value, "annotation "+name
			break
		}
	}
	switch {
	case arn != "":
		role, err := parseRole(arn)
		if err != nil {
			return identity{}, fmt.Errorf("%s: %s: %w", request.Pod, where, err)
		}
		if role.partition != registry.partition {
			if registry.public {
				return identity{anonymous: true}, nil
			}
			return identity{}, fmt.Errorf("%s: %s: %w", request.Pod, where, elsewhere(role, registry))
		}
		return identity{pod: request.Pod, scope: p.settings.IdentityScope, role: role}, nil
	case p.settings.NodeFallback:
		return p.node(registry)
	case registry.public:
		return identity{anonymous: true}, nil
	default:
		return identity{}, fmt.Errorf("%s names no role to pull with: annotate it with %s and list that annotation in the kubelet's tokenAttributes, set --role-arn, or allow the node's identity with --node-fallback",
			request.Pod, strings.Join(p.settings.RoleAnnotations, " or "))
	}
}

// node returns the node's identity, and the role that it assumes for the
// registry's account if there is one.
func (p *provider) node(registry registry) (identity, error) {
	account, ok := p.settings.Accounts[registry.account]
	if !ok {
		return identity{}, nil
	}
	role, err := parseRole(account.RoleARN)
	if err == nil && role.partition != registry.partition {
		err = elsewhere(role, registry)
	}
	if err != nil {
		return identity{}, fmt.Errorf("accounts[%q].roleARN: %w", registry.account, err)
	}
	return identity{role: role, externalID: account.ExternalID}, nil
}

// elsewhere is the error of a role that no service of the registry's partition
// knows.
func elsewhere(role role, registry registry) error {
	return fmt.Errorf("is a role of partition %s, but %s is in %s", role.partition, registry, registry.partition)
}

// environment returns what decides, outside the settings, which endpoints are
// asked and, for the node, who it is: part of the key. What the files say that
// they name is not in the key.
func (p *provider) environment(i identity) []string {
	names := []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	}
	if i.pod == nil && !i.anonymous {
		names = append(names,
			"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "HOME",
			"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_LOGIN_CACHE_DIRECTORY",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
			"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "AWS_EC2_METADATA_DISABLED",
		)
	}
	return settings.Environment(func(name string) string {
		value := p.getenv(name)
		if name == "HOME" && value == "/root" {
			// The SDK finds root's home without HOME too, which the kubelet's
			// plugins seldom have and a person at a shell does.
			return ""
		}
		return value
	}, names...)
}

// identity is with whose rights ECR is asked. The zero value is the node
// itself.
type identity struct {
	// anonymous asks nobody: the public registry needs no credential.
	anonymous bool
	// pod assumes role with its own token. Nil means the node.
	pod   *serviceaccount.Token
	scope serviceaccount.Scope
	// role is assumed by the pod, or by the node for another account.
	role role
	// externalID goes with a role that the node assumes.
	externalID string
}

// key returns what tells the identity from every other one.
func (i identity) key() []string {
	if i.anonymous {
		return []string{"anonymous"}
	}
	key := []string{"node"}
	if i.pod != nil {
		key = i.pod.Identity(i.scope)
	}
	return append(key, i.role.arn, i.externalID)
}

// String names the identity in messages.
func (i identity) String() string {
	switch {
	case i.pod != nil:
		return i.pod.String() + " as " + i.role.arn
	case i.role.arn != "":
		return "the node as " + i.role.arn
	default:
		return "the node's identity"
	}
}

// accountsFlag reads ACCOUNT=ROLE_ARN[#EXTERNAL_ID], several of them separated
// by spaces, as often as it is given. The first time replaces what was there,
// as with every flag that can be repeated. Neither a role nor an external ID
// can hold a number sign; both can hold commas.
type accountsFlag struct {
	accounts *map[string]Account
	given    bool
}

// Set adds accounts.
func (f *accountsFlag) Set(s string) error {
	if !f.given {
		*f.accounts, f.given = map[string]Account{}, true
	}
	for _, one := range strings.Fields(s) {
		number, rest, found := strings.Cut(one, "=")
		if !found {
			return errors.New("want " + f.Type())
		}
		arn, externalID, _ := strings.Cut(rest, "#")
		(*f.accounts)[number] = Account{RoleARN: arn, ExternalID: externalID}
	}
	return nil
}

// String lists the accounts.
func (f *accountsFlag) String() string {
	if f.accounts == nil {
		return "" // pflag asks the zero value
	}
	all := make([]string, 0, len(*f.accounts))
	for number, account := range *f.accounts {
		all = append(all, number+"="+account.RoleARN)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// Type names the value in the flag's usage.
func (f *accountsFlag) Type() string { return "ACCOUNT=ROLE_ARN[#EXTERNAL_ID]" }
