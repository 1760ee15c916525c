package gcr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// awsSource makes the subject token of a role of AWS: a request of its STS,
// signed by the role and not sent. Whoever sends it, as Google does, is told
// whose role it is.
type awsSource struct {
	*fileToken
	credentials *credentials
}

// verification is the request that is signed.
const verification = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"

func (s awsSource) subjectToken(ctx context.Context) (string, error) {
	role, region, err := s.role(ctx)
	if err != nil {
		return "", err
	}
	credential.NewSecret(role.SecretAccessKey) // for messages to be cleared of
	credential.NewSecret(role.SessionToken)
	address := s.credentials.CredentialSource.RegionalCredVerificationURL
	if address == "" {
		address = verification
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.ReplaceAll(address, "{region}", region), nil)
	if err != nil {
		return "", s.mistake(errors.New("credential_source.regional_cred_verification_url: not a URL"))
	}
	return s.sign(ctx, request, role, region, time.Now())
}

// sign signs a request for who is to send it, and for nobody else.
func (s awsSource) sign(ctx context.Context, request *http.Request, role aws.Credentials, region string, now time.Time) (string, error) {
	request.Header.Set("X-Goog-Cloud-Target-Resource", s.credentials.Audience)
	nothing := sha256.Sum256(nil)
	service, _, _ := strings.Cut(request.URL.Host, ".")
	if err := v4.NewSigner().SignHTTP(ctx, role, request, hex.EncodeToString(nothing[:]), service, region, now.UTC()); err != nil {
		return "", s.mistake(errors.New("request of AWS: cannot be signed"))
	}
	request.Header.Set("Host", request.URL.Host)
	type header struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	var headers []header
	for name := range request.Header {
		headers = append(headers, header{name, request.Header.Get(name)})
	}
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.Key, b.Key) })
	signed, err := json.Marshal(struct {
		URL     string   `json:"url"`
		Method  string   `json:"method"`
		Headers []header `json:"headers"`
	}{request.URL.String(), request.Method, headers})
	if err != nil {
		return "", s.mistake(err)
	}
	return url.QueryEscape(string(signed)), nil
}

// role returns the credentials of a role, and its region: of the environment,
// or of the instance.
func (s awsSource) role(ctx context.Context) (aws.Credentials, string, error) {
	role := aws.Credentials{AccessKeyID: s.getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: s.getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: s.getenv("AWS_SESSION_TOKEN")}
	region := s.getenv("AWS_REGION")
	if region == "" {
		region = s.getenv("AWS_DEFAULT_REGION")
	}
	inEnvironment := role.AccessKeyID != "" && role.SecretAccessKey != ""
	if inEnvironment && region != "" {
		return role, region, nil
	}
	header, err := s.session(ctx)
	if err == nil && !inEnvironment {
		role, err = s.instanceRole(ctx, header)
	}
	if err == nil && region == "" {
		region, err = s.instanceRegion(ctx, header)
	}
	return role, region, err
}

// session returns the header of a session of the instance's metadata service,
// which version 2 of its protocol asks for.
func (s awsSource) session(ctx context.Context) (http.Header, error) {
	address := s.credentials.CredentialSource.IMDSv2SessionTokenURL
	if address == "" {
		return nil, nil
	}
	reply := s.askSource(ctx, cloudhttp.Call{Method: http.MethodPut, URL: address, Header: http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"300"}}})
	if !reply.OK() {
		return nil, s.explainSource(reply, errRefused)
	}
	return http.Header{"X-Aws-Ec2-Metadata-Token": {strings.TrimSpace(string(reply.Body))}}, nil
}

// get asks the instance's metadata service.
func (s awsSource) get(ctx context.Context, field, address string, header http.Header) (cloudhttp.Reply, error) {
	if address == "" {
		return cloudhttp.Reply{}, s.mistake(errors.New("credential_source." + field + ": empty, and the environment does not say either"))
	}
	reply := s.askSource(ctx, cloudhttp.Call{URL: address, Header: header})
	switch {
	case reply.OK() && len(reply.Body) > 0:
		return reply, nil
	case reply.OK():
		return reply, s.explainSource(reply, errors.New("empty answer"))
	case reply.Unauthorized() && header == nil:
		return reply, explain(reply, errRefused, s.caller(), refusal(
			"this instance's metadata service takes version 2 of its protocol alone, which the file does not know",
			`add "imdsv2_session_token_url": "http://`+reply.Host+`/latest/api/token" to credential_source in `+s.file))
	default:
		return reply, s.explainSource(reply, errRefused)
	}
}

// instanceRole returns the credentials of the instance's role.
func (s awsSource) instanceRole(ctx context.Context, header http.Header) (aws.Credentials, error) {
	address := s.credentials.CredentialSource.URL
	name, err := s.get(ctx, "url", address, header)
	if err != nil {
		return aws.Credentials{}, err
	}
	reply, err := s.get(ctx, "url", address+"/"+strings.TrimSpace(string(name.Body)), header)
	if err != nil {
		return aws.Credentials{}, err
	}
	var role struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string `json:"SecretAccessKey"`
		Token           string `json:"Token"`
	}
	if err := reply.Decode(&role); err != nil {
		return aws.Credentials{}, s.explainSource(reply, err)
	}
	if role.AccessKeyID == "" || role.SecretAccessKey == "" {
		return aws.Credentials{}, s.explainSource(reply, errors.New("the answer holds no credentials of a role"))
	}
	return aws.Credentials{AccessKeyID: role.AccessKeyID, SecretAccessKey: role.SecretAccessKey, SessionToken: role.Token}, nil
}

// instanceRegion returns the region of the instance's zone, which has one more
// letter.
func (s awsSource) instanceRegion(ctx context.Context, header http.Header) (string, error) {
	reply, err := s.get(ctx, "region_url", s.credentials.CredentialSource.RegionURL, header)
	if err != nil {
		return "", err
	}
	zone := strings.TrimSpace(string(reply.Body))
	return zone[:max(0, len(zone)-1)], nil
}
