package ecr

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// respond is an answer of a fake.
func respond(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// fakeAWS is a transport to an AWS that gives everybody everything, unless it
// is told otherwise. It notes what it was asked: "SERVICE HOST OPERATION REGION",
// where the region is what the request was signed for.
type fakeAWS struct {
	mu    sync.Mutex
	asked []string

	// refuse answers in place of what would be answered, unless it returns nil.
	refuse func(*http.Request) (*http.Response, error)
}

func (f *fakeAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	f.asked = append(f.asked, describe(r, body))
	f.mu.Unlock()
	if f.refuse != nil {
		if response, err := f.refuse(r); response != nil || err != nil {
			return response, err
		}
	}
	return answerAWS(r, body), nil
}

func describe(r *http.Request, body []byte) string {
	operation := cmp.Or(r.Method, http.MethodGet) + " " + r.URL.Path
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, operation, _ = strings.Cut(target, ".")
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		operation = form.Get("Action")
	}
	region := "unsigned"
	if _, scope, signed := strings.Cut(r.Header.Get("Authorization"), "Credential="); signed {
		parts := strings.Split(scope, "/")
		region = parts[0] + " in " + parts[2]
	}
	return r.URL.Host + " " + operation + " " + region
}

func answerAWS(r *http.Request, body []byte) *http.Response {
	const (
		key  = `"AccessKeyId":"%s","SecretAccessKey":"secret","Token":"session","Expiration":"2099-01-01T00:00:00Z"`
		user = `<AssumedRoleUser><Arn>%s/session</Arn><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>`
	)
	header := http.Header{}
	form, _ := url.ParseQuery(string(body))
	switch path := r.URL.Path; {
	case path == "/latest/api/token":
		header.Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		return respond(200, header, "metadata-token")
	case path == "/latest/meta-data/iam/security-credentials/":
		return respond(200, header, "kube-node")
	case strings.HasPrefix(path, "/latest/meta-data/iam/security-credentials/"):
		return respond(200, header, `{"Code":"Success",`+fmt.Sprintf(key, "INSTANCE")+"}")
	case path == "/container":
		return respond(200, header, "{"+fmt.Sprintf(key, "CONTAINER")+"}")
	case form.Get("Action") != "":
		action := form.Get("Action")
		assumed := strings.Replace(strings.Replace(form.Get("RoleArn"), ":iam:", ":sts:", 1), ":role/", ":assumed-role/", 1)
		return respond(200, header, fmt.Sprintf(`<%sResponse><%[1]sResult><Credentials><AccessKeyId>SESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
			`<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>`+user+`</%[1]sResult></%[1]sResponse>`, action, assumed))
	}
	token := fmt.Sprintf(`{"authorizationToken":"%s","expiresAt":%d,"proxyEndpoint":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com"}`,
		base64.StdEncoding.EncodeToString([]byte("AWS:password")), time.Now().Add(12*time.Hour).Unix())
	if !strings.HasPrefix(r.Header.Get("X-Amz-Target"), "SpencerFrontendService") {
		token = "[" + token + "]"
	}
	return respond(200, header, `{"authorizationData":`+token+"}")
}

// environ makes the process's environment, which the SDK reads, that of the
// test, and returns its look-up.
func environ(t *testing.T, env ...string) func(string) string {
	t.Helper()
	for _, set := range os.Environ() {
		if name, value, _ := strings.Cut(set, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value) // to be put back
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir())
	for _, set := range env {
		name, value, _ := strings.Cut(set, "=")
		t.Setenv(name, value)
	}
	return os.Getenv
}

// profiles writes an AWS configuration file and returns the variable that names
// it.
func profiles(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "AWS_CONFIG_FILE=" + path
}

// asking returns the source of an image's registry that asks a fake.
func asking(t *testing.T, fake http.RoundTripper, getenv func(string) string, host string, i identity) *source {
	t.Helper()
	s := sourceOf(t, host, i)
	s.endpoints = &endpoints{getenv: getenv, clients: func(string) *cloudhttp.Clients { return cloudhttp.Through(fake) }}
	return s
}

const (
	askToken = imdsAddress + " PUT /latest/api/token unsigned"
	askRoles = imdsAddress + " GET /latest/meta-data/iam/security-credentials/ unsigned"
	askRole  = imdsAddress + " GET /latest/meta-data/iam/security-credentials/kube-node unsigned"
)

func mustRole(t *testing.T, arn string) role {
	t.Helper()
	parsed, err := parseRole(arn)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// Every kind of credentials is asked for along the plugin's own way, and the
// answer says whose they were.
func TestWhoIsAskedAndAsWhom(t *testing.T) {
	const (
		asked   = "api.ecr.us-east-1.amazonaws.com GetAuthorizationToken "
		node    = "arn:aws:sts::123456789012:assumed-role/node/session"
		roleARN = "arn:aws:iam::123456789012:role/node"
	)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("e30.e30.c2ln"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		env    []string
		i      identity
		public bool
		asked  []string
		caller string
	}{
		"instance": {
			asked:  []string{askToken, askRoles, askRole, asked + "INSTANCE in us-east-1"},
			caller: "instance role kube-node of account 123456789012",
		},
		"instance, the public registry": {
			public: true,
			asked:  []string{askToken, askRoles, askRole, "api.ecr-public.us-east-1.amazonaws.com GetAuthorizationToken INSTANCE in us-east-1"},
			caller: "instance role kube-node",
		},
		"access key": {
			env:    []string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret"},
			asked:  []string{asked + "KEY in us-east-1"},
			caller: "an identity of account 123456789012",
		},
		"web identity": {
			env:    []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + token, "AWS_ROLE_ARN=" + roleARN},
			asked:  []string{"sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity unsigned", asked + "SESSION in us-east-1"},
			caller: node,
		},
		"profile with a role": {
			env:    []string{"AWS_PROFILE=pull", profiles(t, "[profile pull]\nrole_arn="+roleARN+"\ncredential_source=Ec2InstanceMetadata\n")},
			asked:  []string{askToken, askRoles, askRole, "sts.us-east-1.amazonaws.com AssumeRole INSTANCE in us-east-1", asked + "SESSION in us-east-1"},
			caller: node,
		},
		"container": {
			env:    []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/container"},
			asked:  []string{"169.254.170.23 GET /container unsigned", asked + "CONTAINER in us-east-1"},
			caller: "an identity of account 123456789012",
		},
		"another account's role": {
			i:      identity{role: mustRole(t, otherRole)},
			asked:  []string{askToken, askRoles, askRole, "sts.us-east-1.amazonaws.com AssumeRole INSTANCE in us-east-1", asked + "SESSION in us-east-1"},
			caller: "arn:aws:sts::999999999999:assumed-role/regcred/session",
		},
		"another account's profile, not the environment's key": {
			env:    []string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret", profiles(t, "[profile global]\naws_access_key_id=GLOBAL\naws_secret_access_key=secret\n")},
			i:      identity{profile: "global"},
			asked:  []string{asked + "GLOBAL in us-east-1"},
			caller: "an identity of account 123456789012",
		},
		"pod": {
			env:    []string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret"},
			i:      identity{pod: plugintest.Pod(t, "sa", "u", "p"), role: mustRole(t, roleARN)},
			asked:  []string{"sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity unsigned", asked + "SESSION in us-east-1"},
			caller: node,
		},
		"pod, whatever the node's are": {
			env:    []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/not-allowed"},
			i:      identity{pod: plugintest.Pod(t, "sa", "u", "p"), role: mustRole(t, roleARN)},
			asked:  []string{"sts.us-east-1.amazonaws.com AssumeRoleWithWebIdentity unsigned", asked + "SESSION in us-east-1"},
			caller: node,
		},
		"access key, with defaults that ask where they are": {
			env:    []string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULTS_MODE=auto"},
			asked:  []string{asked + "KEY in us-east-1"},
			caller: "an identity of account 123456789012",
		},
		"instance at another address": {
			env: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6"},
			asked: []string{
				"[fd00:ec2::254]" + strings.TrimPrefix(askToken, imdsAddress), "[fd00:ec2::254]" + strings.TrimPrefix(askRoles, imdsAddress),
				"[fd00:ec2::254]" + strings.TrimPrefix(askRole, imdsAddress), asked + "INSTANCE in us-east-1",
			},
			caller: "instance role kube-node of account 123456789012",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake, host := &fakeAWS{}, someHost
			if tc.public {
				host = "public.ecr.aws"
			}
			c, err := asking(t, fake, environ(t, tc.env...), host, tc.i).Fetch(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Username != "AWS" || c.Password.Reveal() != "password" || time.Until(c.Expires) < 11*time.Hour {
				t.Errorf("got %+v", c)
			}
			if c.Caller != tc.caller {
				t.Errorf("as %q, want %q", c.Caller, tc.caller)
			}
			if !slices.Equal(fake.asked, tc.asked) {
				t.Errorf("asked\n%s\nwant\n%s", strings.Join(fake.asked, "\n"), strings.Join(tc.asked, "\n"))
			}
		})
	}
}

// STS takes signatures for its own region alone, which a configured endpoint
// need not share with the registry. The registry's token is of the registry's
// region all the same.
func TestSTSIsAskedInItsOwnRegion(t *testing.T) {
	const west = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
	key := []string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret"}
	for name, tc := range map[string]struct {
		env    []string
		host   string
		region string
	}{
		"none configured":       {nil, "sts.us-west-2.amazonaws.com", "us-west-2"},
		"a region configured":   {[]string{"AWS_REGION=us-east-1"}, "sts.us-west-2.amazonaws.com", "us-west-2"},
		"regional":              {[]string{"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_STS=https://sts.us-east-1.amazonaws.com"}, "sts.us-east-1.amazonaws.com", "us-east-1"},
		"without AWS_REGION":    {[]string{"AWS_ENDPOINT_URL_STS=https://sts.eu-west-1.amazonaws.com"}, "sts.eu-west-1.amazonaws.com", "eu-west-1"},
		"the host decides":      {[]string{"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_STS=https://sts.us-east-1.amazonaws.com"}, "sts.us-east-1.amazonaws.com", "us-east-1"},
		"FIPS":                  {[]string{"AWS_ENDPOINT_URL_STS=https://sts-fips.us-east-2.amazonaws.com", "AWS_USE_FIPS_ENDPOINT=true"}, "sts-fips.us-east-2.amazonaws.com", "us-east-2"},
		"VPC endpoint":          {[]string{"AWS_ENDPOINT_URL_STS=https://vpce-0a1b-us-east-1a.sts.us-east-1.vpce.amazonaws.com"}, "vpce-0a1b-us-east-1a.sts.us-east-1.vpce.amazonaws.com", "us-east-1"},
		"global":                {[]string{"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_STS=https://sts.amazonaws.com"}, "sts.amazonaws.com", "us-east-1"},
		"a name of one's own":   {[]string{"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_STS=https://sts.example.com"}, "sts.example.com", "eu-west-1"},
		"and the other region":  {[]string{"AWS_DEFAULT_REGION=eu-west-1", "AWS_ENDPOINT_URL_STS=https://sts.example.com"}, "sts.example.com", "eu-west-1"},
		"and no region":         {[]string{"AWS_ENDPOINT_URL_STS=https://sts.example.com"}, "sts.example.com", "us-west-2"},
		"a profile's endpoint":  {[]string{profiles(t, "[default]\nregion=us-east-1\nservices=s\n[services s]\nsts =\n  endpoint_url=https://sts.us-east-1.amazonaws.com\n")}, "sts.us-east-1.amazonaws.com", "us-east-1"},
		"a profile's region":    {[]string{"AWS_ENDPOINT_URL_STS=https://sts.example.com", profiles(t, "[default]\nregion=eu-west-1\n")}, "sts.example.com", "eu-west-1"},
		"an endpoint to ignore": {[]string{"AWS_ENDPOINT_URL_STS=https://sts.us-east-1.amazonaws.com", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"}, "sts.us-west-2.amazonaws.com", "us-west-2"},
	} {
		want := []string{
			tc.host + " AssumeRole KEY in " + tc.region,
			"api.ecr.us-west-2.amazonaws.com GetAuthorizationToken SESSION in us-west-2",
		}
		if strings.Contains(name, "FIPS") {
			want[1] = strings.Replace(want[1], "api.ecr.", "api.ecr-fips.", 1)
		}
		t.Run(name, func(t *testing.T) {
			fake := &fakeAWS{}
			getenv := environ(t, append(tc.env, key...)...)
			if _, err := asking(t, fake, getenv, west, identity{role: mustRole(t, pullRole)}).Fetch(t.Context(), nil); err != nil || !slices.Equal(fake.asked, want) {
				t.Errorf("got %v, asked %q, want %q", err, fake.asked, want)
			}
		})
		// The SDK's chain makes clients of STS of its own.
		t.Run(name+", in the chain", func(t *testing.T) {
			fake := &fakeAWS{}
			getenv := environ(t, tc.env...)
			text := "[profile base]\naws_access_key_id=KEY\naws_secret_access_key=secret\n[profile pull]\nsource_profile=base\nrole_arn=" + pullRole + "\n"
			if path := os.Getenv("AWS_CONFIG_FILE"); path != "" {
				own, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				text += strings.TrimPrefix(string(own), "[default]\n")
			}
			_, path, _ := strings.Cut(profiles(t, text), "=")
			t.Setenv("AWS_CONFIG_FILE", path)
			t.Setenv("AWS_PROFILE", "pull")
			if _, err := asking(t, fake, getenv, west, identity{}).Fetch(t.Context(), nil); err != nil || !slices.Equal(fake.asked, want) {
				t.Errorf("got %v, asked %q, want %q", err, fake.asked, want)
			}
		})
	}
}

// A metadata service may take long. The SDK's own client would give up after
// 5 s, with credentials that are on their way.
func TestASlowMetadataServiceIsWaitedFor(t *testing.T) {
	getenv := environ(t)
	for _, needs := range []time.Duration{6 * time.Second, 12 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			fake := &fakeAWS{}
			fake.refuse = func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != imdsAddress {
					return nil, nil
				}
				return nil, cloudhttp.Sleep(r.Context(), needs)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
			defer cancel()
			if _, err := asking(t, fake, getenv, someHost, identity{}).Fetch(ctx, nil); err != nil {
				t.Errorf("a service that needs %s: %v", needs, err)
			}
		})
	}
}

// The SDK takes the deadline off the context in which it asks for credentials.
func TestCredentialsAreAskedForWithinTheDeadline(t *testing.T) {
	getenv := environ(t)
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeAWS{refuse: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := asking(t, fake, getenv, someHost, identity{}).Fetch(ctx, nil); err == nil || time.Since(begin) != 20*time.Second {
			t.Errorf("got %v after %s", err, time.Since(begin))
		}
	})
}

// Version 1 of the metadata service answers whoever can make the node send a
// request.
func TestVersion1OfTheMetadataServiceIsNotAsked(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed} {
		fake := &fakeAWS{refuse: func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut {
				return respond(status, http.Header{}, ""), nil
			}
			return nil, nil
		}}
		getenv := environ(t, "AWS_EC2_METADATA_V1_DISABLED=false")
		_, err := asking(t, fake, getenv, someHost, identity{}).Fetch(t.Context(), nil)
		if err == nil || !slices.Equal(fake.asked, []string{askToken}) {
			t.Errorf("status %d: got %v, asked %q", status, err, fake.asked)
		}
	}
}

// The public registry needs no token: where none can be had, pulls are
// anonymous for some minutes. A service that has a fault may be well again.
func TestThePublicRegistryIsBestEffort(t *testing.T) {
	api := func(answer *http.Response, err error) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "api.ecr-public.us-east-1.amazonaws.com" {
				return nil, nil
			}
			return answer, err
		}
	}
	refused := func(status int, code string) *http.Response {
		return respond(status, http.Header{"X-Amzn-Errortype": {code}}, "{}")
	}
	for name, tc := range map[string]struct {
		refuse    func(*http.Request) (*http.Response, error)
		env       []string
		anonymous bool
	}{
		"out of reach":  {refuse: api(nil, &cloudhttp.SilenceError{Step: cloudhttp.Connecting, After: time.Second}), anonymous: true},
		"no permission": {refuse: api(refused(400, "AccessDeniedException"), nil), anonymous: true},
		"not signed up": {refuse: api(refused(403, "SubscriptionRequiredException"), nil), anonymous: true},
		"no reason":     {refuse: api(respond(403, http.Header{}, ""), nil), anonymous: true},
		"no session":    {env: []string{"AWS_PROFILE=sso", profiles(t, "[profile sso]\nsso_region=us-east-1\nsso_start_url=https://sso.example.com\nsso_account_id=123456789012\nsso_role_name=pull\n")}, anonymous: true},
		"a portal":      {refuse: api(respond(200, http.Header{"Content-Type": {"text/html"}}, "<html>"), nil), anonymous: true},
		"no credentials": {refuse: func(*http.Request) (*http.Response, error) {
			return nil, &cloudhttp.SilenceError{Step: cloudhttp.Connecting, After: time.Second}
		}, anonymous: true},
		"no metadata service": {env: []string{"AWS_EC2_METADATA_DISABLED=true"}, anonymous: true},
		"throttled":           {refuse: api(refused(429, "ThrottlingException"), nil)},
		"at fault":            {refuse: api(refused(500, "ServerException"), nil)},
		"stopped":             {refuse: api(nil, context.Canceled)},
		"a wrong setting":     {env: []string{"AWS_PROFILE=none"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := asking(t, &fakeAWS{refuse: tc.refuse}, environ(t, tc.env...), "public.ecr.aws", identity{}).Fetch(t.Context(), nil)
			if anonymous := err == nil && c.IsAnonymous(); anonymous != tc.anonymous {
				t.Errorf("got %+v, %v", c, err)
			}
			if life := time.Until(c.Expires).Round(time.Minute); tc.anonymous && life != anonymousLife {
				t.Errorf("for %s", life)
			}
		})
	}
	// A private registry has no such way out.
	fake := &fakeAWS{refuse: func(*http.Request) (*http.Response, error) { return nil, errors.New("unreachable") }}
	if c, err := asking(t, fake, environ(t), someHost, identity{}).Fetch(t.Context(), nil); err == nil {
		t.Errorf("got %+v", c)
	}
}

// The SDK says nothing of half an access key, and goes on with the instance's.
func TestHalfAnAccessKeyIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		env  []string
		i    identity
		want string
	}{
		"no secret":           {[]string{"AWS_ACCESS_KEY_ID=KEY"}, identity{}, "set=AWS_ACCESS_KEY_ID notSet=AWS_SECRET_ACCESS_KEY"},
		"no id":               {[]string{"AWS_SECRET_KEY=secret"}, identity{}, "set=AWS_SECRET_KEY notSet=AWS_ACCESS_KEY_ID"},
		"a whole key":         {[]string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_KEY=secret"}, identity{}, ""},
		"none":                {nil, identity{}, ""},
		"not needed":          {[]string{"AWS_ACCESS_KEY_ID=KEY", profiles(t, "[profile p]\naws_access_key_id=P\naws_secret_access_key=s\n")}, identity{profile: "p"}, ""},
		"of no pod's concern": {[]string{"AWS_ACCESS_KEY_ID=KEY"}, identity{pod: plugintest.Pod(t, "sa", "u", "p"), role: mustRole(t, pullRole)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			ctx := cloudhttp.WithLog(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
			if _, err := asking(t, &fakeAWS{}, environ(t, tc.env...), someHost, tc.i).Fetch(ctx, nil); err != nil {
				t.Fatal(err)
			}
			if got := log.String(); tc.want == "" && got != "" || !strings.Contains(got, tc.want) || strings.Contains(got, "=KEY") {
				t.Errorf("logged %q, want %q", got, tc.want)
			}
		})
	}
}

// A bundle of certificate authorities that a profile names is trusted, and one
// that the plugin's setting names in its place. The SDK would refuse either.
func TestCertificateAuthorities(t *testing.T) {
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
	notPEM := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(notPEM, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	named := func(path string) string { return profiles(t, "[default]\nca_bundle="+path+"\n") }
	for name, tc := range map[string]struct {
		caFile  string
		env     []string
		trusted string
		want    string // of the error; empty: none
	}{
		"none":                              {},
		"the setting's":                     {caFile: bundle, trusted: bundle},
		"the variable's":                    {caFile: bundle, env: []string{"AWS_CA_BUNDLE=" + bundle}, trusted: bundle},
		"the setting's, not the variable's": {caFile: bundle, env: []string{"AWS_CA_BUNDLE=/nonexistent"}, trusted: bundle},
		"a profile's":                       {env: []string{named(bundle)}, trusted: bundle},
		"the setting's, not a profile's":    {caFile: bundle, env: []string{named("/nonexistent")}, trusted: bundle},
		"a setting's that is not there":     {caFile: "/nonexistent", env: []string{"AWS_CA_BUNDLE=/nonexistent"}, want: "certificate authorities: /nonexistent: no such file or directory: --ca-file or AWS_CA_BUNDLE names it"},
		"a profile's that is not there":     {env: []string{named("/nonexistent")}, want: "certificate authorities: /nonexistent: no such file or directory: ca_bundle in "},
		"a setting's without a certificate": {caFile: notPEM, want: "no PEM certificate in the bundle of certificate authorities: " + notPEM},
		"a profile's without a certificate": {env: []string{named(notPEM)}, want: "no PEM certificate in the bundle of certificate authorities: ca_bundle in "},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := environ(t, append(tc.env, "AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret")...)
			s, trusted := sourceOf(t, someHost, identity{}), ""
			s.endpoints = &endpoints{tc.caFile, getenv, func(bundle string) *cloudhttp.Clients {
				trusted = bundle
				return cloudhttp.Through(&fakeAWS{})
			}}
			before := os.Environ()
			c, err := s.Fetch(t.Context(), nil)
			if tc.want == "" && (err != nil || c.Password.Reveal() != "password") || trusted != tc.trusted {
				t.Errorf("trusting %q, got %+v, %v", trusted, c, err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if after := os.Environ(); !slices.Equal(before, after) {
				t.Errorf("the environment of the process changed to %q", after)
			}
		})
	}
}

// A run has one set of clients, unless a profile asks for another.
func TestClientsAreMadeOnce(t *testing.T) {
	e := newEndpoints("/bundle", plugintest.Getenv())
	bundle := e.clients("/bundle")
	if e.clients("/bundle") != bundle || e.clients("/other") == bundle {
		t.Error("other clients each time, or the same for two bundles")
	}
}

// A profile's credential_process runs as any program of the plugin's, and what
// it prints is in no message.
func TestCredentialProcess(t *testing.T) {
	const (
		secret = "wJalrXUtnFEMIK7MDENG"
		whole  = `{"Version":1,"AccessKeyId":"PRINTED","SecretAccessKey":"` + secret + `","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}`
	)
	program := func(text string) string {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	printing := func(output string) string { return program("echo '" + output + "'") }
	asked := []string{"api.ecr.us-east-1.amazonaws.com GetAuthorizationToken PRINTED in us-east-1"}
	for name, tc := range map[string]struct {
		profile string
		asked   []string
		want    string // of the error; empty: none
	}{
		"credentials":             {profile: printing(whole), asked: asked},
		"without an end":          {profile: printing(`{"Version":1,"AccessKeyId":"PRINTED","SecretAccessKey":"` + secret + `"}`), asked: asked},
		"arguments":               {profile: program(`[ "$1 $2" = "a --b=c" ] && echo '`+whole+`'`) + " a --b=c", asked: asked},
		"a line for a shell":      {profile: "sh -c 'cat " + program("") + " >/dev/null; echo \"$0\"' '" + whole + "'", asked: asked},
		"behind a role":           {profile: printing(whole) + "\n[profile role]\nsource_profile=program\nrole_arn=" + pullRole, asked: []string{"sts.us-east-1.amazonaws.com AssumeRole PRINTED in us-east-1", "api.ecr.us-east-1.amazonaws.com GetAuthorizationToken SESSION in us-east-1"}},
		"a failure":               {profile: program("echo 'secret " + secret + "'; echo first >&2; echo 'no network' >&2; exit 3"), want: "exit status 3 of %s, which printed: no network: run it by hand as the kubelet's user [credential_process; as the node's identity]"},
		"a failure behind a role": {profile: program("echo 'secret "+secret+"'; exit 3") + "\n[profile role]\nsource_profile=program\nrole_arn=" + pullRole, want: "exit status 3 of "},
		"no JSON":                 {profile: printing("debug: " + secret + whole), want: "the program printed no credentials: run it by hand"},
		"another version":         {profile: printing(`{"Version":2,"SecretAccessKey":"` + secret + `"}`), want: "of version 1, but of version 2"},
		"no key":                  {profile: printing(`{"Version":1,"SecretAccessKey":"` + secret + `"}`), want: "but no AccessKeyId"},
		"no secret":               {profile: printing(`{"Version":1,"AccessKeyId":"PRINTED"}`), want: "but no SecretAccessKey"},
		"expired":                 {profile: printing(strings.Replace(whole, "2099", "2019", 1)), want: "credentials that expired at 2019-01-01T00:00:00Z, from %s [credential_process"},
		"nothing there":           {profile: "/nonexistent/program", want: "start the program: no such file or directory: /nonexistent/program [credential_process"},
	} {
		t.Run(name, func(t *testing.T) {
			fake, profile := &fakeAWS{}, "program"
			if strings.Contains(tc.profile, "[profile role]") {
				profile = "role"
			}
			getenv := environ(t, "AWS_PROFILE="+profile, profiles(t, "[profile program]\ncredential_process="+tc.profile+"\n"))
			_, err := asking(t, fake, getenv, someHost, identity{}).Fetch(t.Context(), nil)
			if want := strings.ReplaceAll(tc.want, "%s", tc.profile); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the secret is in %q", err)
			}
			if !slices.Equal(fake.asked, tc.asked) {
				t.Errorf("asked %q, want %q", fake.asked, tc.asked)
			}
			if known := slices.Contains(credential.Known(), secret); err == nil && !known {
				t.Error("the secret is not known")
			}
		})
	}
}

// A program has the run's time, and none when the run is stopped.
func TestCredentialProcessEndsWithTheRun(t *testing.T) {
	getenv := environ(t, "AWS_PROFILE=program", profiles(t, "[profile program]\ncredential_process=/bin/sleep 100\n"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := asking(t, &fakeAWS{}, getenv, someHost, identity{}).Fetch(ctx, nil)
	if err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("got %v after %s", err, time.Since(begin))
	}
}

// What STS answers is used only if it is whole: the SDK's chain takes it apart
// without looking.
func TestHalfASessionIsRefused(t *testing.T) {
	const whole = "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
	role := mustRole(t, pullRole)
	for name, tc := range map[string]struct {
		env []string
		i   identity
	}{
		"account's role": {i: identity{role: role}},
		"pod":            {i: identity{role: role, pod: plugintest.Pod(t, "sa", "u", "p")}},
		"chain":          {env: []string{"AWS_PROFILE=pull", profiles(t, "[profile pull]\nrole_arn="+pullRole+"\ncredential_source=Ec2InstanceMetadata\n")}},
	} {
		for _, lacking := range []string{"Credentials", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"} {
			t.Run(name+" without "+lacking, func(t *testing.T) {
				before, rest, _ := strings.Cut(whole, "<"+lacking+">")
				_, after, _ := strings.Cut(rest, "</"+lacking+">")
				fake := &fakeAWS{refuse: func(r *http.Request) (*http.Response, error) {
					if !strings.HasPrefix(r.URL.Host, "sts.") {
						return nil, nil
					}
					result := "<AssumeRoleResult>" + before + after + "</AssumeRoleResult>"
					if tc.i.pod != nil {
						result = strings.ReplaceAll(result, "AssumeRole", "AssumeRoleWithWebIdentity")
					}
					return respond(200, http.Header{}, "<Response>"+result+"</Response>"), nil
				}}
				_, err := asking(t, fake, environ(t, tc.env...), someHost, tc.i).Fetch(t.Context(), nil)
				if err == nil || !strings.Contains(err.Error(), "the answer of sts.us-east-1.amazonaws.com makes no sense") || !strings.Contains(err.Error(), "the answer holds no credentials") {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// The HTTP client has repeated what a status tells. What only AWS's codes tell
// is repeated here.
func TestWhatIsAskedAgain(t *testing.T) {
	getenv := environ(t, "AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret")
	pod := identity{pod: plugintest.Pod(t, "sa", "u", "p"), role: mustRole(t, pullRole)}
	xml := func(code string) string {
		return "<ErrorResponse><Error><Code>" + code + "</Code></Error></ErrorResponse>"
	}
	for name, tc := range map[string]struct {
		i      identity
		status int
		code   string
		body   string
		want   int
	}{
		"throttled by status":               {status: 429, code: "ThrottlingException", want: 1},
		"throttled by code":                 {status: 400, code: "ThrottlingException", want: 3},
		"by one that the SDK does not know": {status: 400, code: "ThrottleException", want: 3},
		"at fault":                          {status: 500, code: "ServerException", want: 1},
		"refused":                           {status: 400, code: "AccessDeniedException", want: 1},
		"STS at fault":                      {i: pod, status: 503, body: xml("ServiceUnavailable"), want: 1},
		"STS cannot reach the issuer":       {i: pod, status: 400, body: xml("IDPCommunicationError"), want: 3},
		"STS does not know the issuer, yet": {i: pod, status: 400, body: xml("InvalidIdentityToken"), want: 3},
		"STS refuses":                       {i: pod, status: 403, body: xml("AccessDenied"), want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeAWS{refuse: func(*http.Request) (*http.Response, error) {
					return respond(tc.status, http.Header{"X-Amzn-Errortype": {tc.code}}, cmp.Or(tc.body, "{}")), nil
				}}
				_, err := asking(t, fake, getenv, someHost, tc.i).Fetch(t.Context(), nil)
				if err == nil || len(fake.asked) != tc.want {
					t.Errorf("got %v, asked %d times, want %d", err, len(fake.asked), tc.want)
				}
			})
		})
	}
}

// A failure names who it was, as far as that was told before.
func TestAFailureNamesTheCaller(t *testing.T) {
	fake := &fakeAWS{refuse: func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == imdsAddress {
			return nil, nil
		}
		return respond(400, http.Header{"X-Amzn-Errortype": {"AccessDeniedException"}, "X-Amzn-Requestid": {"the-id"}}, `{"message":"no"}`), nil
	}}
	_, err := asking(t, fake, environ(t), someHost, identity{}).Fetch(t.Context(), nil)
	var failure *credential.Failure
	if !errors.As(err, &failure) || !failure.Permanent {
		t.Fatalf("got %v", err)
	}
	wantText(t, err, "status 400 AccessDeniedException: no; request id the-id; as the node's identity (instance role kube-node)]")
}

// What the SDK makes of an answer, or of a setting, is said in the plugin's
// words, by the stage that it belongs to.
func TestWhatTheSDKSays(t *testing.T) {
	const (
		atAPI     = "api.ecr.us-east-1"
		atRole    = "/iam/security-credentials/kube-node"
		container = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/container"
		address   = "AWS_EC2_METADATA_SERVICE_ENDPOINT="
	)
	keys := []string{"AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret"}
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tc := range map[string]struct {
		env    []string
		at     string
		status int
		header http.Header
		body   string
		want   []string
	}{
		"code without a text": {keys, atAPI, 400, nil, `{"__type":"UnknownOperationException"}`, []string{"AWS refuses the request [", "status 400 UnknownOperationException; as"}},
		"throttled":           {keys, atAPI, 400, nil, `{"__type":"RequestLimitExceeded","message":"Request limit exceeded."}`, []string{"AWS throttles this account: the next attempt is made after a pause"}},
		"in XML":              {keys, atAPI, 404, nil, "<UnknownOperationException/>", []string{"api.ecr.us-east-1.amazonaws.com does not answer as AWS does: something else may answer in its place: check proxies"}},
		"a page":              {keys, atAPI, 403, html, "<html>", []string{"answers with a page for people"}},
		"white space": {
			[]string{"AWS_ACCESS_KEY_ID=KEY ", keys[1]}, atAPI, 400, nil, `{"__type":"UnrecognizedClientException","message":"no"}`,
			[]string{"AWS does not know this access key in partition aws: there is white space in AWS_ACCESS_KEY_ID ["},
		},
		"region": {nil, atAPI, 400, nil, `{"__type":"UnrecognizedClientException","message":"no"}`, []string{"that its account has region us-east-1 enabled"}},

		"instance without credentials": {nil, atRole, 200, nil, `{"Code":"Failed","Message":"no"}`, []string{"the instance metadata service has no credentials of the instance's role: check the instance profile, and its role [imds at 169.254.169.254: Failed: no;"}},
		"instance without a key":       {nil, atRole, 200, nil, `{"Code":"Success","Expiration":"2099-01-01T00:00:00Z"}`, []string{"[imds at 169.254.169.254: the answer holds no access key;"}},
		"instance of IPv6":             {[]string{address + "http://[fd00:ec2::254]"}, atRole, 200, nil, `{"Code":"Failed","Message":"no"}`, []string{"[imds at [fd00:ec2::254]: Failed: no;"}},
		"instance behind an address":   {[]string{address + "http://127.0.0.1:1338"}, atRole, 200, nil, "?", []string{"[imds at 127.0.0.1:1338: failed to decode kube-node EC2 IMDS role credentials"}},
		"container without a key":      {[]string{container}, "/container", 200, nil, "{}", []string{"[container credentials at 169.254.170.2: the answer holds no access key;"}},
		"container without a reason":   {[]string{container}, "/container", 404, nil, "", []string{"the service of container credentials refuses the request without saying why ["}},

		"flag":                 {env: []string{"AWS_USE_FIPS_ENDPOINT=yes"}, want: []string{"AWS_USE_FIPS_ENDPOINT=yes, need true, false [AWS configuration; as"}},
		"token without a role": {env: []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/t"}, want: []string{"AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN: set both"}},
		"container elsewhere":  {env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://10.0.0.1/"}, want: []string{"only loopback/ecs/eks hosts are allowed: AWS_CONTAINER_CREDENTIALS_FULL_URI names it"}},
		"no environment": {
			env:  []string{"AWS_PROFILE=pull", profiles(t, "[profile pull]\nrole_arn="+pullRole+"\ncredential_source=Environment\n")},
			want: []string{"static credentials are empty [credentials; as"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeAWS{refuse: func(r *http.Request) (*http.Response, error) {
				if tc.at == "" || !strings.Contains(r.URL.Host+r.URL.Path, tc.at) {
					return nil, nil
				}
				header := tc.header
				if header == nil {
					header = http.Header{}
				}
				return respond(tc.status, header, tc.body), nil
			}}
			getenv := environ(t, tc.env...)
			synctest.Test(t, func(t *testing.T) {
				c, err := asking(t, fake, getenv, someHost, identity{}).Fetch(t.Context(), nil)
				if err == nil {
					t.Fatalf("got %+v", c)
				}
				wantText(t, err, tc.want...)
			})
		})
	}
	// Nor is it another stage where the node is asked for its credentials alone.
	fake := &fakeAWS{refuse: func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, atRole) {
			return respond(200, http.Header{}, "?"), nil
		}
		return nil, nil
	}}
	_, err := nodeCredentials{asking(t, fake, environ(t), someHost, identity{})}.Fetch(t.Context(), nil)
	if err == nil {
		t.Fatal("credentials of an answer that is none")
	}
	wantText(t, err, "[imds at 169.254.169.254: failed to decode kube-node EC2 IMDS role credentials")
}

// An endpoint that is none is said to be so, with what names it, and nobody is
// sent to look for routes.
func TestEndpointsThatAreNone(t *testing.T) {
	for _, test := range []struct{ set, want string }{
		{"AWS_ENDPOINT_URL_ECR=vpce-1.api.ecr.us-east-1.vpce.amazonaws.com", "for ecr is not an HTTP URL: AWS_ENDPOINT_URL_ECR has to be https:// or http:// and a host [ecr"},
		{"AWS_ENDPOINT_URL_ECR=vpce-1.api.ecr.us-east-1.vpce.amazonaws.com:443", "AWS_ENDPOINT_URL_ECR has to be"},
		{"AWS_ENDPOINT_URL_ECR=ftp://127.0.0.1", "AWS_ENDPOINT_URL_ECR has to be"},
		{"AWS_ENDPOINT_URL= https://127.0.0.1", "AWS_ENDPOINT_URL has to be"},
		{"AWS_ENDPOINT_URL=https://", "AWS_ENDPOINT_URL has to be"},
		{"AWS_ENDPOINT_URL=https://127.0.0.1:99999", "AWS_ENDPOINT_URL has to be"},
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT=10.0.0.1", "for imds is not an HTTP URL: AWS_EC2_METADATA_SERVICE_ENDPOINT has to be https:// or http:// and a host [imds"},
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT=10.0.0.1:80", "AWS_EC2_METADATA_SERVICE_ENDPOINT has to be"},
		{profiles(t, "[default]\nendpoint_url = 127.0.0.1\n"), "endpoint_url in /"},
		{profiles(t, "[default]\nec2_metadata_service_endpoint = 10.0.0.1\n"), "ec2_metadata_service_endpoint in /"},
	} {
		t.Run(test.set, func(t *testing.T) {
			env := []string{test.set}
			if !strings.Contains(strings.ToUpper(test.want), "EC2_METADATA") {
				env = append(env, "AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret")
			}
			getenv := environ(t, env...)
			s := sourceOf(t, someHost, identity{})
			s.endpoints = newEndpoints("", getenv)
			_, err := s.Fetch(t.Context(), nil)
			failure, ok := errors.AsType[*credential.Failure](err)
			if !ok || !failure.Permanent {
				t.Fatalf("got %v", err)
			}
			wantText(t, err, "the endpoint that is configured for ", test.want)
		})
	}
}

// What a token says that makes no sense is no credential.
func TestTokensThatMakeNoSense(t *testing.T) {
	const soon = `"expiresAt":99999999999`
	encoded := func(plain string) string { return base64.StdEncoding.EncodeToString([]byte(plain)) }
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":        {`{}`, "no authorization data"},
		"no data":        {`{"authorizationData":[]}`, "no authorization data"},
		"not base64":     {`{"authorizationData":[{"authorizationToken":"!",` + soon + `}]}`, "not base64"},
		"no colon":       {`{"authorizationData":[{"authorizationToken":"` + encoded("AWS") + `",` + soon + `}]}`, "not a user name and a password"},
		"no password":    {`{"authorizationData":[{"authorizationToken":"` + encoded("AWS:") + `",` + soon + `}]}`, "not a user name and a password"},
		"an end of line": {`{"authorizationData":[{"authorizationToken":"` + encoded("AWS:a\nb") + `",` + soon + `}]}`, "characters that no token has"},
		"no expiry":      {`{"authorizationData":[{"authorizationToken":"` + encoded("AWS:a") + `"}]}`, "without an expiry"},
		"expired":        {`{"authorizationData":[{"authorizationToken":"` + encoded("AWS:a") + `","expiresAt":1}]}`, "has already expired: check the node's clock"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeAWS{refuse: func(*http.Request) (*http.Response, error) { return respond(200, http.Header{}, tc.body), nil }}
			getenv := environ(t, "AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret")
			c, err := asking(t, fake, getenv, someHost, identity{}).Fetch(t.Context(), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %+v, %v, want %q", c, err, tc.want)
			}
		})
	}
}

// A server's clock tells when its token expires by the node's.
func TestAnExpiryIsOfTheServersClock(t *testing.T) {
	ahead := time.Now().Add(time.Hour)
	fake := &fakeAWS{refuse: func(*http.Request) (*http.Response, error) {
		token := fmt.Sprintf(`{"authorizationData":[{"authorizationToken":"QVdTOmE=","expiresAt":%d}]}`, ahead.Add(12*time.Hour).Unix())
		return respond(200, http.Header{"Date": {ahead.UTC().Format(http.TimeFormat)}}, token), nil
	}}
	c, err := asking(t, fake, environ(t, "AWS_ACCESS_KEY_ID=KEY", "AWS_SECRET_ACCESS_KEY=secret"), someHost, identity{}).Fetch(t.Context(), nil)
	if life := time.Until(c.Expires); err != nil || (life-12*time.Hour).Abs() > 10*time.Second {
		t.Errorf("a life of %s, %v", life, err)
	}
}
