# SPDX-License-Identifier: Apache-2.0
# Objects live under $(O); variants (SAN=1, FUZZ builds) get a folder of their own so that flags never mix.

CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) $(shell command -v bpftool 2>/dev/null) bpftool)
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
VERSION := 0.1.0

SAN ?=
O ?= build$(if $(SAN),-san)
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' '$(1)' '$(patsubst $(O)/%,%,$@)';)

all: $(O)/ebprof ebprof

# --- what the build needs -------------------------------------------------------------------------------------------

PACKAGES := libbpf libelf libdw zlib liblzma
NO_CHECK := help clean check-folders
ifneq ($(filter-out $(NO_CHECK),$(or $(MAKECMDGOALS),all)),)
# $(call missing,what,Debian package,Fedora package)
missing = $(error $(1) is missing: install $(2) (Debian) or $(3) (Fedora))
has_package = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo yes)
has_tool = $(shell command -v $(1) 2>/dev/null)
ifeq ($(call has_tool,$(PKG_CONFIG)),)
$(call missing,pkg-config,pkg-config,pkgconf-pkg-config)
endif
ifeq ($(call has_package,libbpf),)
$(call missing,libbpf,libbpf-dev,libbpf-devel)
endif
ifeq ($(call has_package,libelf),)
$(call missing,libelf,libelf-dev,elfutils-libelf-devel)
endif
ifeq ($(call has_package,libdw),)
$(call missing,libdw,libdw-dev,elfutils-devel)
endif
ifeq ($(call has_package,zlib),)
$(call missing,zlib,zlib1g-dev,zlib-devel)
endif
ifeq ($(call has_package,liblzma),)
$(call missing,liblzma,liblzma-dev,xz-devel)
endif
ifeq ($(call has_tool,$(CLANG)),)
$(call missing,clang (for the BPF programs),clang,clang)
endif
ifeq ($(call has_tool,$(BPFTOOL)),)
$(call missing,bpftool,bpftool,bpftool)
endif
# libiberty has no .pc file.
ifneq ($(shell echo 'int main(void){return !cplus_demangle("",0);}' | $(CC) -include libiberty/demangle.h -x c - -liberty -o /dev/null 2>/dev/null && echo yes),yes)
$(call missing,libiberty,libiberty-dev,binutils-devel)
endif
# Nor has Zydis, in Debian. Version 4 split the decoding of operands off.
ifneq ($(shell echo 'int main(void){return ZydisDecoderDecodeOperands(0,0,0,0,0)==0;}' | $(CC) -include Zydis/Zydis.h -x c - -lZydis -o /dev/null 2>/dev/null && echo yes),yes)
$(call missing,Zydis 4,libzydis-dev,zydis-devel)
endif
endif

# --- flags ----------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wvla -Wformat=2 \
	-Wimplicit-fallthrough -Wundef $(if $(WERROR),-Werror)
SANITIZERS := $(if $(SAN),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined)
CFLAGS ?= -O2 -g
BASE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DEBPROF_VERSION='"$(VERSION)"' -fno-omit-frame-pointer \
	$(WARNINGS) $(SANITIZERS) $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -liberty -lZydis -lpthread
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -D__TARGET_ARCH_x86 -Wall -Wextra -Wno-unused-parameter -Werror -iquote bpf \
	$(patsubst %,-idirafter %,$(shell $(CLANG) -print-file-name=include 2>/dev/null) \
	/usr/include/$(shell $(CC) -print-multiarch 2>/dev/null) /usr/include)

# Each folder sees only these include paths: an include across a boundary does not compile. Single headers that two
# sides share are reached through folders under $(O)/include that hold just them.
INC := $(O)/include
includes_bpf := bpf
includes_base := userspace/base
includes_symbolize := userspace/base symbolize $(INC)/rows
includes_reader := userspace/base userspace/reader symbolize $(INC)/rows
includes_profile := userspace/base userspace/profile
includes_report := userspace/base userspace/profile userspace/report
includes_collect := userspace/base userspace/reader userspace/profile userspace/collect $(INC)/facts $(INC)/rows \
	$(INC)/walk $(O)/skeleton
includes_commands := userspace/base userspace/reader userspace/profile userspace/report userspace/collect \
	userspace/commands $(INC)/facts $(INC)/rows
FOLDERS := base profile report reader collect commands

SHARED_HEADERS := $(INC)/rows/rows.h $(INC)/facts/facts.h $(INC)/walk/sample.h \
	$(addprefix $(INC)/walk/,walk.h walk_rule.h walk_guess.h walk_state.h stacks.h)
$(INC)/rows/rows.h: bpf/rows.h
$(INC)/facts/facts.h: symbolize/facts.h
$(INC)/walk/sample.h: bpf/sample.h
$(INC)/walk/walk.h: bpf/walk.h
$(INC)/walk/walk_rule.h: bpf/walk_rule.h
$(INC)/walk/walk_guess.h: bpf/walk_guess.h
$(INC)/walk/walk_state.h: bpf/walk_state.h
$(INC)/walk/stacks.h: bpf/stacks.h
$(SHARED_HEADERS):
	$(Q)mkdir -p $(@D) && ln -sf $(abspath $<) $@

# --- BPF: C -> objects -> one linked object -> skeleton -------------------------------------------------------------

# The object that defines the shared maps goes first: libbpf 1.1's linker gives later references wrong offsets otherwise.
BPF_OBJECTS := $(patsubst bpf/%.c,$(O)/bpf/%.o,bpf/process.bpf.c $(filter-out bpf/process.bpf.c,$(wildcard bpf/*.bpf.c)))
SKELETON := $(O)/skeleton/recorder.skel.h

$(O)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call say,BPF)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/bpf/recorder.o: $(BPF_OBJECTS)
	$(call say,LINK)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKELETON): $(O)/bpf/recorder.o
	$(call say,SKEL)
	$(Q)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name recorder_bpf > $@.tmp && mv $@.tmp $@

# --- C --------------------------------------------------------------------------------------------------------------

symbolize_OBJECTS := $(patsubst %.c,$(O)/%.o,$(wildcard symbolize/*.c))
define folder_rules
$(1)_OBJECTS := $$(patsubst %.c,$$(O)/%.o,$$(wildcard userspace/$(1)/*.c))
$$($(1)_OBJECTS): $$(O)/userspace/$(1)/%.o: userspace/$(1)/%.c Makefile | $$(SHARED_HEADERS)
	$$(call say,CC)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(BASE_CFLAGS) $$(CFLAGS) $$(addprefix -iquote ,$$(includes_$(1))) -MMD -MP -c $$< -o $$@
endef
$(foreach folder,$(FOLDERS),$(eval $(call folder_rules,$(folder))))
$(collect_OBJECTS): | $(SKELETON)

$(symbolize_OBJECTS): $(O)/symbolize/%.o: symbolize/%.c Makefile | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(addprefix -iquote ,$(includes_symbolize)) -MMD -MP -c $< -o $@

$(O)/userspace/main.o: userspace/main.c Makefile | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(addprefix -iquote ,$(includes_commands)) -MMD -MP -c $< -o $@

# Everything but main, as one archive: the program and the tests link the same objects.
LIBRARY_OBJECTS := $(symbolize_OBJECTS) $(foreach folder,$(FOLDERS),$($(folder)_OBJECTS))
$(O)/libebprof.a: $(LIBRARY_OBJECTS)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/ebprof: $(O)/userspace/main.o $(O)/libebprof.a
	$(call say,LINK)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# The name that the README uses, in the top folder.
ebprof: $(O)/ebprof
	$(Q)ln -sf $(O)/ebprof $@

include tests/tests.mk

# --- everything else ------------------------------------------------------------------------------------------------

MAN := $(O)/ebprof.1
COMPLETION := $(O)/ebprof.bash
$(MAN): $(O)/ebprof
	$(Q)$(O)/ebprof help --man > $@
$(COMPLETION): $(O)/ebprof
	$(Q)$(O)/ebprof help --completion > $@

install: all $(MAN) $(COMPLETION)
	$(Q)install -D -m 755 $(O)/ebprof $(DESTDIR)$(PREFIX)/bin/ebprof
	$(Q)install -D -m 644 $(MAN) $(DESTDIR)$(PREFIX)/share/man/man1/ebprof.1
	$(Q)install -D -m 644 $(COMPLETION) $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ebprof

format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h' '*.cc' | grep -v tests/workloads)

clean:
	$(Q)rm -rf build build-san ebprof

help:
	@echo 'make            build ./ebprof (objects under $(O)/; V=1 shows commands, WERROR=1 as in CI, SAN=1 sanitizers)'
	@echo 'make check      all tests (root, for the system tests); check-unit, check-differential, check-system: a part'
	@echo 'make bench      the benchmarks, ratios against perf and others in the same run (long)'
	@echo 'make install    program, man page, bash completion (DESTDIR, PREFIX)'
	@echo 'make format     clang-format;   make clean'

-include $(shell find $(O) -name '*.d' 2>/dev/null)
.PHONY: all install format clean help
.DELETE_ON_ERROR:
.SECONDARY:
