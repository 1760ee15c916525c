package registry

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// pull asks for the manifest, as containerd does: first without a login, to
// hear what the registry wants.
func (c *check) pull(ctx context.Context) bool {
	began, method := time.Now(), http.MethodHead
	if c.wayOnly {
		method = http.MethodGet // as clients ask for the version of the API
	}
	response, err := c.ask(httptrace.WithClientTrace(ctx, c.seen.trace()), method, "")
	if _, plain := errors.AsType[tls.RecordHeaderError](err); err != nil && c.endpoint.fallback && (plain || isPlain(err)) {
		endpoint := *c.endpoint.URL
		endpoint.Scheme = "http"
		c.endpoint.URL = &endpoint
		c.result.Endpoint = c.endpoint
		response, err = c.ask(httptrace.WithClientTrace(ctx, c.seen.trace()), method, "")
	}
	if err != nil {
		stage := Connect
		if c.seen.got {
			stage = Challenge
			c.stage(Connect, true, began, "%s", c.seen.String())
		}
		return c.stage(stage, false, began, "%s", c.diagnose(err))
	}
	c.stage(Connect, true, began, "%s", c.seen.String())
	if c.wayOnly {
		return true
	}
	if response.status != http.StatusUnauthorized {
		c.stage(Challenge, true, began, "no login wanted for this repository")
		return c.judge(ctx, time.Now(), response, "")
	}
	challenge, ok := choose(response.header.Values("WWW-Authenticate"))
	if !ok {
		return c.stage(Challenge, false, began, "status 401 without a challenge that can be met (%q): check that %s is a registry", response.header.Get("WWW-Authenticate"), c.endpoint.URL.Host)
	}
	c.stage(Challenge, true, began, "%s", describe(challenge))
	authorization, ok := c.authorize(ctx, challenge)
	if !ok {
		return false
	}
	began = time.Now()
	response, err = c.ask(ctx, http.MethodHead, authorization)
	if err != nil {
		return c.stage(Manifest, false, began, "%s", c.diagnose(err))
	}
	return c.judge(ctx, began, response, authorization)
}

// isPlain reports whether HTTP answered where TLS was spoken.
func isPlain(err error) bool {
	return strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// answer is an answer, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask asks for the manifest.
func (c *check) ask(ctx context.Context, method, authorization string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.manifestURL(), nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("User-Agent", "regcred")
	for _, mediaType := range []types.MediaType{types.OCIImageIndex, types.DockerManifestList, types.OCIManifestSchema1, types.DockerManifestSchema2} {
		request.Header.Add("Accept", string(mediaType))
	}
	request.Header.Add("Accept", "*/*")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("an answer of more than %d MiB", maxBody>>20)
	}
	return answer{response.StatusCode, response.Header, body}, err
}

// manifestURL is where the manifest is. A mirror is told which registry it
// stands in for.
func (c *check) manifestURL() string {
	address := *c.endpoint.URL
	if !c.endpoint.OverridePath && !strings.HasSuffix(address.Path, "/v2") {
		address.Path += "/v2"
	}
	address.Path += "/"
	if !c.wayOnly {
		address.Path += c.repository + "/manifests/" + c.identifier
	}
	if c.endpoint.Mirror {
		address.RawQuery = "ns=" + c.namespace
	}
	return address.String()
}

// authorize gets the Authorization header that a challenge wants.
func (c *check) authorize(ctx context.Context, challenge transport.Challenge) (string, bool) {
	began := time.Now()
	if challenge.Scheme == "basic" {
		if c.login == nil {
			return "", c.stage(Token, false, began, "the registry wants a username and password, and there are none")
		}
		pair := c.login.Username + ":" + c.login.Password.Reveal()
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)), true
	}
	registry, err := name.NewRegistry(c.endpoint.URL.Host, name.WeakValidation)
	if err != nil {
		return "", c.stage(Token, false, began, "registry %s: %s", c.endpoint.URL.Host, err)
	}
	scope := challenge.Parameters["scope"]
	if scope == "" {
		scope = "repository:" + c.repository + ":pull"
	}
	auth := authn.Anonymous
	who := "without a login"
	if c.login != nil {
		who = "with this login"
		auth = authn.FromConfig(authn.AuthConfig{Username: c.login.Username, Password: c.login.Password.Reveal()})
	}
	service, err := url.Parse(challenge.Parameters["realm"])
	if err != nil || service.Host == "" {
		return "", c.stage(Token, false, began, "no address of a token service in the registry's challenge: check that %s is a registry", c.endpoint.URL.Host)
	}
	realm := service.Host
	challenge.Insecure = c.endpoint.URL.Scheme == "http"
	token, err := transport.Exchange(ctx, registry, auth, c.client.Transport, []string{scope}, &challenge)
	if refused, ok := errors.AsType[*transport.Error](err); ok {
		return "", c.stage(Token, false, began, "%s", refusedToken(refused, realm, c.login != nil))
	}
	if err != nil && strings.HasPrefix(err.Error(), "invalid realm") {
		return "", c.stage(Token, false, began, "a login is not sent to the token service that the registry names: %s", err)
	}
	if err != nil {
		if strings.Contains(err.Error(), "no token in bearer response") {
			err = errors.New("an answer without a token")
		}
		return "", c.stage(Token, false, began, "%s", diagnose(err, realm, "the token service "+realm))
	}
	value := token.Token
	if value == "" {
		value = token.AccessToken
	}
	credential.NewSecret(value)
	lives := ""
	if token.ExpiresIn > 0 {
		lives = fmt.Sprintf(", for %s", time.Duration(token.ExpiresIn)*time.Second)
	}
	c.stage(Token, true, began, "%s gives one %s%s", realm, who, lives)
	return "Bearer " + value, true
}

// refusedToken says why a token service gives no token.
func refusedToken(refused *transport.Error, realm string, login bool) string {
	said := errorText(refused)
	switch status := refused.StatusCode; {
	case hasExpired(said) && login:
		return fmt.Sprintf("%s does not take this login, which has expired [status %d%s]", realm, status, said)
	case (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusBadRequest) && login:
		return fmt.Sprintf("%s does not take this login: it has expired, or is for another registry or account [status %d%s]", realm, status, said)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Sprintf("%s gives no token without a login: the repository is private or does not exist [status %d%s]", realm, status, said)
	case status == http.StatusTooManyRequests:
		return fmt.Sprintf("%s throttles requests: wait, or log in to be counted apart [status %d%s]", realm, status, said)
	case status >= 500:
		return fmt.Sprintf("%s has a fault: try again later [status %d%s]", realm, status, said)
	default:
		return fmt.Sprintf("%s gives no token [status %d%s]", realm, status, said)
	}
}

// errorText is what a registry says of an error, to go behind its status.
func errorText(e *transport.Error) string {
	said := make([]string, 0, len(e.Errors))
	for _, diagnostic := range e.Errors {
		said = append(said, strings.TrimSuffix(strings.TrimSpace(string(diagnostic.Code)+" "+diagnostic.Message), "."))
	}
	if len(said) == 0 {
		return ""
	}
	return ": " + cloudhttp.Bounded(strings.Join(said, "; "), 300)
}

// hasExpired reports whether a registry says so, which some do with the status
// of a permission that is missing.
func hasExpired(said string) bool { return strings.Contains(strings.ToLower(said), "expired") }

// judge says what an answer about the manifest means.
func (c *check) judge(ctx context.Context, began time.Time, a answer, authorization string) bool {
	if a.status != http.StatusOK {
		// An answer to HEAD has no text.
		if detailed, err := c.ask(ctx, http.MethodGet, authorization); err == nil && detailed.status == a.status {
			a = detailed
		}
		return c.stage(Manifest, false, began, "%s", c.refused(a, authorization != ""))
	}
	c.result.Digest = a.header.Get("Docker-Content-Digest")
	mediaType := a.header.Get("Content-Type")
	detail := c.result.Digest
	if detail == "" {
		detail = "here"
	}
	c.stage(Manifest, true, began, "%s, %s", detail, mediaType)
	if c.platform == "" || !types.MediaType(mediaType).IsIndex() {
		return true
	}
	return c.checkPlatform(ctx, authorization)
}

// refused says why there is no manifest.
func (c *check) refused(a answer, authorized bool) string {
	// The text is what go-containerregistry makes of it.
	err := transport.CheckError(&http.Response{
		StatusCode: a.status, Header: a.header,
		Body: io.NopCloser(strings.NewReader(string(a.body[:min(len(a.body), 64<<10)]))),
	}, http.StatusOK)
	said := ""
	if e, ok := errors.AsType[*transport.Error](err); ok {
		said = errorText(e)
	}
	evidence := fmt.Sprintf("[status %d%s]", a.status, said)
	image := c.repository + ":" + c.identifier
	if strings.Contains(c.identifier, ":") {
		image = c.repository + "@" + c.identifier
	}
	switch {
	case hasExpired(said) && c.login != nil:
		return fmt.Sprintf("the login has expired %s", evidence)
	case a.status == http.StatusUnauthorized && authorized && c.login != nil:
		return fmt.Sprintf("the registry does not take this login for %s: it has expired, or may not pull this repository %s", c.repository, evidence)
	case a.status == http.StatusUnauthorized:
		return fmt.Sprintf("the registry wants a login for %s %s", c.repository, evidence)
	case a.status == http.StatusForbidden && c.login != nil:
		return fmt.Sprintf("the login may not pull %s: grant it to the identity %s", c.repository, evidence)
	case a.status == http.StatusForbidden:
		return fmt.Sprintf("the registry gives %s to nobody without a login %s", c.repository, evidence)
	case a.status == http.StatusNotFound:
		return fmt.Sprintf("%s is not there: check its name, tag and region; some registries say so of what the login may not see %s", image, evidence)
	case a.status == http.StatusTooManyRequests:
		return fmt.Sprintf("the registry throttles requests: wait, or use a login with a higher limit %s", evidence)
	case a.status >= 500:
		return fmt.Sprintf("the registry has a fault: try again later %s", evidence)
	default:
		return fmt.Sprintf("no manifest: check that %s is a registry %s", c.endpoint.URL.Host, evidence)
	}
}

// checkPlatform looks for the platform in an index.
func (c *check) checkPlatform(ctx context.Context, authorization string) bool {
	began := time.Now()
	wanted, err := v1.ParsePlatform(c.platform)
	if err != nil {
		return c.stage(Platform, false, began, "platform %q: %s", c.platform, err)
	}
	a, err := c.ask(ctx, http.MethodGet, authorization)
	if err != nil {
		return c.stage(Platform, false, began, "%s", c.diagnose(err))
	}
	if a.status != http.StatusOK {
		return c.stage(Platform, false, began, "%s", c.refused(a, authorization != ""))
	}
	index, err := v1.ParseIndexManifest(strings.NewReader(string(a.body)))
	if err != nil {
		return c.stage(Platform, false, began, "the image's index cannot be read")
	}
	var all []string
	for _, manifest := range index.Manifests {
		if manifest.Platform == nil || manifest.Platform.OS == "unknown" {
			continue
		}
		if manifest.Platform.Satisfies(*wanted) {
			return c.stage(Platform, true, began, "%s", manifest.Platform)
		}
		all = append(all, manifest.Platform.String())
	}
	slices.Sort(all)
	return c.stage(Platform, false, began, "the image is not for %s: it is for %s", c.platform, strings.Join(slices.Compact(all), ", "))
}
