package main

import "os"

func passedOn() []os.Signal { return []os.Signal{os.Interrupt} }

// terminalSends reports true: a console sends Ctrl-C to all of its processes.
func (a *app) terminalSends(os.Signal) bool { return true }

func signalCode(*os.ProcessState) (int, bool) { return 0, false }
