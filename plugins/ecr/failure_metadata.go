package ecr

import (
	"errors"
	"net/http"
	"strings"
	"syscall"

	"regcred/shared/cloudhttp"
)

// imdsToken is the operation that only version 2 of the instance metadata
// service knows, and no other cloud's: PUT /latest/api/token.
const imdsToken = "getToken"

// diagnoseMetadata is about the instance metadata service, and about what there
// is in its place on a node that is not EC2's.
func (p problem) diagnoseMetadata() cloudhttp.Diagnosis {
	elsewhere := "set AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE or an access key in the provider's env"
	if there, missing := p.endpoints.halfAKey(); p.identity.profile != "" {
		elsewhere = "profile " + p.identity.profile + " in " + p.configFile() + " has to get its credentials from elsewhere"
	} else if there != "" {
		elsewhere = there + " is set without " + missing + ", so it is passed over: set both"
	}
	refusedToken := p.operation == imdsToken && p.reply.Err == nil
	silence, silent := errors.AsType[*cloudhttp.SilenceError](p.reply.Err)
	switch {
	case strings.Contains(p.cause.Error(), "AWS_EC2_METADATA_DISABLED") && p.reply.Host == "":
		return cloudhttp.Diagnosis{Problem: "AWS_EC2_METADATA_DISABLED is set, and there are no other credentials", Advice: elsewhere, Permanent: true}
	case p.code == "AssumeRoleUnauthorizedAccess":
		return cloudhttp.Diagnosis{Problem: "EC2 may not assume the instance's role", Advice: "the trust policy of the instance profile's role has to allow ec2.amazonaws.com", Permanent: true}
	case p.code != "" && p.reply.OK():
		return cloudhttp.Diagnosis{Problem: "the instance metadata service has no credentials of the instance's role", Advice: "check the instance profile, and its role"}
	case otherCloud(p.reply) != "":
		return cloudhttp.Diagnosis{Problem: "this is a node of " + otherCloud(p.reply) + ", not of EC2: it has no role of AWS", Advice: elsewhere, Permanent: true}
	case p.noInstanceRole():
		return cloudhttp.Diagnosis{Problem: "the instance has no role", Advice: "attach an instance profile to the node, or " + elsewhere, Permanent: true}
	case p.reply.Status == http.StatusForbidden:
		return cloudhttp.Diagnosis{Problem: "the instance metadata service is turned off for this instance (HttpEndpoint)", Advice: "turn it on, or " + elsewhere, Permanent: true}
	case refusedToken && (p.reply.Status == http.StatusNotFound || p.reply.Status == http.StatusMethodNotAllowed):
		return cloudhttp.Diagnosis{Problem: "what answers at " + p.reply.Host + " is not EC2's instance metadata service, but perhaps another cloud's", Advice: elsewhere, Permanent: true}
	case silent && silence.Step >= cloudhttp.Waiting && p.operation == imdsToken:
		// What limits hops is the answer with the token, not the connection.
		return cloudhttp.Diagnosis{
			Problem: "the instance metadata service accepted the connection and did not answer in time",
			Advice:  "if the kubelet runs in a container, allow a metadata hop limit of 2; otherwise the next attempt is made after a pause",
		}
	case errors.Is(p.reply.Err, syscall.ENETUNREACH) && strings.HasPrefix(p.reply.Host, imdsAddress):
		return cloudhttp.Diagnosis{
			Problem:   "the node has no route to " + p.reply.Host + ", where the instance metadata service would be",
			Advice:    "on EC2 with IPv6 alone, set AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6; elsewhere " + elsewhere,
			Permanent: true,
		}
	}
	d, found := p.reply.Diagnose(cloudhttp.Service{Name: "the instance metadata service", Elsewhere: "if this is not EC2, " + elsewhere})
	if !found {
		d = cloudhttp.Diagnosis{Problem: "the instance metadata service refuses the question", Advice: "something else may answer in its place", Permanent: true}
	}
	return d
}

// otherCloud tells by a refusal whose metadata service it is, if it is another
// cloud's that says so. Others, such as Oracle's, only do not know the path.
func otherCloud(reply cloudhttp.Reply) string {
	if reply.Status < http.StatusBadRequest {
		return ""
	}
	server := reply.Header.Get("Server")
	var body struct {
		Error  any   `json:"error"`
		Errors []any `json:"errors"`
	}
	_ = reply.Decode(&body)
	switch {
	case strings.EqualFold(reply.Header.Get("Metadata-Flavor"), "Google"):
		return "Google Cloud"
	case len(body.Errors) > 0:
		return "IBM Cloud"
	case body.Error != nil || strings.HasPrefix(server, "IMDS/") || strings.HasPrefix(server, "Microsoft-IIS"):
		return "Azure"
	}
	return ""
}
