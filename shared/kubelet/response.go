package kubelet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider"

	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
	"regcred/shared/image"
	"regcred/shared/redact"
)

const responseKind = "CredentialProviderResponse"

// Response is a provider's answer.
type Response struct {
	// CacheKeyType is for what the kubelet may use it again: "Image",
	// "Registry" or "Global".
	CacheKeyType string

	// CacheDuration is for how long. Nil means the configuration's
	// defaultCacheDuration, and 0 forbids it.
	CacheDuration *time.Duration

	// Auth are the credentials by the images that they are for, in the order in
	// which the kubelet tries them.
	Auth []Auth
}

// Auth is a credential of an answer, a secret or a docker configuration.
type Auth struct {
	// Key is as it was written. It has a host, and may have a port and the
	// beginning of a path.
	Key string

	Username string
	Password credential.Secret

	// Email is of a secret or a docker configuration. It says nothing to a
	// registry, and is part of what the kubelet records of a login.
	Email string
}

// DecodeResponse reads what a provider of an apiVersion printed. Problems of
// level Error are what the kubelet refuses it for, which it keeps to itself
// because the decoder's words may hold a secret; these hold none. The Response
// is nil if there is none that could be read.
func DecodeResponse(apiVersion string, stdout []byte) (*Response, Problems) {
	learn(stdout)
	response, problems := decodeResponse(apiVersion, stdout)
	problems = problems.bounded(maxFew)
	for i := range problems {
		p := &problems[i]
		p.Field, p.Message = clean(p.Field), clean(p.Message)
	}
	return response, problems
}

// clean takes out what has become known as a secret.
func clean(text string) string { return redact.Line(text, credential.Known()...) }

func decodeResponse(apiVersion string, stdout []byte) (*Response, Problems) {
	gvk, err := kjson.DefaultMetaFactory.Interpret(stdout)
	if err != nil {
		return nil, explainResponse(stdout)
	}
	if version := gvk.GroupVersion().String(); version != apiVersion {
		return nil, Problems{problemf(Error, "response-version", "apiVersion", "answer in the apiVersion of the request",
			"apiVersion %.80q, and the configuration has %.80q", version, apiVersion)}
	}
	object, gvk, err := codecs().UniversalDecoder().Decode(stdout, nil, nil)
	if gvk != nil && gvk.Kind != responseKind {
		return nil, Problems{wrongResponse(gvk.Kind)}
	}
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		var problems Problems
		for _, e := range strict.Errors() {
			problems = append(problems, explainStrictResponse(e.Error()))
		}
		return nil, problems
	}
	if err != nil {
		if problems := explainResponse(stdout); len(problems) > 0 {
			return nil, problems
		}
		return nil, Problems{problemf(Error, "response-decode", "", "", "%v", err)}
	}
	decoded, ok := object.(*credentialprovider.CredentialProviderResponse)
	if !ok {
		return nil, Problems{wrongResponse(responseKind + " of another group")}
	}
	response := &Response{CacheKeyType: string(decoded.CacheKeyType)}
	if decoded.CacheDuration != nil {
		response.CacheDuration = &decoded.CacheDuration.Duration
	}
	for key, auth := range decoded.Auth {
		response.Auth = append(response.Auth, Auth{Key: key, Username: auth.Username, Password: credential.NewSecret(auth.Password)})
	}
	sortAuths(response.Auth)
	if !slices.Contains(cacheKeyTypes, decoded.CacheKeyType) {
		return response, Problems{problemf(Error, "response-cache-key", "cacheKeyType", "answer Image, Registry or Global", "cacheKeyType %.80q", decoded.CacheKeyType)}
	}
	return response, nil
}

var cacheKeyTypes = []credentialprovider.PluginCacheKeyType{
	credentialprovider.ImagePluginCacheKeyType, credentialprovider.RegistryPluginCacheKeyType, credentialprovider.GlobalPluginCacheKeyType,
}

func wrongResponse(kind string) Problem {
	return problemf(Error, "response-kind", "kind", "answer "+responseKind, "kind %.80q", kind)
}

func explainStrictResponse(text string) Problem {
	fix := "answer kind, apiVersion, cacheKeyType, cacheDuration and auth, and in auth username and password alone"
	if m := unknownField.FindStringSubmatch(text); m != nil {
		return problemf(Error, "response-unknown-field", m[1], fix, "unknown field")
	}
	if m := duplicateField.FindStringSubmatch(text); m != nil {
		return problemf(Error, "response-duplicate-field", m[1], "answer it once", "duplicate field")
	}
	return problemf(Error, "response-decode", "", "", "%s", text)
}

// responseShape is that of a CredentialProviderResponse.
var responseShape = object(
	"apiVersion", scalar(isString),
	"kind", scalar(isString),
	"cacheKeyType", scalar(isString),
	"cacheDuration", scalar(isDuration),
	"auth", mapping(object("username", scalar(isString), "password", scalar(isString))),
)

// explainResponse says what is wrong with what is no JSON object or has fields
// of the wrong type.
func explainResponse(stdout []byte) Problems {
	syntax := func(fix, format string, args ...any) Problems {
		return Problems{problemf(Error, "response-syntax", "", fix, format, args...)}
	}
	const logs = "print logs on stderr, and one JSON object on stdout"
	text := bytes.TrimSpace(stdout)
	if len(text) == 0 {
		return Problems{problemf(Error, "response-empty", "", "print a "+responseKind+", with an empty auth where there is no credential", "nothing on stdout")}
	}
	var tree any
	err := json.Unmarshal(stdout, &tree)
	switch e, ok := errors.AsType[*json.SyntaxError](err); {
	case err == nil:
		return responseShape.check("", tree)
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return syntax("print it without", "a byte order mark before the JSON object")
	case text[0] != '{' && bytes.ContainsRune(text, '{'):
		return syntax(logs, "text before the JSON object")
	case text[0] != '{':
		return syntax(logs, "no JSON object on stdout")
	case ok && strings.HasSuffix(e.Error(), afterJSON):
		line, column := position(stdout, e.Offset)
		return syntax(logs, "text after the JSON object, from line %d, column %d on", line, column)
	case ok:
		line, column := position(stdout, e.Offset)
		return syntax("", "invalid JSON in line %d, column %d: %s", line, column, e)
	default:
		return syntax("", "invalid JSON")
	}
}

// learn makes secrets of all texts of an answer that could be passwords, so
// that no message repeats them, whatever else is wrong with the answer.
func learn(stdout []byte) {
	// A decoder reads as far as the text makes sense.
	var answer map[string]any
	decoder := json.NewDecoder(bytes.NewReader(stdout[max(0, bytes.IndexByte(stdout, '{')):]))
	if decoder.Decode(&answer) != nil {
		return
	}
	for name, value := range answer {
		switch name {
		case "kind", "apiVersion", "cacheKeyType", "cacheDuration":
		default:
			learnValue(name, value)
		}
	}
}

func learnValue(name string, value any) {
	switch value := value.(type) {
	case string:
		if name != "username" {
			credential.NewSecret(value)
		}
	case map[string]any:
		for name, inner := range value {
			learnValue(name, inner)
		}
	case []any:
		for _, inner := range value {
			learnValue(name, inner)
		}
	}
}

// lint looks for what the kubelet takes and makes nothing of, for an image.
func (r *Response) lint(p *Provider, name string) Problems {
	var problems Problems
	add := func(level Level, code, field, fix, format string, args ...any) {
		problems = append(problems, problemf(level, code, clean(field), fix, format, args...))
	}
	kept := p.keeps(r)
	if len(r.Auth) == 0 && kept > 0 {
		add(Info, "response-empty-kept", "auth", "answer cacheDuration 0s with an empty auth", "no credential, which the kubelet remembers for %s", kept)
	}
	if r.CacheDuration != nil && *r.CacheDuration < 0 {
		add(Info, "response-duration-negative", "cacheDuration", "answer 0s", "cacheDuration %s: the kubelet keeps the answer and never uses it again", *r.CacheDuration)
	}
	matched := false
	for i, auth := range r.Auth {
		at := authField(auth.Key)
		key, ok := dockerconfig.Pattern(auth.Key)
		if !ok {
			add(Warning, "response-key-invalid", at, "answer the registry as the request has it", "a key that is no host: the kubelet passes over it")
			continue
		}
		if i > 0 {
			if before, _ := dockerconfig.Pattern(r.Auth[i-1].Key); before == key {
				add(Warning, "response-key-again", at, "answer one of them", "the same as key %.120q for the kubelet, which leaves their order to chance", r.Auth[i-1].Key)
			}
		}
		is, err := image.Match(key, name)
		is = is && err == nil
		matched = matched || is
		if is && kept > 0 && strings.Contains(key, "/") && r.CacheKeyType != string(credentialprovider.ImagePluginCacheKeyType) {
			add(Warning, "response-key-narrow", at, "answer the registry as key, or cacheKeyType Image",
				"a key with a path, and cacheKeyType %s: for %s other images get nothing from the provider", r.CacheKeyType, kept)
		}
		for _, p := range lintLogin(auth) {
			add(p.Level, p.Code, at, p.Fix, "%s", p.Message)
		}
		if len(problems) > maxFew {
			return problems.bounded(maxFew)
		}
	}
	matched = matched || dockerconfig.IsHub(name) && r.hasHub()
	if len(r.Auth) > 0 && !matched {
		add(Warning, "response-key-other", "auth", "answer the registry as the request has it", "no key for the image: the kubelet has no credential from this answer")
	}
	return problems
}

func (r *Response) hasHub() bool {
	return slices.ContainsFunc(r.Auth, func(a Auth) bool {
		key, ok := dockerconfig.Pattern(a.Key)
		return ok && key == dockerconfig.Hub
	})
}

// keeps is for how long the kubelet uses an answer again.
func (p *Provider) keeps(r *Response) time.Duration {
	switch {
	case r.CacheDuration != nil:
		return max(0, *r.CacheDuration)
	case p.DefaultCacheDuration != nil:
		return max(0, p.DefaultCacheDuration.Duration)
	default:
		return 0
	}
}

// lintLogin looks for user names and passwords that no registry takes.
func lintLogin(a Auth) Problems {
	password := a.Password.Reveal()
	blank := func(s string) bool { return strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl) }
	switch {
	case a.Username == "" && password == "":
		return Problems{problemf(Warning, "login-empty", "", "leave it out: without any the kubelet pulls anonymously",
			"neither user name nor password, with which the kubelet pulls all the same")}
	case password == "":
		return Problems{problemf(Warning, "login-empty", "", "leave it out", "no password, with which the kubelet pulls all the same")}
	case a.Username == "":
		return Problems{problemf(Warning, "login-empty", "", "say who logs in: many registries take any name with a token", "no user name")}
	case blank(a.Username):
		return Problems{problemf(Warning, "login-blank", "", "take it off", "a user name with white space at an end, or a control character")}
	case blank(password):
		return Problems{problemf(Warning, "login-blank", "", "take it off, as in printf %s instead of echo", "a password with white space at an end, or a control character")}
	}
	return nil
}

// authField is the path of a credential.
func authField(key string) string { return fmt.Sprintf("auth[%.120q]", key) }
