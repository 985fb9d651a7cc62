//go:build !noredis

package main

// Nine megabytes: the tag noredis leaves them out, as the container image does
// unless it is built for many nodes.
import _ "github.com/caddyoauth/caddyoauth/redisstore"
