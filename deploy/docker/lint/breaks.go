package main

import (
	"fmt"
	"strings"
)

// broken is a Dockerfile with one thing changed, which must be refused.
type broken struct {
	name     string
	old, new string // what stands in the good one, and what replaces it
	want     string // in the fault
}

var breaks = []broken{
	{"root", "USER 1001:1001", "USER root", "user: USER is root"},
	{"a name for the user", "USER 1001:1001", "USER drover", "by number"},
	{"no user", "USER 1001:1001\n", "", "user: the image's stage has none"},
	{"no health check", `HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/drover", "healthcheck"]`, "", "healthcheck: the image's stage has none"},
	{"a health check by shell and curl", `CMD ["/usr/local/bin/drover", "healthcheck"]`, "CMD curl -f http://127.0.0.1:9090/health || exit 1", "healthcheck"},
	{"an entry point in shell form", `ENTRYPOINT ["/usr/local/bin/drover"]`, "ENTRYPOINT /usr/local/bin/drover", "no shell: ENTRYPOINT in shell form"},
	{"a fixed base", "FROM ${RUNTIME_IMAGE} AS runtime", "FROM alpine:latest AS runtime", "bases: stage 1"},
	{"an undeclared base", "ARG GO_IMAGE=golang:1.26-alpine3.23\n", "", "bases: ARG GO_IMAGE is"},
	{"a base without a version", "RUNTIME_IMAGE=scratch", "RUNTIME_IMAGE=alpine:latest", "bases: ARG RUNTIME_IMAGE"},
	{"one stage", "FROM ${RUNTIME_IMAGE} AS runtime\n", "", "stages"},
	{"a cache mount", "RUN go mod download", "RUN --mount=type=cache,target=/go/pkg/mod go mod download", "BuildKit's alone"},
	{"no layer for modules", "COPY go.mod go.sum ./", "COPY . .", "modules"},
	{"cgo", "CGO_ENABLED=0 ", "", "binary: the build is without CGO_ENABLED=0"},
	{"no version", "-X main.version=${VERSION} ", "", "binary: the build is without main.version"},
	{"no volume", "VOLUME [\"/var/lib/drover\"]\n", "", "volume"},
	{"a volume of root's", "--chown=1001:1001 ", "", "volume: /var/lib/drover belongs to"},
	{"no label of the version", `org.opencontainers.image.version="${VERSION}"`, `org.opencontainers.image.vendor="x"`, "labels"},
	{"a package in the image", "EXPOSE 9090", "RUN [\"apk\", \"add\", \"curl\"]\nEXPOSE 9090", "no shell: the image's stage has a RUN"},
	{"a secret", "ENV DROVER_NATS_EMBEDDED_DATA_DIR", "ENV DISCORD_TOKEN=x DROVER_NATS_EMBEDDED_DATA_DIR", "no secrets: ENV DISCORD_TOKEN"},
	{"another spelling", "FROM ${RUNTIME_IMAGE} AS runtime", "FROM ${RUNTIME_IMAGE} as runtime", "FromAsCasing"},
	{"no Dockerfile", "VOLUME [", "VOLUM [", "unknown instruction"},
}

// refused wants the fault in a copy of the good text.
func (b broken) refused(good string) error {
	if strings.Count(good, b.old) != 1 {
		return fmt.Errorf("breaks: %s: %q stands %d times in the Dockerfile, want once", b.name, b.old, strings.Count(good, b.old))
	}
	faults, err := lint([]byte(strings.Replace(good, b.old, b.new, 1)))
	if err != nil {
		faults = append(faults, err.Error())
	}
	for _, f := range faults {
		if strings.Contains(f, b.want) {
			fmt.Printf("refused, as it must be: %s: %s\n", b.name, f)
			return nil
		}
	}
	return fmt.Errorf("%s is not refused with %q; found: %q", b.name, b.want, faults)
}
