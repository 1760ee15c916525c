package gcr

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		`{` + account + `,` + google + `,` + byURL + `}`:                                                     "",
		`{` + account + `,` + byURL + `}`:                                                                    "",
		`{` + account + `,` + byURL + `,"token_url":"https://sts.europe-west1.rep.googleapis.com/v1/token"}`: "",
		`{` + account + `,` + google + `,` + byURL + `,` + as + `}`:                                          "",
		`{` + account + `,` + google + `,"credential_source":{"file":"` + token + `"}}`:                      "",
		`{` + account + `,` + google + `,"credential_source":{"url":"http://169.254.169.254/metadata/x"}}`:   "",
		`{` + account + `,` + google + `,"credential_source":{"environment_id":"aws1","region_url":"http://169.254.169.254/latest/meta-data/placement/availability-zone","imdsv2_session_token_url":"http://[fd00:ec2::254]/latest/api/token"}}`: "",
		`{"type":"impersonated_service_account",` + as + `,"source_credentials":{` + key + `}}`: "",

		``:                                "is not the JSON of credentials",
		`{"type":3}`:                      "is not the JSON of credentials",
		`{}`:                              `is of type ""; want service_account`,
		`{"type":"authorized_user"}`:      `is of type "authorized_user"`,
		`{"type":"gdch_service_account"}`: `is of type "gdch_service_account"`,
		`{"type":"service_account"}`:      "lacks client_email or private_key",
		`{` + key + `,"token_uri":"https://evil.com/token"}`:                                                                                "has a token_uri that is not an https URL under googleapis.com",
		`{` + key + `,"token_uri":"http://oauth2.googleapis.com/token"}`:                                                                    "token_uri",
		`{` + key + `,"token_uri":"https://oauth2.googleapis.com:8443/token"}`:                                                              "token_uri",
		`{` + key + `,"token_uri":"https://oauth2.googleapis.com@evil.com/token"}`:                                                          "token_uri",
		`{` + key + `,"token_uri":"https://googleapis.com.evil.com/token"}`:                                                                 "token_uri",
		`{` + key + `,"token_uri":"https://evilgoogleapis.com/token"}`:                                                                      "token_uri",
		`{` + key + `,"Token_URI":"https://evil.com/token"}`:                                                                                "token_uri",
		`{` + key + `,"token_uri":"https://oauth2.apis-berlin-build0.goog/token"}`:                                                          "token_uri",
		`{` + key + `,"universe_domain":"apis-berlin-build0.goog"}`:                                                                         `is for universe "apis-berlin-build0.goog", not googleapis.com; see --universe-domain`,
		`{` + account + `,` + byURL + `,"token_url":"https://evil.com/v1/token"}`:                                                           "has a token_url that is not",
		`{` + account + `,` + google + `}`:                                                                                                  "lacks credential_source",
		`{` + account + `,` + google + `,` + byURL + `,"service_account_impersonation_url":"https://evil.com/x"}`:                           "has a service_account_impersonation_url that is not",
		`{` + account + `,` + google + `,"credential_source":{"url":"http://idp.example.com/token"}}`:                                       "has a credential_source.url that is neither https nor on this node",
		`{` + account + `,` + google + `,"credential_source":{"region_url":"http://evil.com"}}`:                                             "credential_source.region_url",
		`{` + account + `,` + google + `,"credential_source":{"imdsv2_session_token_url":"ftp://169.254.169.254"}}`:                         "credential_source.imdsv2_session_token_url",
		`{` + account + `,` + google + `,"credential_source":{"file":"/dev/zero"}}`:                                                         "credential_source.file that is not there, or no regular file",
		`{` + account + `,` + google + `,"credential_source":{"file":"` + token + `.not"}}`:                                                 "credential_source.file",
		`{"type":"impersonated_service_account",` + as + `}`:                                                                                "lacks service_account_impersonation_url, or source_credentials",
		`{"type":"impersonated_service_account","source_credentials":{` + key + `}}`:                                                        "lacks service_account_impersonation_url",
		`{"type":"impersonated_service_account",` + as + `,"source_credentials":{"type":"authorized_user"}}`:                                `has source_credentials of which it is of type "authorized_user"`,
		`{"type":"impersonated_service_account",` + as + `,"source_credentials":{` + key + `,"token_uri":"https://evil.com"}}`:              "token_uri",
		`{"type":"impersonated_service_account","service_account_impersonation_url":"https://evil.com","source_credentials":{` + key + `}}`: "service_account_impersonation_url",
	} {
		_, err := parseCredentials([]byte(text), googleCloud)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := parseCredentials([]byte(`{`+key+`,"universe_domain":"apis-berlin-build0.goog","token_uri":"https://oauth2.apis-berlin-build0.goog/token"}`), berlin); err != nil {
		t.Error(err)
	}
	if _, err := parseCredentials([]byte(`{`+key+`}`), berlin); err == nil {
		t.Error("a key of Google Cloud is taken for one of another universe")
	}
}

// The library matches names in any case and takes a key with "web" in it for
// something else: it sees only what was checked.
func TestTheLibrarySeesWhatWasChecked(t *testing.T) {
	c, err := parseCredentials([]byte(`{"TYPE":"service_account","client_email":"a@b","private_key":"k","web":{"redirect_uris":["x"]},"unknown":1}`), googleCloud)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(c)
	if want := `{"type":"service_account","client_email":"a@b","private_key":"k"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	_, err := (&fileToken{place: place{universe: googleCloud}, file: "/no/such/key.json"}).Fetch(t.Context(), nil)
	if want := "credentials: reading the file: no such file or directory, asking as the node with /no/such/key.json"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(`{"type":"service_account","client_email":"a@b","private_key":"k","token_uri":"https://oauth2.googleapis.com/token"}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredentials([]byte(text), googleCloud)
		if err != nil {
			return
		}
		for ; c != nil; c = c.SourceCredentials {
			for _, address := range []string{c.TokenURI, c.TokenURL, c.ImpersonationURL} {
				rest, ok := strings.CutPrefix(strings.ToLower(address), "https://")
				host, _, _ := strings.Cut(rest, "/")
				host, _, _ = strings.Cut(host, "?")
				host, _, _ = strings.Cut(host, "#")
				if address != "" && (!ok || !strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":"), ".googleapis.com")) {
					t.Errorf("%q would be asked", address)
				}
			}
		}
	})
}
