package program

import (
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// plain are the characters besides letters and digits that mean nothing to
// cmd.exe.
const plain = ` /\._-=:@+~`

func systemShell() string {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return "cmd.exe"
	}
	return filepath.Join(system, "cmd.exe")
}

// shellArgs returns arguments that attributes join as cmd.exe wants them: it
// strips the outer quotes and takes the rest as it is.
func shellArgs(shell, line string) []string { return []string{shell, "/S", "/C", line} }

// attributes keep a window away, and a command line for cmd.exe as it was
// written: the quoting that other programs undo is not cmd.exe's.
func attributes(argv []string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{HideWindow: true}
	if len(argv) == 4 && argv[0] == systemShell() && argv[1] == "/S" && argv[2] == "/C" {
		attr.CmdLine = `"` + argv[0] + `" /S /C "` + argv[3] + `"`
	}
	return attr
}

// isScript is false: cmd.exe runs no more files than the system does.
func isScript(error) bool { return false }

// group is a program, and the job of it and of what it starts. The job ends with
// its last handle: with this process at the latest.
type group struct {
	leader *os.Process
	job    windows.Handle
}

// newGroup makes a job of a program that was just started. Without one, as when
// the program has exited already, there is the program alone.
func newGroup(leader *os.Process) group {
	g := group{leader: leader}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return g
	}
	g.job = job
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	_, _ = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	_ = leader.WithHandle(func(handle uintptr) {
		_ = windows.AssignProcessToJobObject(job, windows.Handle(handle))
	})
	return g
}

func (g group) kill() {
	if g.job != 0 {
		_ = windows.TerminateJobObject(g.job, 1)
	}
	_ = g.leader.Kill()
}

func (g group) close() {
	if g.job != 0 {
		_ = windows.CloseHandle(g.job)
	}
}
