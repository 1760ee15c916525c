package gcr

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

func TestParseCredentials(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		key     = `"type":"service_account","client_email":"a@b","private_key":"hunter2"`
		account = `"type":"external_account","audience":"//iam","subject_token_type":"jwt"`
		google  = `"token_url":"https://sts.googleapis.com/v1/token"`
		byURL   = `"credential_source":{"url":"https://idp.example.com/token"}`
		as      = `"service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/x:generateAccessToken"`
	)
	for text, want := range map[string]string{
		`{` + key + `}`: "",
		`{` + key + `,"token_uri":"https://oauth2.googleapis.com/token"}`:                                    "",
		`{` + key + `,"token_uri":"https://accounts.google.com/o/oauth2/token"}`:                             "",
		`{` + account + `,` + google + `,` + byURL + `}`:                                                     "",
		`{` + account + `,` + byURL + `}`:                                                                    "",
		`{` + account + `,` + byURL + `,"token_url":"https://sts.europe-west1.rep.googleapis.com/v1/token"}`: "",
		`{` + account + `,` + google + `,` + byURL + `,` + as + `}`:                                          "",
		`{` + account + `,` + google + `,"credential_source":{"file":"` + token + `"}}`:                      "",
		`{` + account + `,` + google + `,"credential_source":{"url":"http://169.254.169.254/metadata/x"}}`:   "",
		`{` + account + `,` + google + `,"credential_source":{"environment_id":"aws1","region_url":"http://169.254.169.254/latest/meta-data/placement/availability-zone","regional_cred_verification_url":"https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15","imdsv2_session_token_url":"http://[fd00:ec2::254]/latest/api/token"}}`: "",
		`{"type":"impersonated_service_account",` + as + `,"source_credentials":{` + key + `}}`: "",

		``:                                "not the JSON of credentials",
		`{"type":3}`:                      "not the JSON of credentials",
		`{}`:                              `type: "" is none of service_account, external_account, impersonated_service_account`,
		`{"type":"authorized_user"}`:      `type: "authorized_user" is none of`,
		`{"type":"gdch_service_account"}`: `type: "gdch_service_account" is none of`,
		`{"type":"service_account"}`:      "no client_email or private_key",
		`{` + key + `,"token_uri":"https://accounts.google.com.evil.com/o/oauth2/token"}`:                           "token_uri",
		`{` + key + `,"token_uri":"https://evil.accounts.google.com/o/oauth2/token"}`:                               "token_uri",
		`{` + key + `,"token_uri":"http://accounts.google.com/o/oauth2/token"}`:                                     "token_uri",
		`{` + account + `,` + byURL + `,"token_url":"https://accounts.google.com/o/oauth2/token"}`:                  "token_url",
		`{` + key + `,"token_uri":"https://evil.com/token"}`:                                                        "token_uri: not an https URL under googleapis.com",
		`{` + key + `,"token_uri":"http://oauth2.googleapis.com/token"}`:                                            "token_uri",
		`{` + key + `,"token_uri":"https://oauth2.googleapis.com:8443/token"}`:                                      "token_uri",
		`{` + key + `,"token_uri":"https://oauth2.googleapis.com@evil.com/token"}`:                                  "token_uri",
		`{` + key + `,"token_uri":"https://googleapis.com.evil.com/token"}`:                                         "token_uri",
		`{` + key + `,"token_uri":"https://evilgoogleapis.com/token"}`:                                              "token_uri",
		`{` + key + `,"Token_URI":"https://evil.com/token"}`:                                                        "token_uri",
		`{` + key + `,"token_uri":"https://oauth2.apis-berlin-build0.goog/token"}`:                                  "token_uri",
		`{` + key + `,"universe_domain":"apis-berlin-build0.goog"}`:                                                 `universe_domain: "apis-berlin-build0.goog", not googleapis.com; see --universe-domain`,
		`{` + account + `,` + byURL + `,"token_url":"https://evil.com/v1/token"}`:                                   "token_url: not an https URL",
		`{` + account + `,` + google + `}`:                                                                          "no credential_source",
		`{` + account + `,` + google + `,` + byURL + `,"service_account_impersonation_url":"https://evil.com/x"}`:   "service_account_impersonation_url: not an https URL",
		`{` + account + `,` + google + `,"credential_source":{"url":"http://idp.example.com/token"}}`:               "credential_source.url: neither https nor on this node",
		`{` + account + `,` + google + `,"credential_source":{"region_url":"http://evil.com"}}`:                     "credential_source.region_url",
		`{` + account + `,` + google + `,"credential_source":{"imdsv2_session_token_url":"ftp://169.254.169.254"}}`: "credential_source.imdsv2_session_token_url",
		`{` + account + `,` + google + `,"credential_source":{"file":"/dev/zero"}}`:                                 "credential_source.file: not there, or no regular file: /dev/zero",
		`{` + account + `,` + google + `,"credential_source":{"file":"` + token + `.not"}}`:                         "credential_source.file",
		`{` + key + `,` + as + `}`: "service_account_impersonation_url: not for a key",
		`{` + account + `,` + google + `,"credential_source":{"regional_cred_verification_url":"http://sts.{region}.evil.com"}}`: "credential_source.regional_cred_verification_url: neither https nor on this node",
		`{` + account + `,"credential_source":{}}`:                                                                                          "credential_source: none of file, url, executable, environment_id aws1",
		`{` + account + `,"credential_source":{"environment_id":"aws2"}}`:                                                                   `credential_source.environment_id: "aws2" is not aws1`,
		`{` + account + `,"credential_source":{"url":"https://idp.example.com","format":{"type":"xml"}}}`:                                   `credential_source.format.type: "xml" is neither text nor json`,
		`{` + account + `,` + byURL + `,"workforce_pool_user_project":"1"}`:                                                                 "workforce_pool_user_project: not for a workload's audience",
		`{"type":"external_account",` + byURL + `}`:                                                                                         "no audience or subject_token_type",
		`{"type":"impersonated_service_account",` + as + `}`:                                                                                "no service_account_impersonation_url, or no source_credentials of another type",
		`{"type":"impersonated_service_account","source_credentials":{` + key + `}}`:                                                        "no service_account_impersonation_url",
		`{"type":"impersonated_service_account",` + as + `,"source_credentials":{"type":"authorized_user"}}`:                                `source_credentials.type: "authorized_user" is none of`,
		`{"type":"impersonated_service_account",` + as + `,"source_credentials":{` + key + `,"token_uri":"https://evil.com"}}`:              "token_uri",
		`{"type":"impersonated_service_account","service_account_impersonation_url":"https://evil.com","source_credentials":{` + key + `}}`: "service_account_impersonation_url",
	} {
		_, err := parseCredentials([]byte(text), newEndpoints(googleCloud, "", nil))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := parseCredentials([]byte(`{`+key+`,"universe_domain":"apis-berlin-build0.goog","token_uri":"https://oauth2.apis-berlin-build0.goog/token"}`), newEndpoints(berlin, "", nil)); err != nil {
		t.Error(err)
	}
	if _, err := parseCredentials([]byte(`{`+key+`}`), newEndpoints(berlin, "", nil)); err == nil {
		t.Error("a key of Google Cloud is taken for one of another universe")
	}
	_, _ = parseCredentials([]byte(`{"client_secret":"of the pool's client","source_credentials":{"private_key":"no key at all"}}`), newEndpoints(googleCloud, "", nil))
	for _, secret := range []string{"of the pool's client", "no key at all"} {
		if !slices.Contains(credential.Known(), secret) {
			t.Errorf("messages are not cleared of %q", secret)
		}
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	_, err := newFileToken(nil, "/no/such/key.json").Fetch(t.Context(), nil)
	want := "credentials file /no/such/key.json: no such file or directory: GOOGLE_APPLICATION_CREDENTIALS or --credentials-file names it"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(`{"type":"service_account","client_email":"a@b","private_key":"k","token_uri":"https://oauth2.googleapis.com/token"}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredentials([]byte(text), newEndpoints(googleCloud, "", nil))
		if err != nil {
			return
		}
		for ; c != nil; c = c.SourceCredentials {
			for _, address := range []string{c.TokenURI, c.TokenURL, c.ImpersonationURL} {
				rest, ok := strings.CutPrefix(strings.ToLower(address), "https://")
				host, _, _ := strings.Cut(rest, "/")
				host, _, _ = strings.Cut(host, "?")
				host, _, _ = strings.Cut(host, "#")
				if address != "" && address != firstTokenURI && (!ok || !strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":"), ".googleapis.com")) {
					t.Errorf("%q would be asked", address)
				}
			}
		}
	})
}

// exchanges are Google's APIs, and whatever else a file may name: what is
// answered to a request for a URL, and what was asked.
type exchanges struct {
	answers map[string]reply
	asked   []string
}

type reply struct {
	status int
	body   string
	header http.Header
}

func (e *exchanges) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
	}
	e.asked = append(e.asked, strings.TrimSpace(request.URL.String()+" "+string(body)))
	answer, found := e.answers[request.URL.String()]
	if !found {
		answer = reply{status: http.StatusNotFound, body: "{}"}
	}
	if answer.header == nil {
		answer.header = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{StatusCode: max(answer.status, http.StatusOK), Header: answer.header, Body: io.NopCloser(strings.NewReader(answer.body))}, nil
}

// newFileToken is of a file at a universe whose APIs are a transport.
func newFileToken(through http.RoundTripper, path string, env ...string) *fileToken {
	return &fileToken{endpoints: &endpoints{googleCloud, cloudhttp.Through(through)}, file: path, scopes: []string{everything}, getenv: plugintest.Getenv(env...)}
}

// write writes a file of credentials.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	oauthURL  = "https://oauth2.googleapis.com/token"
	stsURL    = "https://sts.googleapis.com/v1/token"
	sourceURL = "https://idp.example.com/token"
	iamURL    = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + pullAccount + ":generateAccessToken"

	externalFile = `{"type":"external_account","audience":"//iam.googleapis.com/` + mainProvider + `","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","credential_source":{"url":"` + sourceURL + `"}}`
)

// keyFile is a key, as it is downloaded.
func keyFile(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return fmt.Sprintf(`{"type":"service_account","client_email":%q,"private_key_id":"k1","private_key":%q}`, otherAccount, text)
}

// Each type of credentials, with whom it impersonates or without, and the calls
// of its exchange in order.
func TestExchanges(t *testing.T) {
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	google := map[string]reply{
		oauthURL:  {body: `{"access_token":"ya29.key","expires_in":3599}`},
		stsURL:    {body: `{"access_token":"ya29.federated","expires_in":3599}`},
		sourceURL: {body: "subject.token"},
		iamURL:    {body: fmt.Sprintf(`{"accessToken":"ya29.impersonated","expireTime":%q}`, expires.Format(time.RFC3339))},
	}
	as := `"service_account_impersonation_url":"` + iamURL + `"`
	key := keyFile(t)
	const readOnly = everything + ".read-only"
	for name, tc := range map[string]struct {
		content        string
		token, caller  string
		asked, scopes  []string // the beginnings of the calls, and scopes that are in them
		delegate, life string
	}{
		"a key": {content: key, token: "ya29.key", caller: otherAccount, asked: []string{oauthURL}, scopes: []string{""}},
		"an external account": {
			content: externalFile, token: "ya29.federated", caller: "a principal of //iam.googleapis.com/" + mainProvider,
			asked: []string{sourceURL, stsURL}, scopes: []string{"", readOnly},
		},
		"an external account that impersonates": {
			content: strings.Replace(externalFile, `{`, `{`+as+`,"service_account_impersonation":{"token_lifetime_seconds":7200},`, 1), token: "ya29.impersonated", caller: pullAccount,
			asked: []string{sourceURL, stsURL, iamURL}, scopes: []string{"", everything, readOnly}, life: "7200s",
		},
		"a key that impersonates": {
			content: `{"type":"impersonated_service_account",` + as + `,"delegates":["projects/-/serviceAccounts/a@b"],"source_credentials":` + key + `}`, token: "ya29.impersonated", caller: pullAccount,
			asked: []string{oauthURL, iamURL}, scopes: []string{"", readOnly}, life: "3600s", delegate: "projects/-/serviceAccounts/a@b",
		},
		"an impersonation by an impersonation": {
			content: `{"type":"impersonated_service_account",` + as + `,"source_credentials":` + strings.Replace(externalFile, `{`, `{`+as+`,`, 1) + `}`, token: "ya29.impersonated", caller: pullAccount,
			asked: []string{sourceURL, stsURL, iamURL, iamURL}, scopes: []string{"", everything, everything, readOnly}, life: "3600s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &exchanges{answers: google}
			source := newFileToken(fake, write(t, tc.content))
			source.scopes = []string{readOnly}
			token, err := source.Fetch(t.Context(), nil)
			if err != nil || token.Value.Reveal() != tc.token || token.Caller != tc.caller || token.Expires.Sub(expires).Abs() > 10*time.Second {
				t.Fatalf("got %+v, %v", token, err)
			}
			if len(fake.asked) != len(tc.asked) {
				t.Fatalf("asked %q", fake.asked)
			}
			for i, asked := range fake.asked {
				if !strings.HasPrefix(asked, tc.asked[i]) {
					t.Errorf("asked %s, want %s", asked, tc.asked[i])
				}
				form, quoted := "scope="+url.QueryEscape(tc.scopes[i])+"&", `"scope":["`+tc.scopes[i]+`"]`
				if tc.scopes[i] != "" && !strings.Contains(asked, form) && !strings.Contains(asked, quoted) {
					t.Errorf("asked %s without scope %s alone", asked, tc.scopes[i])
				}
			}
			last := fake.asked[len(fake.asked)-1]
			if tc.life != "" && !strings.Contains(last, `"lifetime":"`+tc.life+`"`) || !strings.Contains(last, tc.delegate) {
				t.Errorf("asked %s", last)
			}
		})
	}
}
