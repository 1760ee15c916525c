package gcp

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// accountOperation names what is asked of a path below service-accounts/.
func accountOperation(path string) string {
	if path == "" {
		return "ListServiceAccounts"
	}
	switch _, leaf, _ := strings.Cut(path, "/"); leaf {
	case "token":
		return "GetToken"
	case "email":
		return "GetEmail"
	case "scopes":
		return "GetScopes"
	case "identity":
		return "GetIdentity"
	default:
		return "GetServiceAccount"
	}
}

// answerAccount answers for the instance's one service account, which is
// called by its email and "default". Without one the list is empty, and
// everything below it is not found.
func (f *Fake) answerAccount(x *cloud.Exchange, r *cloud.Request, path, operation string, settings MetadataSettings) error {
	email := settings.ServiceAccount
	if operation == "ListServiceAccounts" {
		if email == "" {
			return answerText(x, "")
		}
		return answerText(x, "default/\n"+email+"/\n")
	}
	name, leaf, slash := strings.Cut(path, "/")
	if email == "" || name != "default" && name != email {
		return notFound(metadataPath(r))
	}
	if !slash {
		// A directory is asked for with a slash at its end.
		http.Redirect(x, r.Request, r.URL.Path+"/", http.StatusMovedPermanently)
		return nil
	}
	x.Summarize("%s", email)
	scopes := settings.Scopes
	if scopes == nil {
		scopes = []string{StorageReadOnly, LoggingWrite}
	}
	switch leaf {
	case "":
		if r.URL.Query().Get("recursive") == "true" {
			return fake.AnswerJSON(x, map[string]any{"aliases": []string{"default"}, "email": email, "scopes": scopes})
		}
		return answerText(x, "aliases\nemail\nidentity\nscopes\ntoken\n")
	case "aliases":
		return answerText(x, "default\n")
	case "email":
		return answerText(x, email)
	case "scopes":
		if r.URL.Query().Get("alt") == "json" {
			return fake.AnswerJSON(x, scopes)
		}
		return answerText(x, strings.Join(append(slices.Clone(scopes), ""), "\n"))
	case "token":
		issued := f.instanceToken(email, scopes, settings)
		return fake.AnswerJSON(x, issued.OAuth(f.Now()))
	default:
		return notFound(metadataPath(r))
	}
}

// instanceKey is what an instance's token is of.
type instanceKey struct {
	email, scopes, universe string
	settings                fake.TokenSettings
}

// instanceToken is the token that everybody on the instance gets, until minutes
// before its end.
func (f *Fake) instanceToken(email string, scopes []string, settings MetadataSettings) fake.Grant {
	before := settings.RenewBefore
	if before == 0 {
		before = 5 * time.Minute
	}
	key := instanceKey{email, strings.Join(scopes, " "), settings.Universe, settings.Token}
	return f.instance.Get(key, f.Now(), func() (fake.Grant, time.Time) {
		issued := f.issue(settings.Token, Token{
			Principal: Account(email), Service: "metadata", Scopes: scopes, Universe: settings.Universe,
		})
		return issued, issued.Expires.Add(-before)
	})
}
