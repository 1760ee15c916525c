package ecr

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"

	"regcred/shared/cloudhttp"
	"regcred/shared/settings"
)

// diagnoseConfiguration is about what was read before anybody was asked: the
// environment and the files that it names.
func (p problem) diagnoseConfiguration() cloudhttp.Diagnosis {
	d := cloudhttp.Diagnosis{Problem: p.text, Permanent: true}
	profile, hasNoProfile := errors.AsType[config.SharedConfigProfileNotExistError](p.cause)
	bundle, hasNoBundle := errors.AsType[bundleError](p.cause)
	load, hasNoFile := errors.AsType[config.SharedConfigLoadError](p.cause)
	path, hasNoPath := errors.AsType[*os.PathError](p.cause)
	switch {
	case hasNoProfile:
		d.Problem = fmt.Sprintf("there is no profile %q", profile.Profile)
		d.Advice = fmt.Sprintf("%s names it; looked in %s and %s", p.profileSetBy(profile.Profile), p.configFile(), p.credentialsFile())
	case hasNoFile:
		d.Problem = load.Filename + " cannot be read: " + load.Err.Error()
	case hasNoBundle:
		d.Problem, d.Advice = bundle.Error(), "--ca-file or AWS_CA_BUNDLE names it"
	case hasNoPath:
		d.Problem, d.Advice = "certificate authorities: "+path.Path+": "+path.Err.Error(), "ca_bundle in "+p.configFile()+" names it"
	case strings.Contains(p.text, "role ARN is not set"):
		d.Problem, d.Advice = "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN", "set both"
	case strings.Contains(p.text, "invalid endpoint host") || strings.Contains(p.text, "local HTTP cred provider URL"):
		d.Advice = "AWS_CONTAINER_CREDENTIALS_FULL_URI names it"
	case strings.Contains(p.text, "custom CA bundle"):
		d.Problem, d.Advice = "no PEM certificate in the bundle of certificate authorities", "ca_bundle in "+p.configFile()+" names it"
		if p.endpoints.caFile != "" {
			d.Problem += ": " + p.endpoints.caFile
			d.Advice = "--ca-file or AWS_CA_BUNDLE names it"
		}
	}
	return d
}

// profileSetBy returns what names a profile.
func (p problem) profileSetBy(profile string) string {
	if profile == p.identity.profile {
		return "the setting accounts"
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if p.endpoints.getenv(name) == profile {
			return name
		}
	}
	return "source_profile of another profile"
}

// configFile and credentialsFile are the AWS configuration files.
func (p problem) configFile() string {
	if path := p.endpoints.getenv("AWS_CONFIG_FILE"); path != "" {
		return path
	}
	return config.DefaultSharedConfigFilename()
}

func (p problem) credentialsFile() string {
	if path := p.endpoints.getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" {
		return path
	}
	return config.DefaultSharedCredentialsFilename()
}

// diagnoseEndpoint is about an endpoint that was configured and is no URL of HTTP.
func (p problem) diagnoseEndpoint() (cloudhttp.Diagnosis, bool) {
	text := p.cause.Error()
	isInvalid := func(sign string) bool { return strings.Contains(text, sign) }
	if p.reply.Status != 0 || !slices.ContainsFunc([]string{
		"unsupported protocol scheme", "no Host in request URL", "Failed to parse uri", "first path segment in URL", "invalid port",
	}, isInvalid) {
		return cloudhttp.Diagnosis{}, false
	}
	setBy := "endpoint_url in " + p.configFile()
	names := []string{"AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(p.service, "-", "_")), "AWS_ENDPOINT_URL"}
	if p.service == serviceIMDS {
		setBy, names = "ec2_metadata_service_endpoint in "+p.configFile(), []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT"}
	}
	for _, name := range names {
		if p.endpoints.getenv(name) != "" {
			setBy = name
			break
		}
	}
	return cloudhttp.Diagnosis{
		Problem:   "the endpoint that is configured for " + p.service + " is not an HTTP URL",
		Advice:    setBy + " has to be https:// or http:// and a host",
		Permanent: true,
	}, true
}

// diagnoseSetting is about credentials that were configured and are not such.
func (p problem) diagnoseSetting() (cloudhttp.Diagnosis, bool) {
	text := p.cause.Error()
	after := func(phrase string) string {
		_, rest, _ := strings.Cut(text, phrase)
		return rest
	}
	say := func(problem, advice string) (cloudhttp.Diagnosis, bool) {
		return cloudhttp.Diagnosis{Problem: problem, Advice: advice, Permanent: true}, true
	}
	switch {
	case strings.Contains(text, "unable to read file at "):
		setBy := "web_identity_token_file in " + p.configFile()
		if p.endpoints.getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" {
			setBy = "AWS_WEB_IDENTITY_TOKEN_FILE"
		}
		return say("the web identity token cannot be read: "+after("unable to read file at "), setBy+" names it")
	case strings.Contains(text, "failed to read authorization token from "):
		return say("the token for container credentials cannot be read: "+after("failed to read authorization token from "), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names it")
	case strings.Contains(text, "authorization token contains invalid newline"):
		return say("the token for container credentials holds an end of line", "remove it from AWS_CONTAINER_AUTHORIZATION_TOKEN or the file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names")
	case strings.Contains(text, "invalid header field value"):
		name := p.spacedKey()
		if name == "" {
			name = "the access key or the session token"
		}
		return say(name+" holds an end of line or another character that no key has", "correct it where it is set")
	}
	return cloudhttp.Diagnosis{}, false
}

// spacedKey returns the variable of an access key that has white space in it or
// around it, or "".
func (p problem) spacedKey() string {
	if p.identity.pod != nil || p.identity.profile != "" {
		return ""
	}
	for _, name := range []string{keyVariables[0][0], keyVariables[0][1], keyVariables[1][0], keyVariables[1][1], "AWS_SESSION_TOKEN"} {
		if !settings.IsFrom(p.endpoints.getenv(name), "+/=-_") {
			return name
		}
	}
	return ""
}
