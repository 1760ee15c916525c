package gcr

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/serviceaccount"
)

// externalToken returns the token of a principal outside of Google Cloud: what
// proves who it is, its subject token, is exchanged at STS.
//
// Google's library for it compiles regular expressions at the start of every
// process, hands URLs on without a look, and loses what was refused where.
func (t *fileToken) externalToken(ctx context.Context, c *credentials, scopes []string) (credential.Token, error) {
	subjectToken, err := t.subjectToken(ctx, c)
	if err != nil {
		return credential.Token{}, err
	}
	call := exchange(c.TokenURL, c.Audience, c.SubjectTokenType, subjectToken, scopes)
	call.Header = c.clientAuth()
	if c.WorkforcePoolUserProject != "" && call.Header == nil {
		options, err := json.Marshal(map[string]string{"userProject": c.WorkforcePoolUserProject})
		if err != nil {
			return credential.Token{}, t.mistake(err)
		}
		call.Form.Set("options", string(options))
	}
	reply := call.Do(ctx, t.endpoints.clients.API())
	token, err := readToken(reply)
	if err != nil {
		const name, setting = "the subject token", "have it issued for what the provider allows"
		s := subject{name: name, token: subjectToken.Reveal(), provider: c.Audience, setting: setting}
		if pod, err := serviceaccount.Parse(s.token); err == nil {
			s = subjectOf(pod, name, c.Audience, setting)
		}
		return credential.Token{}, explain(reply, err, t.caller(), diagnoseExchange(reply, err, s))
	}
	token.Caller = "a principal of " + c.Audience
	return token, nil
}

// clientAuth is the header of the client that a workforce pool may know.
func (c *credentials) clientAuth() http.Header {
	if c.ClientID == "" || c.ClientSecret == "" {
		return nil
	}
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(c.ClientID+":"+c.ClientSecret))}}
}

// subjectToken returns what proves who the principal is. The first of its
// sources that is named counts, in the order of Google's libraries.
func (t *fileToken) subjectToken(ctx context.Context, c *credentials) (credential.Secret, error) {
	source := c.CredentialSource
	var text string
	var err error
	switch {
	case source.isAWS():
		text, err = awsSource{t, c}.subjectToken(ctx)
	case source.File != "":
		text, err = t.readSubject(source)
	case source.URL != "":
		text, err = t.askForSubject(ctx, source)
	default:
		program := subjectProgram{config: *source.Executable, audience: c.Audience, tokenType: c.SubjectTokenType, email: c.impersonated(), allowed: t.getenv(allowVariable)}
		text, err = program.subjectToken(ctx)
		if failed, ok := errors.AsType[programError](err); ok {
			err = t.explainProgram(failed)
		}
	}
	return credential.NewSecret(text), err
}

// readSubject reads a subject token from a file, which whoever keeps it new
// need not be root for.
func (t *fileToken) readSubject(source *credentialSource) (string, error) {
	kept, err := file.Open(source.File)
	if err != nil {
		return "", t.mistake(errors.New("credential_source.file: cannot be opened: " + source.File))
	}
	defer func() { _ = kept.Close() }()
	text, err := io.ReadAll(io.LimitReader(kept, maxSubject))
	if err != nil {
		return "", t.mistake(errors.New("credential_source.file: cannot be read: " + source.File))
	}
	token, err := source.Format.read(text)
	if err != nil {
		return "", t.mistake(errors.New("credential_source.file: " + err.Error() + ": " + source.File))
	}
	return token, nil
}

// maxSubject bounds a subject token. STS takes much less.
const maxSubject = 1 << 20

// askForSubject gets a subject token from an address.
func (t *fileToken) askForSubject(ctx context.Context, source *credentialSource) (string, error) {
	header := http.Header{}
	for name, value := range source.Headers {
		header.Set(name, value)
	}
	reply := t.askSource(ctx, cloudhttp.Call{URL: source.URL, Header: header})
	if !reply.OK() {
		return "", t.explainSource(reply, errRefused)
	}
	token, err := source.Format.read(reply.Body)
	if err != nil {
		return "", t.explainSource(reply, err)
	}
	return token, nil
}

// askSource asks a source of subject tokens, on the node's own link without a
// proxy.
func (t *fileToken) askSource(ctx context.Context, call cloudhttp.Call) cloudhttp.Reply {
	clients := t.endpoints.clients
	client := clients.API()
	if address, err := url.Parse(call.URL); err == nil && clients.IsMetadata(address.Hostname()) {
		client = clients.Metadata()
	}
	call.Stage = stageSubject
	return call.Do(ctx, client)
}

// explainSource makes the failure of a source of subject tokens.
func (t *fileToken) explainSource(reply cloudhttp.Reply, err error) *credential.Failure {
	advice := "check credential_source in " + t.file
	d, found := reply.Diagnose(cloudhttp.Service{Name: "the source of the subject token"})
	switch {
	case reply.OK():
		d = refusal(err.Error(), advice)
	case !found:
		d = refusal(reply.Host+" refuses the subject token", advice)
	}
	return explain(reply, err, t.caller(), d)
}

// subjectFormat is how a subject token is written.
type subjectFormat struct {
	// Type is "text", which is the default, or "json".
	Type string `json:"type"`
	// FieldName is the field of a JSON object that has the token.
	FieldName string `json:"subject_token_field_name"`
}

// read returns the token in what was read. What that says is in no error.
func (f subjectFormat) read(text []byte) (string, error) {
	token := string(bytes.TrimSpace(text))
	switch f.Type {
	case "", "text":
	case "json":
		var object map[string]any
		if json.Unmarshal(text, &object) != nil {
			return "", errors.New("not the JSON of a subject token")
		}
		token, _ = object[f.FieldName].(string)
		if token == "" {
			return "", errors.New("no subject token in the field of subject_token_field_name")
		}
	}
	if token == "" {
		return "", errors.New("empty subject token")
	}
	return token, nil
}

// isAWS reports whether a subject token is a request that AWS's STS answers.
func (s *credentialSource) isAWS() bool { return strings.HasPrefix(s.EnvironmentID, "aws") }
