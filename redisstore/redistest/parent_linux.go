package redistest

import "syscall"

// withParent lets a server end with the test, also when that crashes.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
