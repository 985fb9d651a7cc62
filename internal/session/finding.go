package session

// Finding is the result of one check of a store.
type Finding struct {
	Check  string
	Result string
	Text   string
	Do     string // what to change, where it is not ok
}

// The results of looking at a store.
const (
	FindingOK   = "ok"
	FindingWarn = "warn"
	FindingFail = "fail"
)
