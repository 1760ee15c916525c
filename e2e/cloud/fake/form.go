package fake

import (
	"fmt"
	"mime"
	"net/url"
	"slices"

	"regcred/e2e/cloud"
)

// FormKind is the content type of a form.
const FormKind = "application/x-www-form-urlencoded"

// HasKind reports whether a request's body is of a content type, whatever its
// parameters.
func HasKind(r *cloud.Request, want string) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == want
}

// Form reads a request's form, whose fields occur once each and are known ones.
func Form(r *cloud.Request, known ...string) (map[string]string, error) {
	if !HasKind(r, FormKind) {
		return nil, fmt.Errorf("content type is %q", r.Header.Get("Content-Type"))
	}
	values, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for name, all := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("unknown field %q", name)
		case len(all) != 1:
			return nil, fmt.Errorf("%s is there %d times", name, len(all))
		}
		fields[name] = all[0]
	}
	return fields, nil
}
