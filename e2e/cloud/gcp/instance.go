package gcp

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud"
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
		// A folder is asked for with a slash at its end.
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
			return answerJSON(x, map[string]any{"aliases": []string{"default"}, "email": email, "scopes": scopes})
		}
		return answerText(x, "aliases\nemail\nidentity\nscopes\ntoken\n")
	case "aliases":
		return answerText(x, "default\n")
	case "email":
		return answerText(x, email)
	case "scopes":
		if r.URL.Query().Get("alt") == "json" {
			return answerJSON(x, scopes)
		}
		return answerText(x, strings.Join(append(slices.Clone(scopes), ""), "\n"))
	case "token":
		issued := f.instance.token(f, email, scopes, settings)
		return answerJSON(x, issued.fields(f.now()))
	default:
		return notFound(metadataPath(r))
	}
}

// instanceToken is the token that a metadata server holds. Everybody on the
// instance gets the same one, with less and less of its life left, until
// minutes before its end: asking earlier yields nothing new.
type instanceToken struct {
	mu       sync.Mutex
	held     grant
	email    string
	scopes   []string
	universe string
	settings TokenSettings
}

func (i *instanceToken) token(f *Fake, email string, scopes []string, settings MetadataSettings) grant {
	before := settings.RenewBefore
	if before == 0 {
		before = 5 * time.Minute
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	same := i.email == email && i.settings == settings.Token && i.universe == settings.Universe && slices.Equal(i.scopes, scopes)
	if same && f.now().Before(i.held.expires.Add(-before)) {
		return i.held
	}
	i.email, i.scopes, i.universe, i.settings = email, scopes, settings.Universe, settings.Token
	i.held = f.issue(settings.Token, Token{
		Principal: Account(email), Service: "metadata", Scopes: scopes, Universe: settings.Universe,
	})
	return i.held
}
