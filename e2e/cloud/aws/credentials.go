package aws

import (
	"crypto/rand"
	"fmt"
	"time"

	"regcred/e2e/cloud/fake"
)

// Credentials is what signs a call.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // empty: a user's
	Expires         time.Time // zero: never
	Principal       Principal
}

func (c Credentials) expiredAt(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// AddSession issues credentials of a role that AddRole made, as somebody
// might copy them into an environment. A life that is not positive makes them
// expired.
func (f *Fake) AddSession(roleARN, name string, life time.Duration) (Credentials, error) {
	role, ok := f.identities.role(roleARN)
	if !ok {
		return Credentials{}, fmt.Errorf("aws: no role %s", roleARN)
	}
	return f.openSession(role, name, life), nil
}

// openSession issues credentials of a role. A session's ARN drops the path of
// its role's.
func (f *Fake) openSession(role Role, name string, life time.Duration) Credentials {
	return f.identities.issue("ASIA", fake.Base64(420), f.Now().Add(life), Principal{
		ARN: fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s",
			arnField(role.ARN, 1), arnField(role.ARN, 4), roleName(role.ARN), name),
		Role: role.ARN,
	})
}

func (i *identities) issue(prefix, sessionToken string, expires time.Time, principal Principal) Credentials {
	credentials := Credentials{
		AccessKeyID:     prefix + rand.Text()[:16],
		SecretAccessKey: fake.Base64(30),
		SessionToken:    sessionToken,
		Expires:         expires,
		Principal:       principal,
	}
	i.holders.Add(credentials.AccessKeyID, credentials)
	return credentials
}
