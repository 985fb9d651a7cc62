// Package operators has the names of those that callers ask for.
package operators

// Add is that of +.
const Add = "_+_"
