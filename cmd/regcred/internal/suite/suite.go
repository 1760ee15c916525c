// Package suite tells programs of this suite from those of others.
package suite

import (
	"context"
	"encoding/json"
	"time"

	"regcred/shared/program"
)

// Limit is how long a program may take to say its release.
const Limit = 5 * time.Second

// Release is what a program of this suite says of itself.
type Release struct{ Name, Version, GoVersion, Platform string }

// Ask asks a program for its release, in an environment and a directory that
// are as program.Command has them. The Release is nil if it is not one of this
// suite, and the Result is what came of the run.
func Ask(ctx context.Context, path string, env []string, dir string) (*Release, program.Result) {
	command := program.New(path, "--version=json")
	command.Env, command.Dir, command.Limit = env, dir, Limit
	result := command.Report(ctx)
	var said Release
	if result.Err != nil || json.Unmarshal(result.Stdout, &said) != nil || said.Name == "" || said.Version == "" || said.GoVersion == "" || said.Platform == "" {
		return nil, result
	}
	return &said, result
}
