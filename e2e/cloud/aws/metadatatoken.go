package aws

import (
	"net/http"
	"strconv"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
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
	token := fake.Base64(42)
	f.metadata.Add(token, f.Now().Add(time.Duration(seconds)*time.Second))
	_, err = x.Write([]byte(token))
	return err
}

// checkMetadataToken refuses a request without a token, which is one of version
// 1, and one whose token is unknown or has expired.
func (f *Fake) checkMetadataToken(token string) error {
	if token == "" {
		return imdsFormRefusal(http.StatusUnauthorized, "Unauthorized")
	}
	if expires, ok := f.metadata.Find(token); !ok || !f.Now().Before(expires) {
		return imdsRefusal(http.StatusUnauthorized, "Unauthorized")
	}
	return nil
}
