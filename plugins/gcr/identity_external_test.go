package gcr

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/externalaccount"
)

// Who refused what is known by the address that the file has for it, and said
// with what to do.
func TestAnExchangeThatFails(t *testing.T) {
	const (
		aws   = `{"type":"external_account","audience":"//iam.googleapis.com/` + mainProvider + `","subject_token_type":"urn:ietf:params:aws:token-type:aws4_request","credential_source":{"environment_id":"aws1","url":"` + roles + `","region_url":"` + zone + `"V2}}`
		v2    = `,"imdsv2_session_token_url":"http://169.254.169.254/latest/api/token"`
		awsV2 = "http://169.254.169.254/latest/api/token"
	)
	awsV1, external := strings.Replace(aws, "V2", "", 1), externalFile
	impersonating := strings.Replace(external, `{`, `{"service_account_impersonation_url":"`+iamURL+`",`, 1)
	html := http.Header{"Content-Type": {"text/html"}}
	page := reply{status: http.StatusUnauthorized, body: "<html>", header: html}
	good := reply{body: "subject.token"}
	for name, tc := range map[string]struct {
		content   string
		answers   map[string]reply
		permanent bool
		want      string
	}{
		"the source refuses": {external, map[string]reply{sourceURL: {status: 403, body: "{}"}}, true,
			"idp.example.com refuses the subject token: check credential_source in FILE [subject token at idp.example.com: status 403; as the node by FILE]"},
		"the source has a fault": {external, map[string]reply{sourceURL: {status: 503}}, false,
			"the source of the subject token has a fault: the next attempt is made after a pause [subject token at idp.example.com: status 503; as the node by FILE]"},
		"STS refuses": {external, map[string]reply{sourceURL: good, stsURL: {status: 400, body: `{"error":"invalid_target","error_description":"no pool"}`}}, true,
			"the workload identity pool or provider does not exist, or is disabled: check //iam.googleapis.com/" + mainProvider + " [sts at sts.googleapis.com: status 400 invalid_target: no pool; as the node by FILE]"},
		"STS refuses a pod's token": {external, map[string]reply{sourceURL: {body: podToken(t, `,"aud":["x"]`).Reveal()}, stsURL: oauth("invalid_grant", "The audience in ID Token [x] does not match the expected audience.")}, true,
			"the subject token is for another audience than the provider allows (x): have it issued for what the provider allows, or let the provider allow the token's [sts"},
		"STS answers nonsense": {external, map[string]reply{sourceURL: good, stsURL: {body: `{"access_token":"t","expires_in":0}`}}, false,
			"the answer holds a token without an expiry: something else may answer in place of Google's STS: check proxies and endpoints [sts at sts.googleapis.com; as the node by FILE]"},
		"IAM refuses": {impersonating, map[string]reply{sourceURL: good, stsURL: {body: goodToken}, iamURL: {status: 403, body: `{"error":{"code":403,"message":"Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).","status":"PERMISSION_DENIED"}}`}}, true,
			pullAccount + " may not be impersonated, or does not exist: grant roles/iam.serviceAccountTokenCreator, or roles/iam.workloadIdentityUser to a principal, on it to a principal of //iam.googleapis.com/" + mainProvider + " [iamcredentials at iamcredentials.googleapis.com: status 403 PERMISSION_DENIED: Permission"},
		"a key that is gone": {keyFile(t), map[string]reply{oauthURL: {status: 400, body: `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`}}, true,
			"Google does not know the key: it was deleted or disabled, or is another account's: make a new one for " + otherAccount + " [oauth2 at oauth2.googleapis.com: status 400 invalid_grant: Invalid JWT Signature; as the node by FILE]"},
		"a key that is none": {`{"type":"service_account","client_email":"a@b","private_key":"hunter2"}`, nil, true,
			"credentials file FILE: private_key: private key should be a PEM or plain PKCS1 or PKCS8"},
		"a source that is none": {strings.Replace(external, `"url":"`+sourceURL+`"`, "", 1), nil, true,
			"credentials file FILE: credential_source: none of file, url, executable, environment_id aws1: GOOGLE_APPLICATION_CREDENTIALS or --credentials-file names it"},
		"no audience": {strings.Replace(external, `"audience"`, `"x"`, 1), nil, true, "credentials file FILE: no audience or subject_token_type"},
		"AWS, only version 2": {awsV1, map[string]reply{roles: page}, true,
			`this instance's metadata service takes version 2 of its protocol alone, which the file does not know: add "imdsv2_session_token_url": "http://169.254.169.254/latest/api/token" to credential_source in FILE [subject token at 169.254.169.254: status 401; as the node by FILE]`},
		"AWS, with version 2": {strings.Replace(aws, "V2", v2, 1), map[string]reply{awsV2: {body: "t"}, roles: {status: 401, body: "x", header: http.Header{}}}, true,
			"169.254.169.254 refuses the subject token: check credential_source in FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, tc.content)
			_, err := newFileToken(&exchanges{answers: tc.answers}, path).Fetch(t.Context(), nil)
			wantFailure(t, err, tc.permanent, strings.ReplaceAll(tc.want, "FILE", path))
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("a key is in %v", err)
			}
		})
	}
}

const (
	roles = "http://169.254.169.254/latest/meta-data/iam/security-credentials"
	zone  = "http://169.254.169.254/latest/meta-data/placement/availability-zone"
)

// program writes a script that is run by its own first line.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.Join(lines, "\n")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// The documented protocol: what the program is told, what it may say, and what
// of that an operator is told.
func TestASubjectTokenFromAProgram(t *testing.T) {
	const good = `{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","id_token":"subject.token","expiration_time":%d}`
	later := time.Now().Add(time.Hour).Unix()
	echo := func(text string) string { return "echo '" + text + "'" }
	for name, tc := range map[string]struct {
		lines   []string
		options string // of the executable, after its command
		kept    string
		denied  bool
		want    string
		wantErr string
	}{
		"a token":           {lines: []string{echo(fmt.Sprintf(good, later))}, want: "subject.token"},
		"without an expiry": {lines: []string{echo(`{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:id_token","id_token":"subject.token"}`)}, want: "subject.token"},
		"of SAML":           {lines: []string{echo(`{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:saml2","saml_response":"saml"}`)}, want: "saml"},
		"what it is told":   {lines: []string{`printf '{"version":1,"success":true,"token_type":"jwt","id_token":"%s|%s|%s|%s|%s"}' "$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE" "$GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE" "$GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE" "$GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL" "$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE"`}, want: "//iam.googleapis.com/" + mainProvider + "|urn:ietf:params:oauth:token-type:jwt|0|" + pullAccount + "|"},
		"kept in a file":    {lines: []string{"exit 1"}, options: `,"output_file":"KEPT"`, kept: fmt.Sprintf(good, later), want: "subject.token"},
		"kept for too long": {lines: []string{echo(fmt.Sprintf(strings.Replace(good, "subject", "new", 1), later))}, options: `,"output_file":"KEPT"`, kept: fmt.Sprintf(good, 1), want: "new.token"},
		"kept as nonsense":  {lines: []string{echo(fmt.Sprintf(good, later))}, options: `,"output_file":"KEPT"`, kept: "x", want: "subject.token"},
		"not allowed":       {denied: true, wantErr: "the file names a program, and programs are not allowed: set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 in the provider's env [subject token; as the node by FILE]"},
		"an exit":           {lines: []string{"echo hunter2; echo cannot log in >&2; exit 3"}, wantErr: "exit status 3 of PROGRAM, which printed: cannot log in: check credential_source.executable in the file, and run it by hand as the kubelet's user [subject token; as the node by FILE]"},
		"an exit that says": {lines: []string{echo(`{"version":1,"success":false,"code":"401","message":"Caller not authorized."}`), "exit 1"}, wantErr: "no subject token (code 401): Caller not authorized.: exit status 1 of PROGRAM: check"},
		"a refusal":         {lines: []string{echo(`{"version":1,"success":false,"code":"401","message":"Caller not authorized."}`)}, wantErr: "no subject token (code 401): Caller not authorized., from PROGRAM: check"},
		"nonsense":          {lines: []string{"echo hunter2"}, wantErr: "not the JSON of a subject token, from PROGRAM"},
		"another version":   {lines: []string{echo(`{"version":2,"success":true,"id_token":"hunter2"}`)}, wantErr: "not version 1 of the JSON of a subject token, from PROGRAM"},
		"no version":        {lines: []string{echo(`{"success":true,"id_token":"hunter2"}`)}, wantErr: "not version 1"},
		"no success":        {lines: []string{echo(`{"version":1,"id_token":"hunter2"}`)}, wantErr: "not version 1"},
		"no token":          {lines: []string{echo(`{"version":1,"success":true,"token_type":"jwt"}`)}, wantErr: "no id_token or saml_response, from PROGRAM"},
		"an expired token":  {lines: []string{echo(fmt.Sprintf(good, 1))}, wantErr: "a subject token that has expired, from PROGRAM"},
		"no expiry to keep": {lines: []string{echo(`{"version":1,"success":true,"token_type":"jwt","id_token":"hunter2"}`)}, options: `,"output_file":"KEPT"`, wantErr: "a subject token without expiration_time, which output_file needs"},
		"a limit too short": {options: `,"timeout_millis":100`, wantErr: "credential_source.executable.timeout_millis: not between 5000 and 120000"},
		"no such program":   {lines: nil, wantErr: "start the program: no such file or directory: PROGRAM: check"},
		"no command":        {lines: nil, options: "none", wantErr: "credential_source.executable without a command"},
	} {
		t.Run(name, func(t *testing.T) {
			command, kept := "/no/such/program", filepath.Join(t.TempDir(), "kept.json")
			if tc.lines != nil {
				command = script(t, tc.lines...)
			}
			if tc.kept != "" {
				if err := os.WriteFile(kept, []byte(tc.kept), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			executable := `"executable":{"command":"` + command + `"` + strings.ReplaceAll(tc.options, "KEPT", kept) + `}`
			if tc.options == "none" {
				executable = `"executable":{}`
			}
			content := strings.Replace(externalFile, `"url":"`+sourceURL+`"`, executable, 1)
			content = strings.Replace(content, `{`, `{"service_account_impersonation_url":"`+iamURL+`",`, 1)
			path := write(t, content)
			fake := &exchanges{answers: map[string]reply{stsURL: {body: goodToken}, iamURL: {body: fmt.Sprintf(`{"accessToken":"ya29.impersonated","expireTime":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))}}}
			env := []string{allowVariable + "=1"}
			if tc.denied {
				env = nil
			}
			_, err := newFileToken(fake, path, env...).Fetch(t.Context(), nil)
			if tc.wantErr != "" {
				wantFailure(t, err, tc.denied, strings.NewReplacer("FILE", path, "PROGRAM", command).Replace(tc.wantErr))
				if strings.Contains(fmt.Sprint(err), "hunter2") || len(fake.asked) > 0 {
					t.Errorf("got %v; asked %q", err, fake.asked)
				}
				return
			}
			if err != nil || !strings.Contains(fake.asked[0], "subject_token="+url.QueryEscape(tc.want)+"&") {
				t.Errorf("got %v; asked %q, want %s", err, fake.asked, tc.want)
			}
		})
	}
}

// What a program keeps in a file that others may write counts for nothing.
func TestAKeptSubjectTokenOfOthers(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept.json")
	token := fmt.Appendf(nil, `{"version":1,"success":true,"token_type":"jwt","id_token":"evil","expiration_time":%d}`, time.Now().Add(time.Hour).Unix())
	if err := os.WriteFile(kept, token, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(kept, 0o666); err != nil {
		t.Fatal(err)
	}
	own := script(t, "cat <<X", string(bytes.Replace(token, []byte("evil"), []byte("own"), 1)), "X")
	p := subjectProgram{config: executableSource{Command: own, OutputFile: kept}, allowed: "1"}
	if got, err := p.subjectToken(t.Context()); err != nil || got != "own" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Where a subject token is read from, and in which form.
func TestSubjectTokens(t *testing.T) {
	kept := func(content string) string { return write(t, content) }
	for name, tc := range map[string]struct {
		source, answer string
		want, wantErr  string
	}{
		"a file":                     {source: `"file":"` + kept("subject.token\n") + `"`, want: "subject.token"},
		"a file in JSON":             {source: `"file":"` + kept(`{"id":"subject.token"}`) + `","format":{"type":"json","subject_token_field_name":"id"}`, want: "subject.token"},
		"an empty file":              {source: `"file":"` + kept(" \n") + `"`, wantErr: "credential_source.file: empty subject token: "},
		"a file that is not JSON":    {source: `"file":"` + kept("hunter2") + `","format":{"type":"json"}`, wantErr: "credential_source.file: not the JSON of a subject token: "},
		"a file without the field":   {source: `"file":"` + kept(`{"other":"hunter2"}`) + `","format":{"type":"json","subject_token_field_name":"id"}`, wantErr: "credential_source.file: no subject token in the field of subject_token_field_name: "},
		"a file with another in it":  {source: `"file":"` + kept(`{"id":7}`) + `","format":{"type":"json","subject_token_field_name":"id"}`, wantErr: "credential_source.file: no subject token in the field"},
		"a URL":                      {source: `"url":"` + sourceURL + `","headers":{"X-Who":"node"}`, answer: "subject.token\n", want: "subject.token"},
		"a URL in JSON":              {source: `"url":"` + sourceURL + `","headers":{"X-Who":"node"},"format":{"type":"json","subject_token_field_name":"access_token"}`, answer: `{"access_token":"subject.token"}`, want: "subject.token"},
		"a URL that answers nothing": {source: `"url":"` + sourceURL + `","headers":{"X-Who":"node"}`, wantErr: "empty subject token: check credential_source in"},
		"a file before a URL":        {source: `"url":"` + sourceURL + `","file":"` + kept("subject.token") + `"`, want: "subject.token"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &exchanges{answers: map[string]reply{stsURL: {body: goodToken}, sourceURL: {body: tc.answer}}}
			through := transport(func(request *http.Request) (*http.Response, error) {
				if request.URL.String() == sourceURL && request.Header.Get("X-Who") != "node" {
					t.Errorf("asked with %v", request.Header)
				}
				return fake.RoundTrip(request)
			})
			_, err := newFileToken(through, write(t, strings.Replace(externalFile, `"url":"`+sourceURL+`"`, tc.source, 1))).Fetch(t.Context(), nil)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
			} else if asked := fake.asked[len(fake.asked)-1]; err != nil || !strings.Contains(asked, "subject_token="+tc.want+"&") {
				t.Errorf("got %v; asked %q", err, fake.asked)
			}
		})
	}
}

// A workforce pool may know the client, or has to be told the project.
func TestWorkforcePools(t *testing.T) {
	const workforce = `{"type":"external_account","audience":"//iam.googleapis.com/locations/global/workforcePools/p/providers/q","subject_token_type":"urn:ietf:params:oauth:token-type:id_token","workforce_pool_user_project":"123","credential_source":{"url":"` + sourceURL + `"}}`
	for client, want := range map[string]struct{ header, options string }{
		"": {"", "&options=%7B%22userProject%22%3A%22123%22%7D&"},
		`"client_id":"me","client_secret":"hunter2",`: {"Basic bWU6aHVudGVyMg==", ""},
	} {
		fake := &exchanges{answers: map[string]reply{stsURL: {body: goodToken}, sourceURL: {body: "subject.token"}}}
		header := ""
		through := transport(func(request *http.Request) (*http.Response, error) {
			header = request.Header.Get("Authorization")
			return fake.RoundTrip(request)
		})
		_, err := newFileToken(through, write(t, strings.Replace(workforce, "{", "{"+client, 1))).Fetch(t.Context(), nil)
		if err != nil || header != want.header || strings.Contains(fake.asked[1], "options=") != (want.options != "") || !strings.Contains(fake.asked[1], want.options) {
			t.Errorf("%q: got %v; asked with %q %q", client, err, header, fake.asked)
		}
	}
}

const awsFile = `{"type":"external_account","audience":"//iam.googleapis.com/` + mainProvider + `","subject_token_type":"urn:ietf:params:aws:token-type:aws4_request","credential_source":{"environment_id":"aws1","url":"` + roles + `","region_url":"` + zone + `"`

// The subject token of a role of AWS is, to the last character, what Google's
// own library makes of it.
func TestTheSubjectTokenOfAWS(t *testing.T) {
	const v2 = "http://169.254.169.254/latest/api/token"
	answers := map[string]reply{
		v2:                   {body: "session"},
		roles:                {body: "node-role"},
		roles + "/node-role": {body: `{"Code":"Success","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"hunter2hunter2","Token":"a+b/c=="}`},
		zone:                 {body: "eu-central-1b"},
		stsURL:               {body: goodToken},
	}
	keys := []string{"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=hunter3hunter3"}
	for name, tc := range map[string]struct {
		source string
		env    []string
		asked  []string
	}{
		"of the instance":               {"", nil, []string{roles, roles + "/node-role", zone}},
		"by version 2 of its protocol":  {`,"imdsv2_session_token_url":"` + v2 + `"`, nil, []string{v2, roles, roles + "/node-role", zone}},
		"of the environment":            {`,"imdsv2_session_token_url":"` + v2 + `"`, append(keys, "AWS_REGION=us-east-1", "AWS_SESSION_TOKEN=x/y+z="), nil},
		"in another variable's region":  {"", append(keys, "AWS_DEFAULT_REGION=us-east-1"), nil},
		"in the instance's region":      {"", keys, []string{zone}},
		"with the instance's role":      {"", []string{"AWS_REGION=us-east-1"}, []string{roles, roles + "/node-role"}},
		"without the secret of the key": {"", []string{"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_REGION=us-east-1"}, []string{roles, roles + "/node-role"}},
		"asked elsewhere":               {`,"regional_cred_verification_url":"https://sts.{region}.amazonaws.com.cn?Action=GetCallerIdentity&Version=2011-06-15"`, nil, []string{roles, roles + "/node-role", zone}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"} {
				t.Setenv(variable, "")
			}
			for _, variable := range tc.env {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			}
			content := awsFile + tc.source + "}}"
			ours, theirs := "", "x"
			// Both state the second in which they were signed.
			for attempt := 0; ours != theirs && attempt < 5; attempt++ {
				fake := &exchanges{answers: answers}
				if _, err := newFileToken(fake, write(t, content), tc.env...).Fetch(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				asked := fake.asked[:len(fake.asked)-1]
				if fmt.Sprint(asked) != fmt.Sprint(tc.asked) {
					t.Errorf("asked %q, want %q", asked, tc.asked)
				}
				ours = exchanged(t, fake)
				fake = &exchanges{answers: answers}
				var file struct {
					Source externalaccount.CredentialSource `json:"credential_source"`
				}
				if err := json.Unmarshal([]byte(content), &file); err != nil {
					t.Fatal(err)
				}
				source, err := externalaccount.NewTokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: fake}), externalaccount.Config{
					Audience: "//iam.googleapis.com/" + mainProvider, SubjectTokenType: "urn:ietf:params:aws:token-type:aws4_request", CredentialSource: &file.Source,
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := source.Token(); err != nil {
					t.Fatal(err)
				}
				theirs = exchanged(t, fake)
			}
			if ours != theirs {
				t.Errorf("got  %s\nwant %s", ours, theirs)
			}
			secret := "hunter2hunter2"
			if strings.Contains(ours, "AKIAEXAMPLE") {
				secret = "hunter3hunter3"
			}
			if !slices.Contains(credential.Known(), secret) {
				t.Error("messages are not cleared of the role's secret key")
			}
		})
	}
}

// exchanged returns the subject token of the last exchange.
func exchanged(t *testing.T, fake *exchanges) string {
	t.Helper()
	_, form, _ := strings.Cut(fake.asked[len(fake.asked)-1], " ")
	values, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	return values.Get("subject_token")
}

// What an instance of AWS may lack.
func TestARoleThatAWSDoesNotHave(t *testing.T) {
	for name, tc := range map[string]struct {
		answers map[string]reply
		content string
		want    string
	}{
		"no role":         {map[string]reply{roles: {status: 404, body: "x", header: http.Header{}}}, awsFile, "169.254.169.254 refuses the subject token: check credential_source in FILE [subject token at 169.254.169.254: status 404; as the node by FILE]"},
		"an empty list":   {map[string]reply{roles: {}}, awsFile, "empty answer: check credential_source in FILE"},
		"no keys":         {map[string]reply{roles: {body: "r"}, roles + "/r": {body: `{"Code":"Failed","Token":"hunter2"}`}}, awsFile, "the answer holds no credentials of a role: check credential_source in FILE"},
		"nonsense":        {map[string]reply{roles: {body: "r"}, roles + "/r": {body: "hunter2"}}, awsFile, "the answer cannot be read: check credential_source in FILE"},
		"nowhere to look": {nil, strings.Replace(awsFile, `"url":"`+roles+`",`, "", 1), "credentials file FILE: credential_source.url: empty, and the environment does not say either"},
		"no region":       {map[string]reply{roles: {body: "r"}, roles + "/r": {body: `{"AccessKeyId":"a","SecretAccessKey":"b"}`}}, strings.Replace(awsFile, `,"region_url":"`+zone+`"`, "", 1), "credentials file FILE: credential_source.region_url: empty"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, tc.content+"}}")
			_, err := newFileToken(&exchanges{answers: tc.answers}, path).Fetch(t.Context(), nil)
			wantFailure(t, err, true, strings.ReplaceAll(tc.want, "FILE", path))
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}
