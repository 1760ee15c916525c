package aws

import (
	"encoding/xml"
	"errors"
	"net/http"
	"time"

	"regcred/e2e/cloud"
)

// assumeRole gives credentials of a role to a principal that it trusts.
func (f *Fake) assumeRole(x *cloud.Exchange, r *cloud.Request, fields form, e endpoint) error {
	if err := fields.only("ExternalId"); err != nil {
		return err
	}
	wanted, err := fields.assumption()
	if err != nil {
		return err
	}
	if fields.Has("ExternalId") {
		if _, err := fields.matching("ExternalId", externalID); err != nil {
			return err
		}
	}
	caller, err := f.authenticate(r, e)
	if err != nil {
		return asQuery(err)
	}
	x.Summarize("%s for %s as %s", wanted.role, caller.ARN, wanted.name)
	denied := deny("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", caller.ARN, wanted.role)
	role, err := f.assumable(wanted, e, denied)
	if err != nil {
		return err
	}
	if !role.trusts(caller) || role.ExternalID != "" && role.ExternalID != fields.Get("ExternalId") {
		return denied
	}
	if caller.Role != "" && wanted.life > time.Hour {
		return refusal("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	issued := f.openSession(role, wanted.name, wanted.life)
	return answerXML(x, "AssumeRole", struct {
		XMLName         xml.Name `xml:"AssumeRoleResult"`
		AssumedRoleUser assumedRoleUser
		Credentials     stsCredentials
	}{
		AssumedRoleUser: newAssumedRoleUser(issued, wanted.name),
		Credentials:     newSTSCredentials(issued),
	})
}

// asQuery words a refused signature as Query services do, which have other
// names and another status for it than JSON services.
func asQuery(err error) error {
	var refused cloud.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Code {
	case "MissingAuthenticationTokenException":
		refused.Code, refused.Status = "MissingAuthenticationToken", http.StatusForbidden
	case "IncompleteSignatureException":
		refused.Code, refused.Status = "IncompleteSignature", http.StatusBadRequest
	case "UnrecognizedClientException":
		refused.Code, refused.Status = "InvalidClientTokenId", http.StatusForbidden
	case "ExpiredTokenException":
		refused.Code, refused.Status = "ExpiredToken", http.StatusForbidden
	case "InvalidSignatureException":
		refused.Code, refused.Status = "SignatureDoesNotMatch", http.StatusForbidden
	}
	return refused
}
