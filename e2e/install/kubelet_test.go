//go:build linux

package install_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"regcred/shared/kubelet"
)

// The files of the machine's kubelet and systemd.
const (
	pidFile  = "/run/test/pid"
	argsFile = "/run/test/args" // what systemd read last of the units
	dropIns  = "/etc/systemd/system/kubelet.service.d"

	// refusesFile makes the kubelet refuse configurations that have its text.
	refusesFile = "/etc/kubelet-refuses"
)

// runKubelet is one as far as its start goes: with the flags it wants a
// configuration that the real one takes, and programs for it. It returns when
// it fails.
func runKubelet(args []string) {
	flags := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		flags[name] = value
	}
	hash, err := register(flags["--image-credential-provider-config"], flags["--image-credential-provider-bin-dir"])
	if err != nil {
		fmt.Fprintln(os.Stderr, "Failed to register CRI auth plugins:", err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "kubelet_credential_provider_config_info{hash=%q} 1\n", hash)
	})
	failed := make(chan error)
	for _, address := range []string{"127.0.0.1:10248", "127.0.0.1:10255"} {
		go func() {
			var listener net.Listener
			var err error
			for range 50 { // the former one may just be ending
				if listener, err = net.Listen("tcp", address); err == nil {
					failed <- http.Serve(listener, mux)
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			failed <- err
		}()
	}
	fmt.Fprintln(os.Stderr, <-failed)
}

// register is what the kubelet does with its two flags.
func register(config, binDir string) (hash string, err error) {
	if config == "" && binDir == "" {
		return "", nil
	}
	loaded, err := kubelet.Load(config)
	if err != nil {
		return "", err
	}
	for _, provider := range loaded.Providers {
		if _, err := exec.LookPath(filepath.Join(binDir, provider.Name)); err != nil {
			return "", err
		}
	}
	refused, err := os.ReadFile(refusesFile)
	if os.IsNotExist(err) {
		return loaded.Hash, nil
	}
	text, err := os.ReadFile(config)
	if err == nil && strings.Contains(string(text), strings.TrimSpace(string(refused))) {
		err = fmt.Errorf("it has %s", refused)
	}
	return loaded.Hash, err
}

// runSystemctl knows one unit, the kubelet's.
func runSystemctl(args []string) int {
	switch args[0] {
	case "daemon-reload":
		if err := reload(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "restart":
		if err := restart(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "show":
		show(args)
	}
	return 0
}

// reload reads the units: their environment is what restart starts with.
func reload() error {
	flags := ""
	files, err := filepath.Glob(dropIns + "/*.conf")
	if err != nil {
		return err
	}
	if _, err := os.Stat("/run/test/ignore-drop-ins"); err == nil {
		files = nil
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), `Environment="KUBELET_EXTRA_ARGS=`); ok {
				flags = strings.TrimSuffix(rest, `"`)
			}
		}
	}
	return os.WriteFile(argsFile, []byte(flags), 0o600)
}

func restart() error {
	if pid := pidOf(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for alive(pid) {
			time.Sleep(10 * time.Millisecond)
		}
	}
	flags, err := os.ReadFile(argsFile)
	if err != nil {
		return err
	}
	log, err := os.OpenFile("/run/test/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	started := &exec.Cmd{
		Path: "/usr/bin/kubelet", Args: append([]string{"/usr/bin/kubelet", "--read-only-port=10255"}, strings.Fields(string(flags))...),
		Env: []string{"PATH=/usr/bin"}, Dir: "/", Stderr: log, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := started.Start(); err != nil {
		return err
	}
	return os.WriteFile(pidFile, []byte(strconv.Itoa(started.Process.Pid)), 0o600)
}

func show(args []string) {
	if strings.Contains(strings.Join(args, " "), "LoadState") {
		state := "not-found"
		if args[len(args)-1] == "kubelet.service" {
			state = "loaded"
		}
		fmt.Println("LoadState=" + state)
		return
	}
	if pid := pidOf(); alive(pid) {
		fmt.Printf("ActiveState=active\nSubState=running\nMainPID=%d\nNRestarts=0\n", pid)
		return
	}
	fmt.Print("ActiveState=activating\nSubState=auto-restart\nMainPID=0\nNRestarts=1\n")
}

func pidOf() int {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(text))
	return pid
}

// alive reports whether a process runs; one that ended and that nobody asked
// about does not.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}
