# Binaries are found by listing cmd/: a new directory there is built, tested and
# cross-compiled without a line here.
commands := $(notdir $(wildcard cmd/*))
version  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
ldflags  := -s -w -buildid= -X regcred/shared/version.release=$(version)
# grpcnotrace: gRPC's tracing draws in templates, for which the linker keeps 4 MB
# of the tool that nobody calls.
go_build := CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags grpcnotrace -ldflags "$(ldflags)"
platforms := linux/amd64 linux/arm64 linux/ppc64le linux/s390x windows/amd64 darwin/arm64
fips      := linux/amd64 linux/arm64
# Debian's list of packages is fetched where an install finds none.
apt       = { apt-get install -y --no-install-recommends $(1) || { apt-get update && apt-get install -y --no-install-recommends $(1); }; }
lint     := .cache/golangci-lint
fuzztime ?= 20s
out      := dist

# What a release consists of is as old as the commit that it is made of.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
revision := $(shell git rev-parse HEAD 2>/dev/null)
release_flags := -version $(version) -revision "$(revision)" $(if $(maintainer),-maintainer "$(maintainer)") $(if $(homepage),-homepage $(homepage))

.PHONY: help build demo cloud test parts e2e bench lint fuzz cross release image repro deploy clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build every binary into bin/: static, small, the same bytes every time
	@$(go_build) -o bin/ $(commands:%=./cmd/%)

demo: build ## watch the plugins answer the kubelet, each against its cloud
	@go run ./e2e/cmd/demo $(CLOUD)

cloud: build ## a shell on a node of a fake cloud, CLOUD=aws, with the binaries on the PATH
	@go run ./e2e/cmd/cloud $(or $(CLOUD),aws)

test: build ## unit tests, and the built binaries against the fake clouds
	@# Both wait more than they compute, so that more packages are tested at a time
	@# than there are processors. The second are programs, into which the race
	@# detector does not see.
	go test -race -p 4 $$(go list ./... | grep -v /e2e/) ./e2e/cloud/... ./e2e/cmd/...
	go test -count=1 -p 4 $$(go list ./e2e/... | grep -vE '/e2e/(cloud|cmd)(/|$$)')

parts: ## build what make e2e runs the binaries with: minutes, and the network, the first time
	@echo "building e2e/kubelet/bin/lookup: the kubelet's own code, some minutes the first time"
	@cd e2e/kubelet && go build -o bin/lookup ./lookup
	@cd e2e/node && go run ./cmd/build
	@command -v skopeo >/dev/null || $(call apt,skopeo)

e2e: build parts dist/image/index.json ## the built binaries under kubelet's own code, and on a real node
	cd e2e/clients && go test -count=1 ./...
	cd e2e/chart && go test -count=1 ./...
	cd e2e/kubelet && go test -count=1 -timeout 20m ./...
	cd e2e/node && go test -count=1 -timeout 25m ./...

bench: build ## the figures of docs/benchmarks.md, measured on this machine
	@go run ./e2e/cmd/bench $(CLOUD)

lint: $(lint) ## go vet and golangci-lint, here and in the modules of e2e
	go vet ./... && $(lint) run ./...
	GOOS=windows go vet ./... && GOOS=darwin go vet ./...
	cd e2e/clients && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...
	cd e2e/kubelet && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...
	cd e2e/node && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...
	cd e2e/chart && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...
	cd deploy/release && go vet ./... && ../../$(lint) run --config ../../.golangci.yml ./...

$(lint): .ci/tools/go.mod
	cd .ci/tools && go build -o ../../$(lint) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## fuzz every parser, fuzztime=20s each
	@for target in $$(grep -rlE '^func Fuzz' --include=*_test.go shared plugins cmd | sort); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$target); do \
			go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(fuzztime) ./$$(dirname $$target) || exit 1; \
		done; \
	done

cross: ## compile every binary for every platform
	@for platform in $(platforms); do \
		echo $$platform; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(go_build) -o $(out)/$$platform/ $(commands:%=./cmd/%) || exit 1; \
	done

release: ## packages, archives, images, SBOMs and checksums, into dist/
	rm -rf dist
	$(MAKE) --no-print-directory cross GOFIPS140=off version=$(version)
	@echo "with the FIPS 140-3 module:"
	$(MAKE) --no-print-directory cross GOFIPS140=v1.0.0 out=dist/fips platforms="$(fips)" version=$(version)
	cd deploy/release && go run . make $(release_flags)

image: ## the images alone, as OCI layouts, into dist/image and dist/talos
	$(MAKE) --no-print-directory cross GOFIPS140=off platforms="$(filter linux/%,$(platforms))" version=$(version)
	cd deploy/release && go run . image $(release_flags)

# The release is made again from the same files at another path, with nothing
# compiled before, by somebody with other habits.
repro: release ## make the release twice, in two places, and compare
	@place=$$(mktemp -d) && trap 'chmod -R u+w "$$place"; rm -rf "$$place"' EXIT && \
	git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- -c | tar -x -C "$$place" && \
	(umask 077 && cd "$$place" && TZ=Asia/Kolkata GOCACHE="$$place/.cache/go-build" \
		$(MAKE) --no-print-directory release version=$(version) revision=$(revision)) && \
	diff dist/checksums.txt "$$place/dist/checksums.txt" && echo "the same $$(wc -l <dist/checksums.txt) files"

dist/image/index.json:
	$(MAKE) --no-print-directory image platforms="linux/amd64 linux/arm64"

deploy: ## install, upgrade and remove what make release has left in dist/
	@command -v debootstrap >/dev/null || $(call apt,debootstrap)
	@command -v rpm >/dev/null || $(call apt,rpm)
	for module in $(dir $(wildcard deploy/*/go.mod)); do (cd $$module && go test -count=1 -timeout 10m ./...) || exit 1; done

clean: ## remove what the other targets made
	rm -rf bin dist .cache e2e/kubelet/bin
