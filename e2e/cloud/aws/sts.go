package aws

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// The version of the STS API, and the namespace of its answers.
const (
	stsVersion   = "2011-06-15"
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
)

// sts is the Security Token Service of one region: an API of the AWS Query
// protocol, which takes a form and answers XML.
func (f *Fake) sts(e endpoint) http.Handler {
	return f.apiService(&cloud.Service{
		Name: serviceSTS,
		Operation: func(r *cloud.Request) string {
			fields, err := url.ParseQuery(string(r.Body))
			if err != nil {
				return ""
			}
			return fields.Get("Action")
		},
		Answer: func(x *cloud.Exchange, r *cloud.Request) error {
			fields, err := parseForm(r)
			if err != nil {
				return err
			}
			switch action := fields.Get("Action"); action {
			case "AssumeRoleWithWebIdentity":
				return f.assumeRoleWithWebIdentity(x, r, fields, e)
			case "AssumeRole":
				return f.assumeRole(x, r, fields, e)
			default:
				return formRefusal("InvalidAction", fmt.Sprintf("Could not find operation %s for version %s", action, stsVersion))
			}
		},
		Refuse: refuseXML,
	})
}

// stsError is the body of a refusal.
type stsError struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Error   struct {
		Type    string
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}

func refuseXML(refusal cloud.Refusal) (string, []byte) {
	body := stsError{RequestID: fake.GUID()}
	body.Error.Type = "Sender"
	if refusal.Status >= http.StatusInternalServerError {
		body.Error.Type = "Receiver"
	}
	body.Error.Code, body.Error.Message = refusal.Code, refusal.Message
	encoded, _ := xml.MarshalIndent(body, "", "  ") // strings never fail
	return "text/xml", encoded
}

// assumable finds a role and checks that it can be assumed for as long as is
// wanted. That it does not exist reads as every other denial: a stranger is
// not told which roles an account has.
func (f *Fake) assumable(wanted assumption, e endpoint, denied error) (Role, error) {
	if arnField(wanted.role, 1) != e.partition.name {
		return Role{}, formRefusal("ValidationError", "Request ARN is invalid")
	}
	role, ok := f.identities.role(wanted.role)
	if !ok {
		return Role{}, denied
	}
	longest := role.MaxSession
	if longest == 0 {
		longest = time.Hour
	}
	if wanted.life > longest {
		return Role{}, refusal("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return role, nil
}

// deny is the refusal of a trust policy.
func deny(format string, arguments ...any) error {
	return cloud.Refusal{Status: http.StatusForbidden, Code: "AccessDenied", Message: fmt.Sprintf(format, arguments...)}
}

// stsCredentials is how answers hold credentials.
type stsCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string // RFC 3339
}

func newSTSCredentials(issued Credentials) stsCredentials {
	return stsCredentials{
		AccessKeyID:     issued.AccessKeyID,
		SecretAccessKey: issued.SecretAccessKey,
		SessionToken:    issued.SessionToken,
		Expiration:      issued.Expires.UTC().Format(time.RFC3339),
	}
}

// assumedRoleUser names the session that credentials belong to.
type assumedRoleUser struct {
	Arn           string
	AssumedRoleID string `xml:"AssumedRoleId"`
}

func newAssumedRoleUser(issued Credentials, sessionName string) assumedRoleUser {
	id := "AROA" + hexHash([]byte(issued.Principal.Role))[:17]
	return assumedRoleUser{Arn: issued.Principal.ARN, AssumedRoleID: id + ":" + sessionName}
}

// answerXML wraps a result as the Query protocol does.
func answerXML(x *cloud.Exchange, action string, result any) error {
	body := struct {
		XMLName  xml.Name
		Result   any
		Metadata struct {
			RequestID string `xml:"RequestId"`
		} `xml:"ResponseMetadata"`
	}{XMLName: xml.Name{Space: stsNamespace, Local: action + "Response"}, Result: result}
	body.Metadata.RequestID = fake.GUID()
	encoded, err := xml.MarshalIndent(body, "", "  ")
	if err != nil {
		return err
	}
	x.Header().Set("Content-Type", "text/xml")
	_, err = x.Write(encoded)
	return err
}
