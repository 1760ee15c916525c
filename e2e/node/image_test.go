package node_test

import "strings"

// repository is an image without its tag.
func repository(image string) string {
	return image[:strings.LastIndex(image, ":")]
}

// host is the registry of an image.
func host(image string) string {
	name, _, _ := strings.Cut(image, "/")
	return name
}
