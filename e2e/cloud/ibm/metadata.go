package ibm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	identityPath = "/identity/v1/token"
	iamPath      = "/identity/v1/iam_tokens"

	oldIdentityPath = "/instance_identity/v1/token"
	oldIAMPath      = "/instance_identity/v1/iam_token"

	// newVersion is the first version without the old paths.
	newVersion = "2025-08-26"
)

// identity is what the fake knows of a token that a machine got of itself.
type identity struct {
	power   bool
	expires time.Time
}

// VPC is the metadata service of a machine of VPC. It answers only requests that
// carry "Metadata-Flavor: ibm". Its operations are CreateIdentityToken and
// CreateIAMToken.
func (f *Fake) VPC() http.Handler { return f.metadata(false) }

// Power is the metadata service of Power Virtual Server, which has no versions.
func (f *Fake) Power() http.Handler { return f.metadata(true) }

func (f *Fake) metadata(power bool) http.Handler {
	return f.Front(&cloud.Service{
		Name: "metadata",
		Operation: func(r *cloud.Request) string {
			switch r.URL.Path {
			case identityPath, oldIdentityPath:
				return "CreateIdentityToken"
			case iamPath, oldIAMPath:
				return "CreateIAMToken"
			default:
				return "GetMetadata"
			}
		},
		Answer: func(x *cloud.Exchange, r *cloud.Request) error { return f.answerMetadata(x, r, power) },
		Refuse: wordList,
	})
}

// wordList words a refusal as most of IBM's APIs do.
func wordList(refusal cloud.Refusal) (string, []byte) {
	return fake.WordJSON(map[string]any{
		"errors":      []map[string]string{{"code": refusal.Code, "message": refusal.Message}},
		"trace":       fake.GUID(),
		"status_code": refusal.Status,
	})
}

func (f *Fake) answerMetadata(x *cloud.Exchange, r *cloud.Request, power bool) error {
	machine := f.Current().Machine
	for _, header := range []string{"Via", "X-Forwarded-For", "Forwarded"} {
		if r.Header.Get(header) != "" {
			return fake.RefuseForm(http.StatusForbidden, "unauthorized", "came by way of somebody else")
		}
	}
	if r.Header.Get("Metadata-Flavor") != "ibm" {
		return fake.RefuseForm(http.StatusBadRequest, "missing_value", "The header Metadata-Flavor is missing.")
	}
	if machine.Disabled {
		return fake.Refuse(http.StatusForbidden, "unauthorized", "The metadata service is not enabled for this instance.")
	}
	if err := checkVersion(r, power); err != nil {
		return err
	}
	if !machine.has(r.URL.Path, r.URL.Query().Get("version"), power) {
		return fake.Refuse(http.StatusNotFound, "not_found", "The resource was not found.")
	}
	switch {
	case r.Method == http.MethodPut && (r.URL.Path == identityPath || r.URL.Path == oldIdentityPath):
		return f.createIdentity(x, r, power)
	case r.Method == http.MethodPost && (r.URL.Path == iamPath || r.URL.Path == oldIAMPath):
		return f.createIAM(x, r, power)
	default:
		return fake.RefuseForm(http.StatusNotFound, "not_found", "no operation %s %s", r.Method, r.URL.Path)
	}
}

// checkVersion checks that a request says of which version of the API it is, and
// nothing else.
func checkVersion(r *cloud.Request, power bool) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	_, date := time.Parse(time.DateOnly, query.Get("version"))
	switch {
	case err != nil || len(query) > 1 || power && len(query) != 0:
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "a query of %q", r.URL.RawQuery)
	case !power && date != nil:
		return fake.RefuseForm(http.StatusBadRequest, "invalid_value", "version %q is no date", query.Get("version"))
	}
	return nil
}

// has reports whether the machine's service has a path in a version.
func (m MachineSettings) has(path, version string, power bool) bool {
	old := strings.HasPrefix(path, "/instance_identity/")
	switch {
	case power || m.BareMetal:
		return !old
	case m.Old:
		return old && version < newVersion
	default:
		return !old || version < newVersion
	}
}

func (f *Fake) createIdentity(x *cloud.Exchange, r *cloud.Request, power bool) error {
	var asked struct {
		ExpiresIn *int   `json:"expires_in"`
		Nonce     string `json:"nonce"`
	}
	if err := decode(r, &asked); err != nil {
		return err
	}
	life := 300
	if asked.ExpiresIn != nil {
		life = *asked.ExpiresIn
	}
	if life < 5 || life > 3600 {
		return fake.RefuseForm(http.StatusBadRequest, "invalid_value", "expires_in is %d", life)
	}
	if r.Header.Get("Authorization") != "" {
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "credentials have no place here")
	}
	settings := f.Current().Identity
	issued := f.Now()
	expires := issued.Add(settings.LifeOr(time.Duration(life) * time.Second))
	text := fake.NoiseJWT(map[string]any{"iss": "VSI-CR_us-south", "aud": "VSI-CR_us-south", "iat": issued.Unix(), "exp": expires.Unix(), "sub": fake.GUID()})
	f.identities.Add(text, identity{power, expires})
	x.Summarize("for %d s", life)
	return fake.AnswerJSON(x, f.machineAnswer(fake.Grant{Token: text, Issued: issued, Expires: expires, Shape: settings.Shape}))
}

func (f *Fake) createIAM(x *cloud.Exchange, r *cloud.Request, power bool) error {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	known, ok := f.identities.Find(token)
	if !bearer || !ok || known.power != power || !f.Now().Before(known.expires) {
		return fake.Refuse(http.StatusUnauthorized, "unauthenticated", "The identity token is missing, not of this machine or expired.")
	}
	var asked struct {
		Profile *struct {
			ID   string `json:"id"`
			CRN  string `json:"crn"`
			Name string `json:"name"`
		} `json:"trusted_profile"`
	}
	if err := decode(r, &asked); err != nil {
		return err
	}
	machine := f.Current().Machine
	id := machine.Default
	if asked.Profile != nil {
		if id = asked.Profile.ID; id == "" || asked.Profile.CRN != "" || asked.Profile.Name != "" {
			return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "a profile is named by one of id, crn and name; this fake knows ids")
		}
	}
	x.Summarize("profile %s", id)
	if id == "" {
		return fake.Refuse(http.StatusBadRequest, "missing_field", "The instance has no default trusted profile.")
	}
	profile, ok := f.directory.profile(id)
	if !ok || !slices.Contains(machine.Linked, id) {
		return fake.Refuse(http.StatusBadRequest, "profile_not_linked", "The trusted profile %s is not linked to the instance.", id)
	}
	return fake.AnswerJSON(x, f.machineAnswer(f.issue(f.Current().Metadata, profile.IAMID(), profile.Account, "metadata")))
}

// decode reads a body, which may be none, to the last field.
func decode(r *cloud.Request, into any) error {
	if len(r.Body) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fake.RefuseForm(http.StatusBadRequest, "unknown_field", "%v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "more than an object")
	}
	if !fake.HasKind(r, "application/json") {
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "content type is %q", r.Header.Get("Content-Type"))
	}
	return nil
}
