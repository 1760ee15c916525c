// Package resolve leads from a request to the Source that answers it: what a
// plugin does before anybody is asked, and what a person may want to know
// without asking.
package resolve

import (
	"fmt"

	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/protocol"
	"regcred/shared/serviceaccount"
)

// Request turns what the kubelet wrote into what a provider is asked.
func Request(wire protocol.Request) (credential.Request, error) {
	ref, err := image.Parse(wire.Image)
	if err != nil {
		return credential.Request{}, err
	}
	request := credential.Request{Image: ref, Registry: ref.Registry, Annotations: wire.ServiceAccountAnnotations}
	if !wire.ServiceAccountToken.Empty() {
		if request.Pod, err = serviceaccount.Parse(wire.ServiceAccountToken.Reveal()); err != nil {
			return credential.Request{}, fmt.Errorf("%s: %w", ref.Registry, err)
		}
	}
	return request, nil
}

// Answer returns how a cloud answers a request. An Answer without a Source
// means that the registry is not the cloud's.
func Answer(cloud *plugin.Cloud, request credential.Request) (credential.Answer, error) {
	target, aliased := cloud.Common.Registry(request.Registry)
	request.Registry = target
	answer, err := cloud.Answer(request)
	switch {
	case err != nil:
		return credential.Answer{}, err
	case answer.Source == nil && aliased:
		return credential.Answer{}, fmt.Errorf("alias of %s, which is not a registry of this cloud: correct --alias", target)
	case answer.Source != nil && request.Pod != nil && request.Pod.PodUID == "" && cloud.Common.IdentityScope == serviceaccount.ScopePod:
		return credential.Answer{}, fmt.Errorf("%s: the token names no pod, which --identity-scope=pod needs", request.Pod)
	default:
		return answer, nil
	}
}
