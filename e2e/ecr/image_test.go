package ecr_test

import "testing"

// Pull-through caches serve images under paths that name other registries. The
// kubelet looks a credential up by the host as the image writes it.
func TestOnlyTheHostOfAnImageCounts(t *testing.T) {
	const loud = "123456789012.DKR.ECR.us-east-1.AmazonAWS.com"
	for image, key := range map[string]string{
		registry + "/public.ecr.aws/x":                                  registry,
		registry + "/docker-hub/library/nginx":                          registry,
		registry + "/registry.k8s.io/pause:3.10":                        registry,
		registry + "/evil.com/app":                                      registry,
		registry + "/ROOT/app":                                          "",
		registry + "/ecr/222222222222.dkr.ecr.eu-west-1.amazonaws.com/": "",
		registry + ":443/app":                                           registry + ":443",
		registry + ":443/app:v1":                                        registry + ":443",
		loud + "/app":                                                   loud,
		loud + ":443/app":                                               loud + ":443",
	} {
		t.Run(image, func(t *testing.T) {
			n := bootNode(t)
			answer := n.ask(question{Image: image})
			if key == "" {
				answer.wantFailure(1)
				n.wantCalls()
				return
			}
			answer.wantCredential(key, nodeRole)
			n.wantCalls(askIMDS, askECR(ecrAPI))
		})
	}
}
