package kubelet

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/redact"
)

// pluginVersions are the versions of the protocol, newest first.
var pluginVersions = []string{
	"credentialprovider.kubelet.k8s.io/v1",
	"credentialprovider.kubelet.k8s.io/v1beta1",
	"credentialprovider.kubelet.k8s.io/v1alpha1",
}

// cacheTypes are the values of tokenAttributes.cacheType.
var cacheTypes = []string{
	string(kubeletconfig.ServiceAccountServiceAccountTokenCacheType),
	string(kubeletconfig.TokenServiceAccountTokenCacheType),
}

// validate holds the providers to the kubelet's rules, which are in its own
// code and in no library.
func (c *Config) validate() {
	if len(c.Providers) == 0 && c.Problems.Err() == nil {
		none := problemf(Error, "providers-missing", "providers", "write one, or start the kubelet without the flag", "no provider")
		none.File = c.Path
		c.Problems = append(c.Problems, none)
	}
	first := map[string]*Provider{}
	for i := range c.Providers {
		p := &c.Providers[i]
		v := validator{provider: p}
		v.name(first[p.Name])
		if first[p.Name] == nil {
			first[p.Name] = p
		}
		v.required()
		if p.TokenAttributes != nil {
			v.tokenAttributes(p.TokenAttributes)
		}
		v.lint()
		c.Problems = append(c.Problems, v.problems...)
	}
}

// validator collects the problems of a provider.
type validator struct {
	provider *Provider
	problems Problems
}

func (v *validator) add(level Level, code, field, fix, format string, args ...any) {
	problem := problemf(level, code, v.provider.field("%s", field), fix, format, args...)
	problem.File = v.provider.File
	v.problems = append(v.problems, problem)
}

const nameFix = "write the name of the program's file in --image-credential-provider-bin-dir"

func (v *validator) name(same *Provider) {
	switch name := v.provider.Name; name {
	case "":
		// The kubelet's validation lets it pass; then it takes the directory for
		// the program, and does not start.
		v.add(Error, "name-missing", "name", nameFix, "no name")
	case ".", "..":
		v.add(Error, "name-invalid", "name", nameFix, "name %q", name)
	default:
		if strings.Contains(name, "/") {
			v.add(Error, "name-invalid", "name", nameFix, "name %.80q with a slash", name)
		}
		if strings.Contains(name, " ") {
			v.add(Error, "name-invalid", "name", nameFix, "name %.80q with a space", name)
		}
	}
	if same != nil {
		fix := "write it once; to run a program in two ways give it a second name by a link"
		where := same.field("name")
		if same.File != v.provider.File {
			where += " of " + same.File
		}
		v.add(Error, "name-duplicate", "name", fix, "name %.80q again, after %s", v.provider.Name, where)
	}
}

// required checks the fields that every provider has to have.
func (v *validator) required() {
	p := v.provider
	switch {
	case p.APIVersion == "":
		v.add(Error, "api-version-missing", "apiVersion", "write apiVersion: "+pluginVersions[0], "no apiVersion of the protocol")
	case !slices.Contains(pluginVersions, p.APIVersion):
		v.add(Error, "api-version-unknown", "apiVersion", "write "+pluginVersions[0], "apiVersion %.80q", p.APIVersion)
	}
	if len(p.MatchImages) == 0 {
		v.add(Error, "match-images-missing", "matchImages", "list the registries that it is for, such as registry.example.com", "no pattern")
	}
	for i, pattern := range p.MatchImages {
		if _, err := parsePattern(pattern); err != nil {
			v.add(Error, "match-images-invalid", index("matchImages", i), patternFix(pattern), "pattern %.120q: %v", pattern, err)
		}
	}
	switch d := p.DefaultCacheDuration; {
	case d == nil:
		v.add(Error, "cache-duration-missing", "defaultCacheDuration", "write defaultCacheDuration: 0s, for answers that say nothing themselves",
			"no defaultCacheDuration")
	case d.Duration < 0:
		v.add(Error, "cache-duration-negative", "defaultCacheDuration", "write 0s or more", "defaultCacheDuration %s", d.Duration)
	}
}

func patternFix(pattern string) string {
	if host, _, found := strings.Cut(pattern, ":*"); found {
		return "write the port in digits, or " + redact.Line(host) + " for images without one"
	}
	return "write a host, with a port in digits and a path if need be"
}

// tokenAttributes checks what asks for service accounts' tokens.
func (v *validator) tokenAttributes(a *kubeletconfig.ServiceAccountTokenAttributes) {
	const at = "tokenAttributes"
	if a.ServiceAccountTokenAudience == "" {
		v.add(Error, "token-audience-missing", at+".serviceAccountTokenAudience", "write the audience that the cloud or registry expects", "no audience")
	}
	if a.RequireServiceAccount == nil {
		v.add(Error, "token-require-missing", at+".requireServiceAccount",
			"write true, or false to run it for static pods too, which have no service account", "no requireServiceAccount")
	}
	if v.provider.APIVersion != pluginVersions[0] {
		v.add(Error, "token-api-version", at, "write apiVersion: "+pluginVersions[0]+" for the provider", "tokenAttributes for apiVersion %.80q", v.provider.APIVersion)
	}
	if a.RequireServiceAccount != nil && !*a.RequireServiceAccount && len(a.RequiredServiceAccountAnnotationKeys) > 0 {
		v.add(Error, "token-require-false", at+".requiredServiceAccountAnnotationKeys",
			"write requireServiceAccount: true, or list them under optionalServiceAccountAnnotationKeys", "required annotations with requireServiceAccount: false")
	}
	required := v.annotationKeys(at+".requiredServiceAccountAnnotationKeys", a.RequiredServiceAccountAnnotationKeys)
	v.annotationKeys(at+".optionalServiceAccountAnnotationKeys", a.OptionalServiceAccountAnnotationKeys)
	for i, key := range a.OptionalServiceAccountAnnotationKeys {
		if required[key] {
			delete(required, key) // Once is enough.
			v.add(Error, "annotation-both", index(at+".optionalServiceAccountAnnotationKeys", i), "list it once", "annotation %.120q, which is required too", key)
		}
	}
	switch cacheType := string(a.CacheType); {
	case cacheType == "":
		v.add(Error, "token-cache-type-missing", at+".cacheType",
			"write ServiceAccount, or Token for a program that hands the token on (kubelets before 1.34 know no such field)", "no cacheType")
	case !slices.Contains(cacheTypes, cacheType):
		v.add(Error, "token-cache-type-unknown", at+".cacheType", "write ServiceAccount or Token", "cacheType %.80q", cacheType)
	}
}

// annotationKeys checks a list of keys, and returns it as a set.
func (v *validator) annotationKeys(field string, keys []string) map[string]bool {
	seen := map[string]bool{}
	for i, key := range keys {
		if reasons := validation.IsQualifiedName(strings.ToLower(key)); len(reasons) > 0 {
			reason, _, _ := strings.Cut(reasons[0], " (e.g.") // A regular expression follows.
			v.add(Error, "annotation-invalid", index(field, i), "write it as service accounts have it, such as example.com/role",
				"annotation %.120q: %s", key, reason)
		}
		if seen[key] {
			v.add(Error, "annotation-duplicate", index(field, i), "list it once", "annotation %.120q again", key)
		}
		seen[key] = true
	}
	return seen
}
