// Package traits has those that callers name.
package traits

// ReceiverType is one.
const ReceiverType = 1
