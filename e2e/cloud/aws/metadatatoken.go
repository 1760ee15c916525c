package aws

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"regcred/e2e/cloud"
)

// putToken answers a token for as many seconds as were asked for. A request
// that came through a proxy has an X-Forwarded-For header and is refused.
func (f *Fake) putToken(x *cloud.Exchange, r *cloud.Request, instance InstanceSettings) error {
	const lifeHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	if r.Method != http.MethodPut {
		return imdsFormRefusal(http.StatusMethodNotAllowed, "Method Not Allowed")
	}
	if r.Header.Get("X-Forwarded-For") != "" {
		return imdsFormRefusal(http.StatusForbidden, "Forbidden")
	}
	seconds, err := strconv.Atoi(r.Header.Get(lifeHeader))
	if err != nil || seconds < 1 || seconds > 21600 {
		return imdsFormRefusal(http.StatusBadRequest, "Bad Request")
	}
	if instance.HopLimited {
		<-r.Context().Done()
		return nil
	}
	x.Header().Set(lifeHeader, strconv.Itoa(seconds))
	_, err = x.Write([]byte(f.metadata.issue(f.now().Add(time.Duration(seconds) * time.Second))))
	return err
}

// metadataTokens is the tokens of the metadata service that were issued, and
// when they expire.
type metadataTokens struct {
	mu      sync.Mutex
	expires map[string]time.Time
}

func (m *metadataTokens) issue(expires time.Time) string {
	token := randomBase64(42)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expires[token] = expires
	return token
}

// check refuses a request without a token, which is one of version 1, and one
// whose token is unknown or has expired.
func (m *metadataTokens) check(token string, now time.Time) error {
	if token == "" {
		return imdsFormRefusal(http.StatusUnauthorized, "Unauthorized")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if expires, ok := m.expires[token]; !ok || !now.Before(expires) {
		return imdsRefusal(http.StatusUnauthorized, "Unauthorized")
	}
	return nil
}
