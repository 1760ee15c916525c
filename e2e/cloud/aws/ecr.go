package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorizationData is the answer to GetAuthorizationToken.
type authorizationData struct {
	AuthorizationToken string        `json:"authorizationToken"`
	ExpiresAt          *exponentTime `json:"expiresAt,omitempty"`
	ProxyEndpoint      string        `json:"proxyEndpoint,omitempty"`
}

// exponentTime is written as ECR does: seconds with a fraction, in exponent
// form, such as 1.7000000005E9.
type exponentTime time.Time

func (t exponentTime) MarshalJSON() ([]byte, error) {
	seconds := float64(time.Time(t).UnixMilli()) / 1000
	return []byte(strings.Replace(strconv.FormatFloat(seconds, 'E', -1, 64), "E+0", "E", 1)), nil
}

// ecr is the API of the private registries of one region. It answers a list.
func (f *Fake) ecr(e endpoint) http.Handler {
	const target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
	return f.jsonService(e, target, func(caller Principal, body []byte) (any, error) {
		if err := checkRegistryIDs(body); err != nil {
			return nil, err
		}
		if err := f.identities.permit(caller, ECRToken); err != nil {
			return nil, err
		}
		data := []authorizationData{}
		if issued, ok := f.authorize(caller, e); ok {
			issued.ProxyEndpoint = fmt.Sprintf("https://%s.dkr.ecr.%s.%s", caller.Account(), e.region, e.partition.suffix)
			data = append(data, issued)
		}
		return map[string]any{"authorizationData": data}, nil
	})
}

// ecrPublic is the API of the public registry. It answers an object where
// the private one answers a list, and names no registry.
func (f *Fake) ecrPublic(e endpoint) http.Handler {
	const target = "SpencerFrontendService.GetAuthorizationToken"
	return f.jsonService(e, target, func(caller Principal, _ []byte) (any, error) {
		if err := f.identities.permit(caller, ECRPublicToken, BearerToken); err != nil {
			return nil, err
		}
		issued, ok := f.authorize(caller, e)
		if !ok {
			return map[string]any{"authorizationData": struct{}{}}, nil
		}
		return map[string]any{"authorizationData": issued}, nil
	})
}

var registryID = regexp.MustCompile(`^[0-9]{12}$`)

// checkRegistryIDs accepts the deprecated list of registries: it changes
// nothing about the token.
func checkRegistryIDs(body []byte) error {
	var request struct {
		RegistryIDs *[]string `json:"registryIds"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return formRefusal("SerializationException", "registryIds is not a list of strings")
	}
	if request.RegistryIDs == nil {
		return nil
	}
	ids := *request.RegistryIDs
	wellFormed := !slices.ContainsFunc(ids, func(id string) bool { return !registryID.MatchString(id) })
	if len(ids) < 1 || len(ids) > 10 || !wellFormed {
		return formRefusal("InvalidParameterException", "Invalid parameter at 'registryIds' failed to satisfy constraint: '1 to 10 account ids'")
	}
	return nil
}
