# SPDX-License-Identifier: Apache-2.0
# Workloads in other languages than C (tests/system/go_test.py, rust_test.py). Included by tests.mk, whose variables it uses.

# Go programs, with Debian's compiler or GO=..., in every way that changes where Go's own table is and what names there are.
GO ?= $(firstword $(wildcard /usr/lib/go-1.19/bin/go) go)
GO_BUILD = env -u GOFLAGS -u GOROOT GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=1 GOCACHE=$(abspath $(O))/go-cache \
	$(GO) build
go_plain :=
go_stripped := -ldflags='-s -w'
go_pie := -buildmode=pie
go_pie-stripped := -buildmode=pie -ldflags='-s -w'
GO_KINDS := plain stripped pie pie-stripped
GOSTACKS := $(addprefix $(W)/gostacks-,$(GO_KINDS) no-sections)
GOCALLS := $(addprefix $(W)/gocalls-,$(GO_KINDS))
$(addprefix $(W)/gostacks-,$(GO_KINDS)): $(W)/gostacks-%: tests/workloads/gostacks.go tests/workloads/languages.mk
	$(call say,GO)
	$(Q)mkdir -p $(@D) && $(GO_BUILD) $(go_$*) -o $@ $<
$(GOCALLS): $(W)/gocalls-%: tests/workloads/gocalls.go tests/workloads/languages.mk
	$(call say,GO)
	$(Q)mkdir -p $(@D) && $(GO_BUILD) $(go_$*) -o $@ $<
# As for shares-no-sections.
$(W)/gostacks-no-sections: $(W)/gostacks-stripped
	$(Q)cp $< $@ && dd if=/dev/zero of=$@ bs=1 seek=40 count=8 conv=notrunc status=none && \
		dd if=/dev/zero of=$@ bs=1 seek=60 count=4 conv=notrunc status=none

workloads: $(GOSTACKS) $(GOCALLS)

# Rust without a way to unwind, frame pointers or symbols; only where there is a compiler.
RUSTC := $(firstword $(shell command -v rustc) $(wildcard $(HOME)/.cargo/bin/rustc))
ifneq ($(RUSTC),)
RUST_FLAGS := --edition 2021 -C opt-level=2 -C force-frame-pointers=no
ruststacks-plain := -g
ruststacks-abort := -g -C panic=abort
ruststacks-stripped := -C panic=abort -C strip=symbols
RUSTSTACKS := $(addprefix $(W)/ruststacks-,plain abort stripped)
$(RUSTSTACKS): $(W)/%: tests/workloads/ruststacks.rs tests/workloads/languages.mk
	$(call say,RUST)
	$(Q)mkdir -p $(@D) && $(RUSTC) $(RUST_FLAGS) $($*) -o $@ $<
workloads: $(RUSTSTACKS)
endif
