# Binaries are found by listing cmd/: a new directory there is built, tested and
# cross-compiled without a line here.
commands := $(notdir $(wildcard cmd/*))
version  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
ldflags  := -s -w -buildid= -X regcred/shared/serve.version=$(version)
go_build := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(ldflags)"
platforms := linux/amd64 linux/arm64 linux/ppc64le linux/s390x windows/amd64 darwin/arm64
lint     := .cache/golangci-lint
fuzztime ?= 20s

.PHONY: help build demo cloud test parts e2e bench lint fuzz cross clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build every binary into bin/: static, small, the same bytes every time
	@$(go_build) -o bin/ $(commands:%=./cmd/%)

demo: build ## watch the plugins answer the kubelet, each against its cloud
	@go run ./e2e/cmd/demo $(CLOUD)

cloud: build ## a shell on a node of a fake cloud, CLOUD=aws, with the binaries on the PATH
	@go run ./e2e/cmd/cloud $(or $(CLOUD),aws)

test: build ## unit tests, and the built binaries against the fake clouds
	go test -race $$(go list ./... | grep -v /e2e/) ./e2e/cloud/... ./e2e/cmd/...
	@# What these test are programs, which the race detector does not see.
	go test -count=1 $$(go list ./e2e/... | grep -vE '/e2e/(cloud|cmd)(/|$$)')

parts: ## build what make e2e runs the binaries with: minutes, and the network, the first time
	@echo "building e2e/kubelet/bin/lookup: the kubelet's own code, some minutes the first time"
	@cd e2e/kubelet && go build -o bin/lookup ./lookup
	@cd e2e/node && go run ./cmd/build

e2e: build parts ## the built binaries under kubelet's own code, and on a real node
	cd e2e/kubelet && go test -count=1 -timeout 20m ./...
	cd e2e/node && go test -count=1 -timeout 25m ./...

bench: build ## the figures of docs/benchmarks.md, measured on this machine
	@go run ./e2e/cmd/bench $(CLOUD)

lint: $(lint) ## go vet and golangci-lint, here and in the modules of e2e
	go vet ./... && $(lint) run ./...
	GOOS=windows go vet ./... && GOOS=darwin go vet ./...
	cd e2e/kubelet && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...
	cd e2e/node && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...

$(lint): .ci/tools/go.mod
	cd .ci/tools && go build -o ../../$(lint) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## fuzz every parser, fuzztime=20s each
	@for target in $$(grep -rlE '^func Fuzz' --include=*_test.go shared plugins | sort); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$target); do \
			go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(fuzztime) ./$$(dirname $$target) || exit 1; \
		done; \
	done

cross: ## compile every binary for every platform
	@for platform in $(platforms); do \
		echo $$platform; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(go_build) -o dist/$$platform/ $(commands:%=./cmd/%) || exit 1; \
	done

clean: ## remove what the other targets made
	rm -rf bin dist .cache e2e/kubelet/bin
