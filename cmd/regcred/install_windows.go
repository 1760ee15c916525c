package main

import "os/exec"

// inRoot does nothing: Windows has no other roots.
func inRoot(*exec.Cmd, string) {}
