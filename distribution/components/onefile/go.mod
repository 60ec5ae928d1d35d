module rke2.io/distribution/onefile

go 1.26.0

require github.com/klauspost/compress v1.19.1
