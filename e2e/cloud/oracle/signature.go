package oracle

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"regcred/e2e/cloud"
)

// signatureWindow is how far a signature's date may be from the service's.
const signatureWindow = 5 * time.Minute

// signature is what a request says of its signature.
type signature struct {
	keyID   string
	headers []string
	value   []byte
}

var signatureForm = regexp.MustCompile(`^Signature version="1",headers="([a-z0-9() -]+)",keyId="([^"]+)",algorithm="rsa-sha256",signature="([A-Za-z0-9+/]+=*)"$`)

// verify recomputes a request's signature and returns the id of the key that it
// is by. Host says whether the host has to be signed. Find returns the key.
func (f *Fake) verify(r *cloud.Request, host bool, find func(keyID string) (*rsa.PublicKey, error)) (keyID string, err error) {
	parts := signatureForm.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return "", notAuthenticated(true, "no signature")
	}
	value, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return "", notAuthenticated(true, err.Error())
	}
	s := signature{keyID: parts[2], headers: strings.Split(parts[1], " "), value: value}
	if err := s.checkHeaders(r, host); err != nil {
		return "", notAuthenticated(true, err.Error())
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return "", notAuthenticated(true, err.Error())
	}
	if f.Now().Sub(date).Abs() > signatureWindow {
		return "", notAuthenticated(false, "")
	}
	key, err := find(s.keyID)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(s.text(r)))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], s.value) != nil {
		return "", notAuthenticated(true, "the signature is not by that key, or of another request")
	}
	return s.keyID, nil
}

// checkHeaders finds out whether what has to be signed is, and whether the body
// is the one that is signed.
func (s signature) checkHeaders(r *cloud.Request, host bool) error {
	want := []string{"date", "(request-target)"}
	if host {
		want = append(want, "host")
	}
	if r.Method == http.MethodPost {
		want = append(want, "content-length", "content-type", "x-content-sha256")
		sum := sha256.Sum256(r.Body)
		if r.Header.Get("X-Content-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
			return fmt.Errorf("x-content-sha256 is not the body's")
		}
	}
	for _, name := range want {
		if !slices.Contains(s.headers, name) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	return nil
}

// text is what is signed: a line for each header, in the order they are named
// in.
func (s signature) text(r *cloud.Request) string {
	var lines []string
	for _, name := range s.headers {
		value := r.Header.Get(name)
		switch name {
		case "(request-target)":
			value = strings.ToLower(r.Method) + " " + r.URL.RequestURI()
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.Itoa(len(r.Body))
		}
		lines = append(lines, name+": "+value)
	}
	return strings.Join(lines, "\n")
}
