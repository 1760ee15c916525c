package aws

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"regcred/e2e/cloud"
)

// form is the fields of a Query request. Each occurs once.
type form struct{ url.Values }

// parseForm verifies the form of a request as far as all actions share it.
func parseForm(r *cloud.Request) (form, error) {
	if err := checkTarget(r); err != nil {
		return form{}, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return form{}, formRefusal("MalformedInput", fmt.Sprintf("content type is %q", r.Header.Get("Content-Type")))
	}
	fields, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return form{}, formRefusal("MalformedInput", err.Error())
	}
	for name, values := range fields {
		if len(values) > 1 {
			return form{}, formRefusal("MalformedInput", fmt.Sprintf("%s is there %d times", name, len(values)))
		}
	}
	if fields.Get("Action") == "" {
		return form{}, formRefusal("MissingAction", "there is no Action")
	}
	if version := fields.Get("Version"); version != stsVersion {
		return form{}, formRefusal("InvalidAction", fmt.Sprintf("Could not find operation %s for version %s", fields.Get("Action"), version))
	}
	return form{fields}, nil
}

// only refuses a field that neither the given names nor those that both
// actions share allow: most likely one that is misspelt.
func (f form) only(names ...string) error {
	names = append(names, "Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "Policy")
	for name := range f.Values {
		if !slices.Contains(names, name) && !policyARN.MatchString(name) {
			return validation("Value at '%s' failed to satisfy constraint: Member must be a known parameter", name)
		}
	}
	if policy := f.Get("Policy"); f.Has("Policy") && (len(policy) > 2048 || !json.Valid([]byte(policy))) {
		return formRefusal("MalformedPolicyDocument", "The policy is not in the valid JSON format.")
	}
	return nil
}

var (
	policyARN   = regexp.MustCompile(`^PolicyArns\.member\.([1-9]|10)\.arn$`)
	roleARN     = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/([!-~]+/)?[\w+=,.@-]{1,64}$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
)

// matching returns a field that must be there.
func (f form) matching(name string, grammar *regexp.Regexp) (string, error) {
	value := f.Get(name)
	if !grammar.MatchString(value) {
		return "", validation("Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", value, name, grammar)
	}
	return value, nil
}

// assumption is what both actions ask for.
type assumption struct {
	role string
	name string // of the session
	life time.Duration
}

func (f form) assumption() (assumption, error) {
	role, err := f.matching("RoleArn", roleARN)
	if err != nil {
		return assumption{}, err
	}
	name, err := f.matching("RoleSessionName", sessionName)
	if err != nil {
		return assumption{}, err
	}
	life, err := f.duration()
	return assumption{role: role, name: name, life: life}, err
}

// duration is an hour when the request does not say; the longest that any
// role can allow is twelve.
func (f form) duration() (time.Duration, error) {
	if !f.Has("DurationSeconds") {
		return time.Hour, nil
	}
	seconds, err := strconv.Atoi(f.Get("DurationSeconds"))
	if err != nil || seconds < 900 || seconds > 43200 {
		return 0, validation("Value '%s' at 'durationSeconds' failed to satisfy constraint: Member must be between 900 and 43200", f.Get("DurationSeconds"))
	}
	return time.Duration(seconds) * time.Second, nil
}

func validation(format string, arguments ...any) error {
	return formRefusal("ValidationError", "1 validation error detected: "+fmt.Sprintf(format, arguments...))
}
