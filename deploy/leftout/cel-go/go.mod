module cel.dev/cel-go

go 1.26
