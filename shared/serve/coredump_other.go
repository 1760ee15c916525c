//go:build !linux

package serve

// forbidCoreDump does nothing: only Linux lets a process say so.
func forbidCoreDump() {}
