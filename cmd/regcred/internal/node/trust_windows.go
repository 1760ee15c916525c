package node

// trusted reports false: Windows has no /proc to find a kubelet in.
func trusted(string) bool { return false }
