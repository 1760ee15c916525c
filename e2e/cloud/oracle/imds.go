package oracle

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// IMDS is the instance metadata service, version 2. Its operations are
// GetRegionInfo, GetRegion, and GetIdentity for each of the documents of the
// machine's identity.
func (f *Fake) IMDS() http.Handler {
	return f.Front(&cloud.Service{
		Name: "imds",
		Operation: func(r *cloud.Request) string {
			switch path := strings.TrimPrefix(r.URL.Path, metadataRoot); {
			case path == "instance/regionInfo":
				return "GetRegionInfo"
			case path == "instance/region":
				return "GetRegion"
			case strings.HasPrefix(path, "identity/"):
				return "GetIdentity"
			default:
				return "GetMetadata"
			}
		},
		Answer: f.answerIMDS,
		Refuse: refusePage,
	})
}

const metadataRoot = "/opc/v2/"

// refusePage words a refusal as the metadata service does: as a page.
func refusePage(refusal cloud.Refusal) (contentType string, body []byte) {
	return "text/html", fmt.Appendf(nil, "<html>\n<head><title>%d</title></head>\n<body><h1>%s</h1>%s</body>\n</html>\n", refusal.Status, refusal.Code, refusal.Message)
}

func (f *Fake) answerIMDS(x *cloud.Exchange, r *cloud.Request) error {
	switch {
	case r.Method != http.MethodGet || len(r.Body) != 0:
		return fake.RefuseForm(http.StatusMethodNotAllowed, "Method Not Allowed", "only GET")
	case r.Header.Get("Authorization") != "Bearer Oracle":
		return fake.RefuseForm(http.StatusUnauthorized, "Unauthorized", "the header Authorization: Bearer Oracle is missing")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host"} {
		if r.Header.Get(name) != "" {
			return fake.RefuseForm(http.StatusForbidden, "Forbidden", "forwarded by %s", name)
		}
	}
	path, ok := strings.CutPrefix(r.URL.Path, metadataRoot)
	if !ok || r.URL.RawQuery != "" {
		return fake.RefuseForm(http.StatusNotFound, "Not Found", "version 1 is disabled on this instance")
	}
	x.Summarize("%s", path)
	settings := f.Current()
	if strings.HasPrefix(path, "identity/") && settings.NoIdentity {
		return fake.Refuse(http.StatusNotFound, "Not Found", "")
	}
	switch path {
	case "instance/region":
		return answerText(x, strings.ToLower(f.Realm.RegionKey))
	case "instance/regionInfo":
		return fake.AnswerJSON(x, map[string]string{
			"realmKey": f.Realm.Key, "realmDomainComponent": f.Realm.Domain,
			"regionKey": f.Realm.RegionKey, "regionIdentifier": f.Realm.Region,
		})
	case "identity/cert.pem":
		return answerText(x, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.machine.leaf.Raw})))
	case "identity/intermediate.pem":
		return answerText(x, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.machine.intermediate.Raw})))
	case "identity/key.pem":
		return answerText(x, string(f.machine.keyPEM))
	default:
		return fake.RefuseForm(http.StatusNotFound, "Not Found", "no document %s", path)
	}
}

func answerText(x *cloud.Exchange, text string) error {
	x.Header().Set("Content-Type", "text/plain")
	_, err := x.Write([]byte(text))
	return err
}
