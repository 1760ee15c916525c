package aws

import (
	"net/http"
	"time"

	"regcred/e2e/cloud"
)

const instanceID = "i-0123456789abcdef0"

// listRoles answers the name of the instance's only role.
func (f *Fake) listRoles(x *cloud.Exchange, instance InstanceSettings) error {
	if instance.Role == "" {
		return imdsRefusal(http.StatusNotFound, "Not Found")
	}
	name := roleName(instance.Role)
	if f.useEmptyList() {
		x.Summarize("not ready yet")
		name = ""
	}
	_, err := x.Write([]byte(name))
	return err
}

// useEmptyList takes one of the empty lists that the settings ask for.
func (f *Fake) useEmptyList() (used bool) {
	f.Configure(func(s *Settings) {
		if used = s.Instance.EmptyLists > 0; used {
			s.Instance.EmptyLists--
		}
	})
	return used
}

// roleDocument is the credentials document of the metadata service.
type roleDocument struct {
	Code            string
	Message         string `json:",omitempty"`
	LastUpdated     time.Time
	Type            string    `json:",omitempty"`
	AccessKeyID     string    `json:"AccessKeyId,omitempty"`
	SecretAccessKey string    `json:",omitempty"`
	Token           string    `json:",omitempty"`
	Expiration      time.Time `json:",omitzero"`
}

func (f *Fake) getRole(x *cloud.Exchange, name string, instance InstanceSettings) error {
	role, ok := f.identities.role(instance.Role)
	if !ok || name != roleName(role.ARN) {
		return imdsRefusal(http.StatusNotFound, "Not Found")
	}
	x.Summarize("%s", role.ARN)
	now := f.Now().UTC().Truncate(time.Second)
	if instance.CredentialsCode != "" {
		return answerIndented(x, roleDocument{
			Code:        instance.CredentialsCode,
			Message:     "EC2 cannot assume the role " + role.ARN + ".",
			LastUpdated: now,
		})
	}
	held := f.instanceCredentials(role, instance.CredentialsLife)
	return answerIndented(x, roleDocument{
		Code:            "Success",
		LastUpdated:     now,
		Type:            "AWS-HMAC",
		AccessKeyID:     held.AccessKeyID,
		SecretAccessKey: held.SecretAccessKey,
		Token:           held.SessionToken,
		Expiration:      held.Expires.UTC().Truncate(time.Second),
	})
}

// instanceKey is what an instance's credentials are of.
type instanceKey struct {
	role string // ARN
	life time.Duration
}

// instanceCredentials are the ones that everybody on the instance gets until
// half of their life is over.
func (f *Fake) instanceCredentials(role Role, life time.Duration) Credentials {
	if life == 0 {
		life = 6 * time.Hour
	}
	now := f.Now()
	return f.instance.Get(instanceKey{role.ARN, life}, now, func() (Credentials, time.Time) {
		return f.openSession(role, instanceID, life), now.Add(life / 2)
	})
}
