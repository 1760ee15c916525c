package doctor

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
	"regcred/shared/jwt"
)

// checkExpiry looks at everything on the node that ends by itself and that
// nobody renews before.
func checkExpiry(s *subject, r *recorder) {
	looked := s.checkDockerConfig(r)
	looked += s.checkKubeconfig(r)
	looked += s.checkFiles(r)
	switch {
	case looked == 0:
		r.skip("", "no file with a password, token or certificate is known that could end")
	case !r.troubled():
		r.ok("", fmt.Sprintf("nothing in %s ends within %s", counted(looked, "file"), strings.TrimSuffix(s.Before.String(), "0m0s")))
	}
}

// end tells of something that ends.
func (s *subject) end(r *recorder, kind, subject, what string, at time.Time, fix string) {
	left := at.Sub(s.System.Now())
	when := at.UTC().Format(time.RFC3339)
	switch {
	case left <= 0:
		r.find(kind+"-expired", subject, fmt.Sprintf("%s ended %s ago, at %s", what, roughly(-left), when), fix)
	case left <= s.Before:
		r.find(kind+"-ends-soon", subject, fmt.Sprintf("%s ends in %s, at %s", what, roughly(left), when), fix)
	}
}

// roughly is a duration as people tell it.
func roughly(d time.Duration) string {
	if days := d / (24 * time.Hour); days >= 2 {
		return fmt.Sprintf("%d days", days)
	}
	if d >= time.Hour {
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}

// checkDockerConfig looks at the logins of the node's docker configuration: those
// that are JWTs say when they end, as tokens that somebody saved do.
func (s *subject) checkDockerConfig(r *recorder) int {
	found := s.Node.DockerFiles().Read()
	if found.Path == "" {
		return 0
	}
	for _, auth := range found.Auths {
		// Clouds wrap theirs: ECR's is base64 of JSON with an expiration.
		if at, ok := endOf(auth.Password.Reveal()); ok {
			s.end(r, "login", s.shown(found.Path), "the password of "+auth.Username+" for "+auth.Key, at,
				"replace it with one that lasts, or remove the entry and let a credential provider answer for "+auth.Key)
		}
	}
	return 1
}

// endOf is when a password ends that says so itself.
func endOf(password string) (time.Time, bool) {
	if at, ok := jwt.Expiry(password); ok {
		return at, true
	}
	return ecrExpiry(password)
}

// checkKubeconfig looks at what the kubelet proves itself with. The kubelet
// renews its own certificate, unless it could not for long.
func (s *subject) checkKubeconfig(r *recorder) int {
	if s.Node.Kubeconfig == "" {
		return 0
	}
	text, err := s.Node.Read(s.Node.Kubeconfig)
	if err != nil {
		return 0
	}
	var config struct {
		Users []struct {
			User struct {
				CertificateData []byte `json:"client-certificate-data"`
				Certificate     string `json:"client-certificate"`
				Token           string `json:"token"`
				TokenFile       string `json:"tokenFile"`
			} `json:"user"`
		} `json:"users"`
	}
	if yaml.Unmarshal(text, &config) != nil {
		return 0
	}
	fix := "look at why the kubelet does not renew it: " + s.journalctl() + " | grep -i certificate; kubectl get csr"
	for _, u := range config.Users {
		certificate, path := u.User.CertificateData, s.Node.Kubeconfig
		if len(certificate) == 0 && u.User.Certificate != "" {
			path = beside(s.Node.Kubeconfig, u.User.Certificate)
			certificate, _ = s.Node.Read(path)
		}
		s.certificate(r, path, "the kubelet's client certificate", certificate, fix)
		token := u.User.Token
		if token == "" && u.User.TokenFile != "" {
			path = beside(s.Node.Kubeconfig, u.User.TokenFile)
			text, _ := s.Node.Read(path)
			token = strings.TrimSpace(string(text))
		}
		credential.NewSecret(token)
		if at, ok := jwt.Expiry(token); ok {
			s.end(r, "login", path, "the token of the kubeconfig", at, "renew it")
		}
	}
	return 1
}

// beside is a path that may be relative to a file.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// certificate tells of the certificate that ends first of those before a key's
// own: a leaf. Authorities above it are others' to renew.
func (s *subject) certificate(r *recorder, path, what string, text []byte, fix string) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return
		}
		name := c.Subject.CommonName
		if name != "" {
			what += " of " + name
		}
		s.end(r, "certificate", path, what, c.NotAfter, fix)
		return
	}
}

// checkFiles looks at the files that the plugins' settings and the environment
// name.
func (s *subject) checkFiles(r *recorder) int {
	files, settings := map[string]string{}, map[string]bool{} // what names them, by path
	for _, a := range s.attempts() {
		for _, file := range a.report.Files {
			if file.Setting != "config" {
				files[file.Path], settings[file.Path] = a.Name+"'s "+file.Setting, true
			}
		}
	}
	for _, p := range s.plugins() {
		for _, variable := range s.environ(p.Provider) {
			name, value, _ := strings.Cut(variable, "=")
			if filepath.IsAbs(value) && isFileVariable(name) && files[value] == "" {
				files[value] = name
			}
		}
	}
	looked := 0
	for _, path := range slices.Sorted(maps.Keys(files)) {
		looked += s.checkFile(r, path, files[path], settings[path])
	}
	return looked
}

// isFileVariable reports whether a variable names a file with a secret.
func isFileVariable(name string) bool {
	return strings.HasSuffix(name, "_FILE") || strings.HasSuffix(name, "_CREDENTIALS") || strings.HasSuffix(name, "CERTIFICATE_PATH")
}

// checkFile looks at a file that a setting names, or a variable: who reads that,
// and whether they mind that it is not there, is not known.
func (s *subject) checkFile(r *recorder, path, by string, setting bool) int {
	text, err := s.Node.Read(path)
	authorities := strings.HasSuffix(strings.ToLower(by), "cafile")
	switch {
	case err != nil && (authorities || !setting):
		return 0 // Defaults name authorities that some nodes do not have; a plugin that needs them says so.
	case err != nil:
		r.find("file-unreadable", path, "the file that "+by+" names cannot be read", "write it, or correct "+by, err.Error())
		return 0
	case authorities:
		return 0 // They are many, and some of the system's have ended.
	}
	if bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		if info, err := statOf(s.Node.Path(path)); err == nil && info.Mode().Perm()&0o004 != 0 {
			r.find("secret-file-open", path, "any user of the node can read the private key in the file that "+by+" names", "chmod 0600 "+quote(path), fmt.Sprintf("mode %#o", info.Mode().Perm()))
		}
	}
	s.certificate(r, path, "the certificate that "+by+" names", text, "renew it, and put it in the place of the old one: plugins read it at every run")
	token := strings.TrimSpace(string(text))
	if at, ok := jwt.Expiry(token); ok {
		credential.NewSecret(token)
		s.end(r, "login", path, "the token that "+by+" names", at, "whatever writes the file has to renew it: look at whether it still runs")
	}
	if config, err := dockerconfig.Parse(text); err == nil {
		for _, entry := range config.Entries {
			username, password, err := entry.Login()
			if at, ok := endOf(password.Reveal()); err == nil && ok {
				s.end(r, "login", path, "the password of "+username+" for "+entry.Key, at, "replace it with one that lasts, or let a helper have it: credHelpers")
			}
		}
	}
	return 1
}
