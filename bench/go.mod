module github.com/caddyoauth/caddyoauth/bench

go 1.26.0
