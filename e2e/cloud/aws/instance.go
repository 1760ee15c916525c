package aws

import (
	"net/http"
	"sync"
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
func (f *Fake) useEmptyList() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settings.Instance.EmptyLists == 0 {
		return false
	}
	f.settings.Instance.EmptyLists--
	return true
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
	now := f.now().UTC().Truncate(time.Second)
	if instance.CredentialsCode != "" {
		return answerIndented(x, roleDocument{
			Code:        instance.CredentialsCode,
			Message:     "EC2 cannot assume the role " + role.ARN + ".",
			LastUpdated: now,
		})
	}
	held := f.instance.credentials(f, role, instance.CredentialsLife)
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

// instanceSession is the credentials that an instance holds. Everybody on it
// gets the same ones until half of their life is over.
type instanceSession struct {
	mu    sync.Mutex
	held  Credentials
	life  time.Duration
	until time.Time
}

func (s *instanceSession) credentials(f *Fake, role Role, life time.Duration) Credentials {
	if life == 0 {
		life = 6 * time.Hour
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := f.now(); s.held.Principal.Role != role.ARN || s.life != life || !now.Before(s.until) {
		s.held, s.life, s.until = f.openSession(role, instanceID, life), life, now.Add(life/2)
	}
	return s.held
}
