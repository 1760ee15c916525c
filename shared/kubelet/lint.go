package kubelet

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubeletconfig "k8s.io/kubelet/config/v1"
)

// lint looks for what the kubelet accepts without a word and nobody can have
// meant.
func (v *validator) lint() {
	v.lintPatterns()
	v.lintEnv()
	if v.provider.TokenAttributes != nil {
		v.lintTokenAttributes(v.provider.TokenAttributes)
	}
}

func (v *validator) lintPatterns() {
	seen := map[string]bool{}
	for i, written := range v.provider.MatchImages {
		p, err := parsePattern(written)
		if err != nil {
			continue // That is an error.
		}
		found := p.lint()
		if seen[written] {
			found = finding{level: Warning, code: "match-images-duplicate", what: "is there already", fix: "remove it"}
		}
		seen[written] = true
		if found.code == "" {
			continue
		}
		name := fmt.Sprintf("pattern %.120q", written)
		if p.user {
			name = "pattern" // What is before the @ may be a password.
		}
		v.add(found.level, found.code, index("matchImages", i), found.fix, "%s %s", name, found.what)
	}
}

// lintEnv looks at variables, which the kubelet hands over as they are.
func (v *validator) lintEnv() {
	seen := map[string]bool{}
	for i, variable := range v.provider.Env {
		at := index("env", i)
		switch {
		case strings.ContainsRune(variable.Name+variable.Value, 0):
			v.add(Warning, "env-nul", at, "remove it", "a zero byte, with which no program starts")
		case variable.Name == "":
			v.add(Warning, "env-name", at+".name", "write a name", "no name")
		case strings.Contains(variable.Name, "="):
			v.add(Warning, "env-name", at+".name", "write name and value apart", "a name with an equals sign")
		case strings.ContainsAny(variable.Name, " \t\r\n"):
			v.add(Warning, "env-name", at+".name", "write it without blanks", "name %.80q with a blank", variable.Name)
		case seen[variable.Name]:
			v.add(Warning, "env-duplicate", at+".name", "write it once", "name %.80q again: the last one counts", variable.Name)
		}
		seen[variable.Name] = true
	}
}

func (v *validator) lintTokenAttributes(a *kubeletconfig.ServiceAccountTokenAttributes) {
	const at = "tokenAttributes."
	// Keys by what they are in lower case.
	seen := map[string]string{}
	v.lintAnnotations(at+"requiredServiceAccountAnnotationKeys", a.RequiredServiceAccountAnnotationKeys, seen)
	v.lintAnnotations(at+"optionalServiceAccountAnnotationKeys", a.OptionalServiceAccountAnnotationKeys, seen)
	if a.RequireServiceAccount != nil && *a.RequireServiceAccount {
		v.add(Info, "token-static-pods", at+"requireServiceAccount", "give static pods a provider without tokenAttributes, by another name, if they pull from there",
			"pods without a service account, which static pods are, get nothing from this provider")
	}
}

func (v *validator) lintAnnotations(at string, keys []string, seen map[string]string) {
	for i, key := range keys {
		lower := strings.ToLower(key)
		if other, found := seen[lower]; found && other != key {
			v.add(Warning, "annotation-case", index(at, i), "write it as service accounts have it", "annotation %.120q beside %.120q, which is another", key, other)
		}
		seen[lower] = key
	}
}

// ignored names the files of a directory that the kubelet passes over although
// they look as if they were to be read.
func ignored(path string, entries []fs.DirEntry) Problems {
	problems := make(Problems, 0, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		extension := filepath.Ext(name)
		code, fix := "file-extension", "rename it: .json, .yaml and .yml count, in lower case"
		switch {
		case entry.IsDir() && slices.Contains(extensions, extension):
			code, fix = "file-directory", "move its files up: directories below are not read"
		case entry.IsDir(), slices.Contains(extensions, extension), !slices.Contains(extensions, strings.ToLower(extension)):
			continue
		}
		problem := problemf(Warning, code, "", fix, "the kubelet passes over it")
		problem.File = filepath.Join(path, name)
		problems = append(problems, problem)
	}
	return problems
}

// lintText looks for what is not there for the decoder.
func lintText(text []byte) Problems {
	rest, found := afterFirstDocument(text)
	if !found {
		return nil
	}
	const documents = 10
	var lost []kubeletconfig.CredentialProvider
	for n := 0; found && n < documents; n++ {
		object, _, _ := codecs().UniversalDeserializer().Decode(rest, nil, nil)
		providers, _ := providersOf(object)
		lost = append(lost, providers...)
		rest, found = afterFirstDocument(rest)
	}
	counted := ""
	switch len(lost) {
	case 0:
	case 1:
		counted = fmt.Sprintf(", provider %.80q too", lost[0].Name)
	default:
		counted = fmt.Sprintf(", %d providers too, of which the first is %.80q", len(lost), lost[0].Name)
	}
	return Problems{problemf(Warning, "config-documents", "", "write one list of providers, or a file for each in a directory",
		"the kubelet reads the first YAML document and passes over what follows it%s", counted)}
}

// afterFirstDocument returns what follows the first YAML document of a text. A
// line that begins with three hyphens or dots is no part of any document.
func afterFirstDocument(text []byte) (rest []byte, found bool) {
	if utilyaml.IsJSONBuffer(text) {
		return nil, false
	}
	begun, ended := false, false
	for at := 0; at < len(text); {
		line := text[at:]
		next := len(text)
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line, next = line[:end], at+end+1
		}
		content := bytes.TrimSpace(line)
		switch {
		case isMarker(line, "---"):
			if begun {
				return text[at:], true
			}
			begun = begun || len(bytes.TrimSpace(line[3:])) > 0
		case isMarker(line, "..."):
			ended = begun
		case len(content) == 0 || content[0] == '#' || line[0] == '%' && !begun:
		case ended:
			return text[at:], true
		default:
			begun = true
		}
		at = next
	}
	return nil, false
}

func isMarker(line []byte, marker string) bool {
	rest, found := bytes.CutPrefix(line, []byte(marker))
	return found && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r')
}
