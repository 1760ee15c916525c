package aws

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/oidc"
)

// stsAudience is whom a service account token must be for.
const stsAudience = "sts.amazonaws.com"

// assumeRoleWithWebIdentity exchanges a service account token for credentials
// of a role. The token is the proof: the request is not signed.
func (f *Fake) assumeRoleWithWebIdentity(x *cloud.Exchange, r *cloud.Request, fields form, e endpoint) error {
	if r.Header.Get("Authorization") != "" {
		return formRefusal("IncompleteSignature", "AssumeRoleWithWebIdentity is not signed")
	}
	if err := fields.only("WebIdentityToken", "ProviderId"); err != nil {
		return err
	}
	wanted, err := fields.assumption()
	if err != nil {
		return err
	}
	if length := len(fields.Get("WebIdentityToken")); length < 4 || length > 20000 {
		return validation("Value at 'webIdentityToken' failed to satisfy constraint: Member must have length between 4 and 20000")
	}
	claims, err := f.verifyIdentity(fields.Get("WebIdentityToken"))
	x.Summarize("%s for %s as %s", wanted.role, claims.Subject, wanted.name)
	if err != nil {
		return err
	}
	denied := deny("Not authorized to perform sts:AssumeRoleWithWebIdentity")
	role, err := f.assumable(wanted, e, denied)
	if err != nil {
		return err
	}
	if !slices.Contains(role.Subjects, claims.Subject) {
		return denied
	}
	issued := f.openSession(role, wanted.name, wanted.life)
	return answerXML(x, "AssumeRoleWithWebIdentity", struct {
		XMLName                     xml.Name `xml:"AssumeRoleWithWebIdentityResult"`
		Audience                    string
		AssumedRoleUser             assumedRoleUser
		Provider                    string
		Credentials                 stsCredentials
		SubjectFromWebIdentityToken string
	}{
		Audience:                    stsAudience,
		AssumedRoleUser:             newAssumedRoleUser(issued, wanted.name),
		Provider:                    f.providerARN(role),
		Credentials:                 newSTSCredentials(issued),
		SubjectFromWebIdentityToken: claims.Subject,
	})
}

// verifyIdentity words what is wrong with a token as STS does.
func (f *Fake) verifyIdentity(token string) (oidc.Claims, error) {
	claims, err := f.Issuer.Verify(token)
	if err != nil {
		return claims, refusal("InvalidIdentityToken",
			"Couldn't retrieve verification key from your identity provider, please reference "+
				"AssumeRoleWithWebIdentity documentation for requirements: "+err.Error())
	}
	now := f.Now()
	switch err := claims.Check(stsAudience, now); {
	case errors.Is(err, oidc.ErrExpired):
		return claims, refusal("ExpiredTokenException", fmt.Sprintf(
			"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), claims.Expires))
	case errors.Is(err, oidc.ErrAudience):
		return claims, refusal("InvalidIdentityToken", "Incorrect token audience")
	case err != nil:
		return claims, refusal("InvalidIdentityToken", err.Error())
	default:
		return claims, nil
	}
}

// providerARN names the issuer as an identity provider in a role's account.
func (f *Fake) providerARN(role Role) string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s",
		arnField(role.ARN, 1), arnField(role.ARN, 4), strings.TrimPrefix(f.Issuer.URL, "https://"))
}
