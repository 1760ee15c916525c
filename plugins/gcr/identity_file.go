package gcr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/settings"
)

// fileToken is the token that a file of credentials is exchanged for. What is
// in the file, a private key at worst, goes nowhere: registries would take a
// key for a password, and it would be on the wire and in the kubelet's memory.
type fileToken struct {
	endpoints *endpoints
	file      string
	scopes    []string
	// getenv looks up what an external account's source may depend on.
	getenv func(string) string
}

// String says who is asked, and as whom.
func (t *fileToken) String() string {
	return "APIs of " + t.endpoints.universe.domain + " for a token as " + t.caller()
}

func (t *fileToken) caller() string { return "the node by " + t.file }

// Key names the file, not what it says.
func (t *fileToken) Key() credential.Key {
	environment := settings.Environment(t.getenv, "AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION", allowVariable)
	return slices.Concat(credential.Key{"gcr", "file", t.endpoints.universe.domain, t.file}, t.scopes, environment)
}

// Fetch reads the file and exchanges what it holds.
func (t *fileToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	text, err := file.Read(t.file)
	if err != nil {
		return credential.Token{}, t.mistake(err)
	}
	c, err := parseCredentials(text, t.endpoints)
	if err != nil {
		return credential.Token{}, t.mistake(err)
	}
	return t.token(ctx, c, t.scopes)
}

// mistake is the failure of a file that somebody has to correct.
func (t *fileToken) mistake(err error) *credential.Failure {
	return &credential.Failure{
		Problem:   "credentials file " + t.file + ": " + err.Error(),
		Advice:    "GOOGLE_APPLICATION_CREDENTIALS or --credentials-file names it",
		Err:       err,
		Permanent: true,
	}
}

// token returns the token of the credentials' own identity, or of the account
// that it impersonates.
func (t *fileToken) token(ctx context.Context, c *credentials, scopes []string) (credential.Token, error) {
	if c.ImpersonationURL == "" {
		return t.own(ctx, c, scopes)
	}
	own, err := t.impersonating(ctx, c)
	if err != nil {
		return credential.Token{}, err
	}
	email := c.impersonated()
	token, reply, err := t.endpoints.accountToken(ctx, c.ImpersonationURL, own, accountRequest{Delegates: c.Delegates, Scopes: scopes, Lifetime: c.lifetime()})
	if err != nil {
		return credential.Token{}, explain(reply, err, t.caller()+" for "+email,
			diagnoseImpersonation(reply, err, email, own.Caller, "roles/iam.serviceAccountTokenCreator, or roles/iam.workloadIdentityUser to a principal,"))
	}
	token.Caller = email
	return token, nil
}

// impersonating returns the token of who impersonates. Whatever is asked for in
// the end, IAM takes it for this scope alone.
func (t *fileToken) impersonating(ctx context.Context, c *credentials) (credential.Token, error) {
	if c.SourceCredentials != nil {
		return t.token(ctx, c.SourceCredentials, []string{everything})
	}
	return t.own(ctx, c, []string{everything})
}

// own returns the token of the credentials' own identity.
func (t *fileToken) own(ctx context.Context, c *credentials, scopes []string) (credential.Token, error) {
	if c.Type == typeKey {
		return t.keyToken(ctx, c, scopes)
	}
	return t.externalToken(ctx, c, scopes)
}

// keyToken returns the token of a service account for what its key has signed.
func (t *fileToken) keyToken(ctx context.Context, c *credentials, scopes []string) (credential.Token, error) {
	recorder := &cloudhttp.Recorder{Next: t.endpoints.clients.API().Transport, Context: ctx, OnlySuccess: true}
	config := jwt.Config{Email: c.ClientEmail, PrivateKey: []byte(c.PrivateKey), PrivateKeyID: c.PrivateKeyID, TokenURL: c.TokenURI, Scopes: scopes}
	_, err := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, recorder.Client())).Token()
	reply := recorder.Last()
	reply.Stage = stageOAuth
	if reply.Host == "" {
		// Nothing was sent.
		return credential.Token{}, t.mistake(errors.New("private_key: " + strings.TrimPrefix(err.Error(), "oauth2: ")))
	}
	token, err := readToken(reply)
	if err != nil {
		return credential.Token{}, explain(reply, err, t.caller(), diagnoseKey(reply, err, c.ClientEmail))
	}
	token.Caller = c.ClientEmail
	return token, nil
}

// lifetime is how long the impersonated account's token is asked to live.
func (c *credentials) lifetime() string {
	if seconds := c.Impersonation.TokenLifetimeSeconds; seconds > 0 {
		return fmt.Sprintf("%ds", seconds)
	}
	return accountLife
}

// impersonated is the email of the account that is impersonated, or the last
// part of what names it.
func (c *credentials) impersonated() string {
	name, _ := strings.CutSuffix(c.ImpersonationURL, ":generateAccessToken")
	return name[strings.LastIndexByte(name, '/')+1:]
}
