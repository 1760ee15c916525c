package dockerconfig

// isNotDirectory is false: the system says that there is no such path.
func isNotDirectory(error) bool { return false }
