package settings

import "github.com/spf13/pflag"

// KlogFlags accepts the logging flags that the vendors' plugins take from
// klog, so that a kubelet configuration written for them keeps working. Only
// --v has an effect. --log_file needs no entry: with underscores read as
// hyphens it is the plugin's own --log-file.
func (c *Common) KlogFlags(fs *pflag.FlagSet) {
	fs.IntVarP(&c.verbosity, "v", "v", 0, "klog's verbosity: 1 logs as --log-level=info, 4 as debug")
	for _, name := range []string{
		"add-dir-header", "alsologtostderr", "legacy-stderr-threshold-behavior",
		"log-json-split-stream", "log-text-split-stream", "logtostderr", "one-output", "skip-headers", "skip-log-headers",
	} {
		fs.Bool(name, false, "ignored")
	}
	for _, name := range []string{
		"log-backtrace-at", "log-dir", "log-file-max-size", "log-flush-frequency",
		"log-json-info-buffer-size", "log-text-info-buffer-size", "logging-format", "alsologtostderrthreshold", "stderrthreshold", "vmodule",
	} {
		fs.String(name, "", "ignored")
	}
	fs.VisitAll(func(flag *pflag.Flag) {
		if flag.Usage == "ignored" || flag.Name == "v" {
			flag.Hidden = true
		}
	})
}
