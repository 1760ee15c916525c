package scene

import "time"

// Request is what kubelet writes to a plugin's standard input.
type Request struct {
	Kind                      string            `json:"kind"`
	APIVersion                string            `json:"apiVersion"`
	Image                     string            `json:"image"`
	ServiceAccountToken       string            `json:"serviceAccountToken,omitempty"`
	ServiceAccountAnnotations map[string]string `json:"serviceAccountAnnotations,omitempty"`
}

// NodeRequest asks for an image in the name of nobody but the node.
func NodeRequest(image string) Request {
	return Request{
		Kind:       "CredentialProviderRequest",
		APIVersion: "credentialprovider.kubelet.k8s.io/v1",
		Image:      image,
	}
}

// PodRequest asks for an image in the name of the pod, with a token for STS
// that is valid for an hour.
func (s *Scene) PodRequest(image string) (Request, error) {
	token, err := s.AWS.Issuer.Token(puller(), "sts.amazonaws.com", time.Hour)
	request := NodeRequest(image)
	request.ServiceAccountToken = token
	request.ServiceAccountAnnotations = map[string]string{RoleAnnotation: PodRole}
	return request, err
}
