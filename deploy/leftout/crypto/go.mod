module go.step.sm/crypto

go 1.26
