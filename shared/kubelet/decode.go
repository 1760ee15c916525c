package kubelet

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubeletconfig "k8s.io/kubelet/config/v1"
	kubeletconfigv1alpha1 "k8s.io/kubelet/config/v1alpha1"
	"k8s.io/kubelet/pkg/apis/credentialprovider/install"
	"sigs.k8s.io/yaml"

	"regcred/shared/redact"
)

const configKind = "CredentialProviderConfig"

// configVersions are the versions of a configuration, newest first.
var configVersions = []string{
	kubeletconfig.GroupName + "/v1", kubeletconfig.GroupName + "/v1beta1", kubeletconfig.GroupName + "/v1alpha1",
}

// header is what a configuration begins with.
var header = "write kind: " + configKind + " and apiVersion: " + configVersions[0]

// codecs is apimachinery's decoder and encoder for the kubelet's types, strict
// as the kubelet's own is.
//
// The types of v1beta1 are those of v1alpha1 under another name: importing
// them would import the kubelet's whole configuration, logs and traces included.
var codecs = sync.OnceValue(func() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	utilruntime.Must(kubeletconfig.AddToScheme(scheme))
	utilruntime.Must(kubeletconfigv1alpha1.AddToScheme(scheme))
	v1beta1 := schema.GroupVersionKind{Group: kubeletconfig.GroupName, Version: "v1beta1", Kind: configKind}
	scheme.AddKnownTypeWithName(v1beta1, &kubeletconfigv1alpha1.CredentialProviderConfig{})
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict)
})

// decodeConfig decodes the text of a file into the newest version.
func decodeConfig(text []byte) (providers []kubeletconfig.CredentialProvider, version string, problems Problems) {
	object, gvk, err := codecs().UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		problems = explainDecode(text, gvk, err)
		if !runtime.IsStrictDecodingError(err) {
			return nil, "", problems
		}
	}
	providers, ok := providersOf(object)
	if !ok {
		return nil, "", append(problems, wrongKind(gvk))
	}
	return providers, gvk.GroupVersion().String(), append(problems, lintText(text)...)
}

// providersOf returns the providers of a configuration of any version.
func providersOf(config runtime.Object) (providers []kubeletconfig.CredentialProvider, ok bool) {
	switch config := config.(type) {
	case *kubeletconfig.CredentialProviderConfig:
		return config.Providers, true
	case *kubeletconfigv1alpha1.CredentialProviderConfig:
		for _, provider := range config.Providers {
			providers = append(providers, upgrade(provider))
		}
		return providers, true
	default:
		return nil, false
	}
}

// upgrade converts a provider of an older version, as the kubelet does.
func upgrade(old kubeletconfigv1alpha1.CredentialProvider) kubeletconfig.CredentialProvider {
	provider := kubeletconfig.CredentialProvider{
		Name: old.Name, MatchImages: old.MatchImages, DefaultCacheDuration: old.DefaultCacheDuration,
		APIVersion: old.APIVersion, Args: old.Args,
	}
	for _, env := range old.Env {
		provider.Env = append(provider.Env, kubeletconfig.ExecEnvVar(env))
	}
	return provider
}

func wrongKind(gvk *schema.GroupVersionKind) Problem {
	if gvk.Kind == configKind {
		return problemf(Error, "config-version", "apiVersion", header, "apiVersion %.80q", gvk.GroupVersion().String())
	}
	return problemf(Error, "config-kind", "kind", header, "kind %.80q of apiVersion %.80q", gvk.Kind, gvk.GroupVersion().String())
}

// explainDecode says what is wrong with a text that does not decode. What the
// decoder says may have the whole text in it, and stops at the first field that
// is of the wrong type.
func explainDecode(text []byte, gvk *schema.GroupVersionKind, err error) Problems {
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		problems := make(Problems, 0, len(strict.Errors()))
		for _, e := range strict.Errors() {
			problems = append(problems, explainStrict(e.Error(), gvk)...)
		}
		return problems
	}
	tree, syntax := parseText(text)
	if syntax != nil {
		return Problems{*syntax}
	}
	if tree == nil {
		return Problems{problemf(Error, "config-empty", "", header+", or remove the file: in a directory an empty one counts too", "nothing in the file or in its first document")}
	}
	if problems := configShape.check("", tree); len(problems) > 0 {
		return problems
	}
	switch {
	case runtime.IsMissingKind(err):
		return Problems{problemf(Error, "config-kind", "kind", header, "no kind")}
	case runtime.IsMissingVersion(err):
		return Problems{problemf(Error, "config-version", "apiVersion", header, "no apiVersion")}
	case runtime.IsNotRegisteredError(err):
		// The decoder of YAML does not say what it found.
		var found metav1.TypeMeta
		if fields, ok := tree.(map[string]any); ok {
			found.Kind, _ = fields["kind"].(string)
			found.APIVersion, _ = fields["apiVersion"].(string)
		}
		gvk := found.GroupVersionKind()
		return Problems{wrongKind(&gvk)}
	}
	// What the decoder says may have values in it.
	return Problems{problemf(Error, "config-syntax", "", header, "no configuration that the kubelet can decode")}
}

// parseText reads JSON or YAML as the kubelet tells them apart: by the first
// character.
func parseText(text []byte) (tree any, problem *Problem) {
	syntax := func(fix, format string, args ...any) (any, *Problem) {
		p := problemf(Error, "config-syntax", "", fix, format, args...)
		return nil, &p
	}
	if utilyaml.IsJSONBuffer(text) {
		err := json.Unmarshal(text, &tree)
		if err == nil {
			return tree, nil
		}
		e, ok := errors.AsType[*json.SyntaxError](err)
		if !ok {
			return syntax("", "invalid JSON")
		}
		line, column := position(text, e.Offset)
		_, notYAML := yaml.YAMLToJSON(text)
		switch {
		case strings.HasSuffix(e.Error(), afterJSON):
			return syntax("write one object", "text after the JSON object, from line %d, column %d on", line, column)
		case notYAML == nil:
			return syntax("write YAML with a line for each field, or correct the JSON",
				"a text that begins with a brace is read as JSON, and in line %d, column %d it is none: %s", line, column, redact.Line(e.Error()))
		default:
			return syntax("", "invalid JSON in line %d, column %d: %s", line, column, redact.Line(e.Error()))
		}
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return syntax(yamlFix(err.Error()), "invalid YAML: %s", yamlCause(err.Error()))
	}
	if err := json.Unmarshal(converted, &tree); err != nil {
		return syntax("", "invalid YAML")
	}
	return tree, nil
}

// afterJSON is how the error ends of a text that goes on after an object.
const afterJSON = "after top-level value"

// position returns where in a text a byte is, from 1.
func position(text []byte, offset int64) (line, column int) {
	before := text[:min(int64(len(text)), max(0, offset-1))]
	return 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n')
}

// yamlCause is what a parser of YAML says, without what it says each time, and
// without values: those of env may be secrets, and one that begins with a star
// looks like the name of an anchor.
func yamlCause(text string) string {
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:"} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = yamlValue.ReplaceAllString(text, "a value")
	text = yamlAnchor.ReplaceAllString(text, "anchor")
	return redact.Line(strings.TrimSpace(text))
}

var (
	// yamlValue is how a parser quotes a value, and yamlAnchor the name of one.
	yamlValue  = regexp.MustCompile("(?s)`.*`")
	yamlAnchor = regexp.MustCompile(`(?s)anchor '.*'`)
)

func yamlFix(text string) string {
	if strings.Contains(text, "anchor") {
		return "put a value in quotes that begins with a star or an ampersand"
	}
	return ""
}

var (
	// unknownField and duplicateField are what the strict decoder of JSON says.
	unknownField   = regexp.MustCompile(`^unknown field "(.*)"$`)
	duplicateField = regexp.MustCompile(`^duplicate field "(.*)"$`)

	// duplicateKey is what that of YAML says, a line for each.
	duplicateKey = regexp.MustCompile(`(?m)^\s*line (\d+): key (.*) already set in map$`)
)

// explainStrict reads what the strict decoder says.
func explainStrict(text string, gvk *schema.GroupVersionKind) Problems {
	if m := unknownField.FindStringSubmatch(text); m != nil {
		return Problems{problemf(Error, "field-unknown", redact.Line(m[1]), unknownFix(m[1], gvk), "unknown field")}
	}
	if m := duplicateField.FindStringSubmatch(text); m != nil {
		return Problems{problemf(Error, "field-duplicate", redact.Line(m[1]), "write it once", "duplicate field")}
	}
	var problems Problems
	for _, m := range duplicateKey.FindAllStringSubmatch(text, -1) {
		problems = append(problems, problemf(Error, "field-duplicate", "", "write it once; a field that a << merge brings counts too",
			"line %s: duplicate field %s", m[1], redact.Line(m[2])))
	}
	if problems == nil {
		problems = Problems{problemf(Error, "config-syntax", "", "", "%s", yamlCause(text))}
	}
	return problems
}

// unknownFix tells what may have been meant.
func unknownFix(path string, gvk *schema.GroupVersionKind) string {
	parent, name := "", path
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		parent, name = path[:dot], path[dot+1:]
	}
	if name == "tokenAttributes" && gvk.Version != "v1" {
		return "write apiVersion: " + configVersions[0] + ", which has it"
	}
	s := configShape.at(parent)
	if s == nil {
		return "remove it"
	}
	for known := range s.fields {
		if strings.EqualFold(known, name) {
			return "write " + known
		}
	}
	if where := configShape.find(name); where != "" {
		return "move it: " + name + " is a field of " + where
	}
	return "remove it, or write one of " + strings.Join(s.names, ", ")
}
