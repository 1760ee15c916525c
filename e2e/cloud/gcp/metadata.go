package gcp

import (
	"fmt"
	"net/http"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	metadataRoot = "/computeMetadata/v1/"
	accountsPath = "instance/service-accounts/"
)

// Metadata is the metadata server of the instance. It answers only a GET that
// carries Metadata-Flavor: Google and did not come through a proxy.
//
// Its operations are ListServiceAccounts, GetServiceAccount, GetToken,
// GetEmail, GetScopes, GetIdentity, GetProjectID, GetNumericProjectID,
// GetUniverse, GetAttribute and, for any other path, GetMetadata.
func (f *Fake) Metadata() http.Handler {
	handler := f.Front(&cloud.Service{
		Name:      "metadata",
		Operation: metadataOperation,
		Answer:    f.answerMetadata,
		Refuse: func(refusal cloud.Refusal) (string, []byte) {
			return "text/html; charset=UTF-8", fmt.Appendf(nil,
				"<!DOCTYPE html><html lang=en><title>Error %d (%s)</title><p>%s</html>\n", refusal.Status, refusal.Code, refusal.Message)
		},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Also what a fault answers comes from the metadata server.
		if settings := f.Current().Metadata; !settings.Impostor && !settings.Unmarked {
			w.Header().Set("Metadata-Flavor", "Google")
			w.Header().Set("Server", "Metadata Server for VM")
		}
		handler.ServeHTTP(w, r)
	})
}

// metadataPath is what of a path comes after the root.
func metadataPath(r *cloud.Request) string {
	return strings.TrimPrefix(r.URL.Path, metadataRoot)
}

func metadataOperation(r *cloud.Request) string {
	switch path := metadataPath(r); path {
	case "project/project-id":
		return "GetProjectID"
	case "project/numeric-project-id":
		return "GetNumericProjectID"
	case "universe/universe-domain":
		return "GetUniverse"
	default:
		switch {
		case strings.HasPrefix(path, "instance/attributes/"):
			return "GetAttribute"
		case strings.HasPrefix(path, accountsPath):
			return accountOperation(strings.TrimPrefix(path, accountsPath))
		}
		return "GetMetadata"
	}
}

func (f *Fake) answerMetadata(x *cloud.Exchange, r *cloud.Request) error {
	settings := f.Current().Metadata
	if settings.Impostor {
		return fake.Refuse(http.StatusNotFound, "Not Found", "The requested URL was not found on this server.")
	}
	if err := checkMetadata(r); err != nil {
		return err
	}
	if settings.Disabled {
		return fake.Refuse(http.StatusForbidden, "Forbidden", "The metadata endpoint is disabled.")
	}
	path := metadataPath(r)
	switch operation := metadataOperation(r); operation {
	case "GetProjectID":
		return answerText(x, or(settings.Project, "example-project"))
	case "GetNumericProjectID":
		return answerText(x, or(settings.ProjectNumber, "123456789012"))
	case "GetUniverse":
		if settings.Universe == "" {
			return notFound(path)
		}
		return answerText(x, settings.Universe)
	case "GetAttribute":
		name := strings.TrimPrefix(path, "instance/attributes/")
		x.Summarize("%s", name)
		value, ok := settings.Attributes[name]
		if !ok {
			return notFound(path)
		}
		return answerText(x, value)
	case "GetMetadata":
		return notFound(path)
	default:
		return f.answerAccount(x, r, strings.TrimPrefix(path, accountsPath), operation, settings)
	}
}

// checkMetadata refuses what may be no request of a program on the instance:
// a browser's, which sets no such header, and a proxy's.
func checkMetadata(r *cloud.Request) error {
	switch {
	case r.Method != http.MethodGet:
		return fake.RefuseForm(http.StatusMethodNotAllowed, "Method Not Allowed", "Only GET is allowed.")
	case r.Header.Get("X-Forwarded-For") != "":
		return fake.RefuseForm(http.StatusForbidden, "Forbidden", "Requests with X-Forwarded-For are refused.")
	case r.Header.Get("Metadata-Flavor") != "Google":
		return fake.RefuseForm(http.StatusForbidden, "Forbidden", `Missing required header "Metadata-Flavor": "Google"`)
	case r.Header.Get("Authorization") != "" || len(r.Body) != 0:
		return fake.RefuseForm(http.StatusBadRequest, "Bad Request", "Neither credentials nor a body have a place here.")
	case !strings.HasPrefix(r.URL.Path, metadataRoot):
		return notFound(r.URL.Path)
	default:
		return nil
	}
}

func answerText(x *cloud.Exchange, text string) error {
	x.Header().Set("Content-Type", "application/text")
	_, err := x.Write([]byte(text))
	return err
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func notFound(path string) error {
	return fake.Refuse(http.StatusNotFound, "Not Found", "The requested URL %s was not found on this server.", path)
}
