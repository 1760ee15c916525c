package aws

import (
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud/fake"
)

// Action is something that a policy allows.
type Action string

// ECR asks for the first, ECR Public for both of the others.
const (
	ECRToken       Action = "ecr:GetAuthorizationToken"
	ECRPublicToken Action = "ecr-public:GetAuthorizationToken"
	BearerToken    Action = "sts:GetServiceBearerToken"
)

// Role is an IAM role. It can be assumed by whom it trusts: nobody, when
// Subjects and Principals are empty.
type Role struct {
	ARN   string // arn:PARTITION:iam::ACCOUNT:role/NAME
	Allow []Action

	Subjects   []string      // service accounts, as system:serviceaccount:NAMESPACE:NAME
	Principals []string      // ARNs of users, of roles and of sessions
	ExternalID string        // asked of Principals; empty: not asked for
	MaxSession time.Duration // zero: an hour
}

// User is an IAM user.
type User struct {
	ARN   string // arn:PARTITION:iam::ACCOUNT:user/NAME
	Allow []Action
}

// Principal is who makes a call.
type Principal struct {
	ARN  string // of a user, or of the session of an assumed role
	Role string // ARN of the role behind a session; empty: a user
}

// Account is the twelve digits of the principal's account.
func (p Principal) Account() string { return arnField(p.ARN, 4) }

func (p Principal) partition() string { return arnField(p.ARN, 1) }

// policyOwner is whose policy says what the principal may do.
func (p Principal) policyOwner() string {
	if p.Role != "" {
		return p.Role
	}
	return p.ARN
}

// trusts reports whether a role names a principal: itself, or its role.
func (r Role) trusts(caller Principal) bool {
	return slices.Contains(r.Principals, caller.ARN) || slices.Contains(r.Principals, caller.policyOwner())
}

// AddRole makes a role, or changes the one of the same ARN. A change counts
// for sessions that exist, too.
func (f *Fake) AddRole(role Role) {
	f.identities.mu.Lock()
	defer f.identities.mu.Unlock()
	f.identities.roles[role.ARN] = role
	f.identities.policies[role.ARN] = role.Allow
}

// AddUser makes a user and issues keys, which never expire.
func (f *Fake) AddUser(user User) Credentials {
	f.identities.mu.Lock()
	f.identities.policies[user.ARN] = user.Allow
	f.identities.mu.Unlock()
	return f.identities.issue("AKIA", "", time.Time{}, Principal{ARN: user.ARN})
}

// identities is who exists, what they may do and what credentials they hold.
type identities struct {
	mu       sync.Mutex
	roles    map[string]Role          // by ARN
	policies map[string][]Action      // by ARN of the role or user
	holders  fake.Ledger[Credentials] // by access key id
}

func newIdentities() *identities {
	return &identities{
		roles:    map[string]Role{},
		policies: map[string][]Action{},
	}
}

func (i *identities) role(arn string) (Role, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	role, ok := i.roles[arn]
	return role, ok
}

// permit refuses a principal that lacks one of the actions.
func (i *identities) permit(caller Principal, actions ...Action) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, action := range actions {
		if !slices.Contains(i.policies[caller.policyOwner()], action) {
			return Denied(caller.ARN, action)
		}
	}
	return nil
}

// arnField returns one of the six fields of an ARN, empty when there is none:
// arn, partition, service, region, account, resource.
func arnField(arn string, index int) string {
	fields := strings.SplitN(arn, ":", 6)
	if index >= len(fields) {
		return ""
	}
	return fields[index]
}

// roleName is the last part of a role's ARN: what comes before is its path.
func roleName(arn string) string {
	return arn[strings.LastIndex(arn, "/")+1:]
}
