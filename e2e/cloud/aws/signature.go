package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"regcred/e2e/cloud"
)

const (
	signatureAlgorithm = "AWS4-HMAC-SHA256"
	signatureTime      = "20060102T150405Z"
	signatureWindow    = 5 * time.Minute
)

// authenticate verifies a request's Signature Version 4 by computing it again,
// and returns who signed. Refusals are worded as the JSON services do.
func (f *Fake) authenticate(r *cloud.Request, e endpoint) (Principal, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return Principal{}, formRefusal("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	claimed, err := parseSignature(header)
	if err != nil {
		return Principal{}, formRefusal("IncompleteSignatureException", err.Error())
	}
	holder, err := f.knownHolder(claimed, r, e)
	if err != nil {
		return Principal{}, err
	}
	if err := f.checkTime(claimed, r); err != nil {
		return Principal{}, err
	}
	if claimed.region != e.region {
		return Principal{}, formRefusal("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	if claimed.service != e.service {
		return Principal{}, formRefusal("InvalidSignatureException",
			fmt.Sprintf("Credential should be scoped to correct service: '%s'.", e.service))
	}
	if err := checkSignedHeaders(claimed, r); err != nil {
		return Principal{}, err
	}
	if !hmac.Equal([]byte(claimed.sign(holder.SecretAccessKey, r)), []byte(claimed.value)) {
		return Principal{}, formRefusal("InvalidSignatureException",
			"The request signature we calculated does not match the signature you provided. "+
				"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return holder.Principal, nil
}

// knownHolder finds the credentials that a signature claims to be made with.
func (f *Fake) knownHolder(claimed signature, r *cloud.Request, e endpoint) (Credentials, error) {
	const invalid = "The security token included in the request is invalid."
	holder, ok := f.identities.holders.Find(claimed.accessKeyID)
	if !ok || holder.Principal.partition() != e.partition.name {
		return Credentials{}, refusal("UnrecognizedClientException", invalid)
	}
	if r.Header.Get("X-Amz-Security-Token") != holder.SessionToken {
		return Credentials{}, formRefusal("UnrecognizedClientException", invalid)
	}
	if holder.expiredAt(f.Now()) {
		return Credentials{}, refusal("ExpiredTokenException", "The security token included in the request is expired")
	}
	return holder, nil
}

// checkTime compares the time of signing with the fake's clock.
func (f *Fake) checkTime(claimed signature, r *cloud.Request) error {
	stamp := r.Header.Get("X-Amz-Date")
	signed, err := time.Parse(signatureTime, stamp)
	if err != nil || !strings.HasPrefix(stamp, claimed.date) {
		return formRefusal("IncompleteSignatureException",
			fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.", claimed.date, stamp))
	}
	now := f.Now().UTC()
	earliest, latest := now.Add(-signatureWindow), now.Add(signatureWindow)
	switch {
	case signed.Before(earliest):
		return refusal("InvalidSignatureException", fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			stamp, earliest.Format(signatureTime), now.Format(signatureTime)))
	case signed.After(latest):
		return refusal("InvalidSignatureException", fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			stamp, latest.Format(signatureTime), now.Format(signatureTime)))
	default:
		return nil
	}
}

// checkSignedHeaders asks that whatever decides about the meaning of a
// request is part of what was signed.
func checkSignedHeaders(claimed signature, r *cloud.Request) error {
	required := []string{"host", "x-amz-date"}
	for name := range r.Header {
		name = strings.ToLower(name)
		if name == "content-type" || strings.HasPrefix(name, "x-amz-") {
			required = append(required, name)
		}
	}
	for _, name := range required {
		if !slices.Contains(claimed.signedHeaders, name) {
			return formRefusal("InvalidSignatureException",
				fmt.Sprintf("'%s' must be a 'SignedHeader' in the AWS Authorization.", name))
		}
	}
	return nil
}

// signature is a parsed Authorization header.
type signature struct {
	accessKeyID, date, region, service string
	signedHeaders                      []string // lower case, sorted
	value                              string   // hexadecimal
}

// parseSignature reads
//
//	AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX
func parseSignature(header string) (signature, error) {
	algorithm, rest, _ := strings.Cut(header, " ")
	if algorithm != signatureAlgorithm {
		return signature{}, fmt.Errorf("unsupported AWS 'algorithm': '%s'", algorithm)
	}
	parameters := map[string]string{}
	for parameter := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(parameter), "=")
		if _, twice := parameters[name]; !ok || twice {
			return signature{}, fmt.Errorf("'%s' is not a valid key=value pair in Authorization header", name)
		}
		parameters[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parameters[name] == "" {
			return signature{}, fmt.Errorf("authorization header requires '%s' parameter", name)
		}
	}
	scope := strings.Split(parameters["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return signature{}, fmt.Errorf("credential must have exactly 5 slash-delimited elements and end with aws4_request")
	}
	headers := strings.Split(parameters["SignedHeaders"], ";")
	if !slices.IsSorted(headers) || strings.ToLower(parameters["SignedHeaders"]) != parameters["SignedHeaders"] {
		return signature{}, fmt.Errorf("signed headers must be lower case and sorted")
	}
	return signature{scope[0], scope[1], scope[2], scope[3], headers, parameters["Signature"]}, nil
}

// sign computes what the signature should be.
func (s signature) sign(secret string, r *cloud.Request) string {
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{
		signatureAlgorithm,
		r.Header.Get("X-Amz-Date"),
		scope,
		hexHash([]byte(s.canonicalRequest(r))),
	}, "\n")
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = authenticationCode(key, part)
	}
	return hex.EncodeToString(authenticationCode(key, toSign))
}

func (s signature) canonicalRequest(r *cloud.Request) string {
	var headers strings.Builder
	for _, name := range s.signedHeaders {
		headers.WriteString(name + ":" + canonicalHeader(r.Request, name) + "\n")
	}
	return strings.Join([]string{
		r.Method,
		"/", // and no query: checkTarget accepts nothing else
		"",
		headers.String(),
		strings.Join(s.signedHeaders, ";"),
		hexHash(r.Body),
	}, "\n")
}

// canonicalHeader joins the values of a header, with runs of spaces made one.
// The server keeps two headers apart from the others.
func canonicalHeader(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	var values []string
	for _, value := range r.Header.Values(name) {
		values = append(values, strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(values, ",")
}

func authenticationCode(key []byte, content string) []byte {
	code := hmac.New(sha256.New, key)
	code.Write([]byte(content))
	return code.Sum(nil)
}

func hexHash(content []byte) string {
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:])
}
