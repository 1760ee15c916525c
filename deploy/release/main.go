// Command release makes what a release consists of, from binaries that were
// built before, and pushes its images. make release and make image call it. The
// same binaries and flags give the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"regcred/deploy/release/image"
	"regcred/deploy/release/label"
)

const usage = `release makes what a release consists of, and pushes its images.

    release make [flags]           packages, archives, images, SBOMs and checksums
    release image [flags]          the images alone, as OCI layouts
    release push [flags] NAME      an image into a registry, as REGISTRY/REPOSITORY

make and image take the binaries from dist/OS/ARCH and dist/fips/OS/ARCH, and the
time of everything from SOURCE_DATE_EPOCH. push logs in as docker's configuration
says. Each lists its flags with --help.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, getenv func(string) string, out io.Writer) error {
	verb := ""
	if len(arguments) > 0 {
		verb, arguments = arguments[0], arguments[1:]
	}
	switch verb {
	case "make", "image":
		r, err := parse(verb, arguments, getenv)
		if err != nil {
			return err
		}
		if err := r.checkVersion(); err != nil {
			return err
		}
		if verb == "image" {
			return r.makeImages()
		}
		return r.makeAll()
	case "push":
		return push(ctx, arguments, out)
	default:
		_, _ = io.WriteString(out, usage)
		return fmt.Errorf("want make, image or push, not %q", verb)
	}
}

// defaultMaintainer is nobody whom mail reaches.
const defaultMaintainer = "The regcred maintainers <maintainers@regcred.invalid>"

// release is what is made, and of what.
type release struct {
	label      label.Label
	time       time.Time // of everything in it
	revision   string
	maintainer string
	homepage   string
	repository string // the directory with the sources
	dist       string // the directory with the binaries, and with what is made
}

func parse(verb string, arguments []string, getenv func(string) string) (release, error) {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	version := flags.String("version", "", "what git describe --tags --always --dirty says")
	revision := flags.String("revision", "", "the whole hash of the commit")
	maintainer := flags.String("maintainer", defaultMaintainer, "who makes the packages: NAME <ADDRESS>")
	homepage := flags.String("homepage", "", "URL of the project, for packages and images")
	repository := flags.String("repository", "../..", "directory of the sources")
	dist := flags.String("dist", "../../dist", "directory with the binaries, into which everything is made")
	if err := flags.Parse(arguments); err != nil {
		return release{}, err
	}
	if flags.NArg() > 0 {
		return release{}, fmt.Errorf("%s: argument %q: want none", verb, flags.Arg(0))
	}
	seconds, err := strconv.ParseInt(getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return release{}, fmt.Errorf("SOURCE_DATE_EPOCH: want the time of the commit in seconds: %w", err)
	}
	r := release{time: time.Unix(seconds, 0).UTC(), revision: *revision, maintainer: *maintainer, homepage: *homepage}
	if r.label, err = label.Parse(*version, r.time); err != nil {
		return release{}, err
	}
	if r.repository, err = filepath.Abs(*repository); err != nil {
		return release{}, err
	}
	r.dist, err = filepath.Abs(*dist)
	return r, err
}

func push(ctx context.Context, arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	layout := flags.String("layout", "../../dist/image", "directory of the OCI layout")
	force := flags.Bool("force", false, "overwrite a tag that is there already with something else")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("push: want one REGISTRY/REPOSITORY")
	}
	pushed, err := image.Push(ctx, flags.Arg(0), *layout, *force)
	for _, each := range pushed {
		fmt.Fprintf(out, "%s@%s\n", each.Name, each.Digest)
	}
	return err
}
