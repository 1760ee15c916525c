package ecr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

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

	// Accounts are the identities with which the node reads registries that its
	// own may not: by the number of an account; by the name of a partition
	// ("aws-cn") for all that is there and has no entry itself; or as "public"
	// for the public registry. Without an entry the node's own identity is used,
	// and the registry's policy has to allow it.
	Accounts map[string]Account `json:"accounts,omitempty"`
}

// Account is an identity with which the node reads registries: a profile, a
// role, or a role that is assumed with a profile's credentials.
type Account struct {
	// Profile is the profile of the AWS configuration files whose credentials
	// are used. Empty means the SDK's default chain.
	Profile string `json:"profile,omitempty"`

	// RoleARN is the role to assume with these credentials. Empty assumes none.
	RoleARN string `json:"roleARN,omitempty"`

	// ExternalID is what the role's trust policy asks for. Empty sends none.
	ExternalID string `json:"externalID,omitempty"`
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVar(&s.RoleARN, "role-arn", s.RoleARN, "`role` that pods assume with their own token when their service account names none")
	fs.StringSliceVar(&s.RoleAnnotations, "role-annotation", s.RoleAnnotations, "service account `annotation` that names a pod's role; repeatable")
	fs.Var(&accountsFlag{accounts: &s.Accounts}, "account", "role or profile with which the node reads the registries of an account, of a partition (aws-cn), or the public one (public); repeatable")
	settings.Env(fs, "role-arn", "AWS_ECR_ROLE_ARN")
	settings.Env(fs, "ca-file", "AWS_CA_BUNDLE")
}

// Provider compiles the settings.
func (s *Settings) Provider(run plugin.Run) (credential.Provider, error) {
	p := &provider{
		fallback:      s.NodeFallback,
		identityScope: s.IdentityScope,
		annotations:   s.RoleAnnotations,
		accounts:      make(map[string]identity, len(s.Accounts)),
		endpoints:     newEndpoints(s.CAFile, run.Getenv),
	}
	var err error
	if s.RoleARN != "" {
		if p.role, err = parseRole(s.RoleARN); err != nil {
			return nil, fmt.Errorf("roleARN: %w", err)
		}
	}
	if slices.Contains(s.RoleAnnotations, "") {
		return nil, errors.New("roleAnnotations: empty annotation")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Accounts)) {
		if p.accounts[name], err = s.Accounts[name].compile(name); err != nil {
			return nil, fmt.Errorf("accounts[%q]%w", name, err)
		}
	}
	return p, nil
}

// publicAccount names the public registry among the accounts.
const publicAccount = "public"

// compile makes the identity of an account's entry. Its error goes on where the
// path of the field ends.
func (a Account) compile(name string) (identity, error) {
	i := identity{profile: a.Profile, externalID: a.ExternalID}
	var err error
	switch {
	case !isAccount(name) && !isPartition(name) && name != publicAccount:
		return identity{}, errors.New(": neither an account number of twelve digits, a partition such as aws-cn, nor public")
	case a.RoleARN == "" && a.ExternalID != "":
		return identity{}, errors.New(".externalID: no roleARN that it goes with")
	case a.RoleARN == "" && a.Profile == "":
		return identity{}, errors.New(": neither a roleARN nor a profile")
	case a.RoleARN == "":
		return i, nil
	case a.ExternalID != "" && !isExternalID(a.ExternalID):
		return identity{}, errors.New(".externalID: a character or a length that IAM does not allow")
	}
	if i.role, err = parseRole(a.RoleARN); err != nil {
		return identity{}, fmt.Errorf(".roleARN: %w", err)
	}
	return i, nil
}

// accountsFlag reads ACCOUNT=ROLE_ARN[#EXTERNAL_ID] or ACCOUNT=profile:NAME,
// several of them separated by spaces, as often as it is given. The first time
// replaces what was there, as with every flag that can be repeated. Neither a
// role nor an external ID can hold a number sign; both can hold commas.
type accountsFlag struct {
	accounts *map[string]Account
	given    bool
}

const profilePrefix = "profile:"

// Set adds accounts.
func (f *accountsFlag) Set(s string) error {
	if !f.given {
		*f.accounts, f.given = map[string]Account{}, true
	}
	for _, one := range strings.Fields(s) {
		name, rest, found := strings.Cut(one, "=")
		if !found || rest == "" {
			return errors.New("want " + f.Type())
		}
		if profile, ok := strings.CutPrefix(rest, profilePrefix); ok {
			(*f.accounts)[name] = Account{Profile: profile}
			continue
		}
		arn, externalID, _ := strings.Cut(rest, "#")
		(*f.accounts)[name] = Account{RoleARN: arn, ExternalID: externalID}
	}
	return nil
}

// String lists the accounts.
func (f *accountsFlag) String() string {
	if f.accounts == nil {
		return "" // pflag asks the zero value
	}
	all := make([]string, 0, len(*f.accounts))
	for name, account := range *f.accounts {
		value := account.RoleARN
		if value == "" {
			value = profilePrefix + account.Profile
		}
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// Type names the value in the flag's usage.
func (f *accountsFlag) Type() string {
	return "ACCOUNT=ROLE_ARN[#EXTERNAL_ID]|" + profilePrefix + "NAME"
}
