package kubelet

import "github.com/distribution/reference"

// The pull policies of a container.
const (
	PullAlways       = "Always"
	PullIfNotPresent = "IfNotPresent"
	PullNever        = "Never"
)

// DefaultPullPolicy is what the API server gives a container that has no
// imagePullPolicy, when it is made: Always if the tag is "latest" or there is
// neither tag nor digest. A digest besides changes nothing.
func DefaultPullPolicy(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return PullIfNotPresent
	}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok && tagged.Tag() == "latest" {
		return PullAlways
	}
	return PullIfNotPresent
}

// WithTag returns the image as the kubelet hands it to the runtime: with a tag or
// a digest, and otherwise as the pod has it.
func WithTag(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || !reference.IsNameOnly(named) {
		return image
	}
	return image + ":latest"
}
