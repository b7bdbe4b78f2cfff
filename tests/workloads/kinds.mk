# SPDX-License-Identifier: Apache-2.0
# Workloads for kinds of processes and files (tests/system/kinds_*_test.py). Included by tests.mk, whose variables it
# uses; what needs a package that not everybody has is built where it is there.

KINDS := $(addprefix $(W)/,kind_stacks kind_memfd)
$(KINDS): $(W)/%: tests/workloads/%.c tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) $< -o $@ -lpthread -ldl

# Symmetric transfer is a tail call.
$(W)/kind_coroutines: tests/workloads/kind_coroutines.cc tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CXX)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++20 $(filter-out -std=gnu11 -D_GNU_SOURCE,$(WORKLOAD_CFLAGS)) \
		-foptimize-sibling-calls $< -o $@
KINDS += $(W)/kind_coroutines

# Its code is replaced by a library's.
$(W)/libkind_remap.so: tests/workloads/kind_remap.c tests/workloads/kind_remap.h tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -fPIC -shared $< -o $@
$(W)/kind_text: tests/workloads/kind_text.c tests/workloads/kind_remap.h tests/workloads/work.h $(W)/libkind_remap.so
	$(call say,CC)
	$(Q)$(CC) $(WORKLOAD_CFLAGS) -no-pie -fno-pie -Wl,--no-warn-rwx-segments -Wl,--section-start=far_text=0x70000000 $< -o $@ -L$(W) \
		-lkind_remap -Wl,-rpath,'$$ORIGIN'
KINDS += $(W)/kind_text

# The program of known shares, made by other linkers, libraries and options than usual.
LLD := $(shell command -v ld.lld)
GOLD := $(shell command -v ld.gold)
build_noseparate-code := -Wl,-z,noseparate-code
build_large-pages := -Wl,-z,max-page-size=0x200000
build_odd-base := -no-pie -fno-pie -Wl,-Ttext-segment=0x10000000
build_executable-stack := -Wl,-z,execstack
build_bind-now := -Wl,-z,now,-z,relro
build_lazy := -Wl,-z,lazy
build_packed-relocations := -Wl,-z,pack-relative-relocs
build_large-model := -no-pie -fno-pie -mcmodel=large
BUILDS := noseparate-code large-pages odd-base executable-stack bind-now lazy packed-relocations large-model
ifneq ($(GOLD),)
BUILDS += gold
build_gold := -fuse-ld=gold
endif
ifneq ($(LLD),)
BUILDS += lld lld-no-rosegment
build_lld := -fuse-ld=lld -Wl,--rosegment
build_lld-no-rosegment := -fuse-ld=lld -Wl,--no-rosegment
endif
KIND_BUILDS := $(BUILDS:%=$(W)/build-%)
$(KIND_BUILDS): $(W)/build-%: tests/workloads/shares.c tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) $(build_$*) $< -o $@
ifneq ($(MUSL_CC),)
KIND_BUILDS += $(W)/build-musl $(W)/build-musl-static
build_musl-static := -static
$(W)/build-musl $(W)/build-musl-static: $(W)/build-%: tests/workloads/shares.c tests/workloads/work.h \
		tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(MUSL_CC) $(WORKLOAD_CFLAGS) $(build_$*) $< -o $@
endif
KINDS += $(KIND_BUILDS)

# 32 bits, where there is a libc for them; and the same for 64.
HAS_LIBC32 := $(shell echo 'int main(void) { return 0; }' | $(CC) -m32 -x c - -o /dev/null 2>/dev/null && echo yes)
BITS := $(W)/kind_bits64 $(if $(HAS_LIBC32),$(W)/kind_bits32 $(W)/kind_bits32-static)
bits_64 := -m64
bits_32 := -m32
bits_32-static := -m32 -static
$(BITS): $(W)/kind_bits%: tests/workloads/kind_bits32.c tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -fno-omit-frame-pointer $(bits_$*) $< -o $@
KINDS += $(BITS)

# Very much code: copies of one object, 51 MB for the tests and 537 MB for the bench.
huge_functions := 12500
huge_copies := 8
huge-500m_functions := 131072
huge-500m_copies := 8
$(W)/kind_huge $(W)/kind_huge-500m: $(W)/kind_%: tests/workloads/kind_huge.c tests/workloads/kind_huge.S \
		tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) -c -DFUNCTIONS=$($*_functions) tests/workloads/kind_huge.S -o $@.1.o
	$(Q)for i in $$(seq 2 $($*_copies)); do ln -f $@.1.o $@.$$i.o; done
	$(Q)$(CC) $(WORKLOAD_CFLAGS) -no-pie -fno-pie -Wl,--build-id=none $< \
		$(patsubst %,$@.%.o,$(shell seq $($*_copies))) -o $@; \
		status=$$?; rm -f $@.*.o; exit $$status
KINDS += $(W)/kind_huge
bench: $(W)/kind_huge-500m

workloads: $(KINDS)
