# SPDX-License-Identifier: Apache-2.0
# Tests. Unit tests link the program's own objects; pytest (Debian's) runs everything and prints the totals.
#
#   check              all of it; needs root for the system tests (they are skipped without)
#   check-unit         unit tests, in the normal and in the sanitizer build
#   check-differential names, unwind rows and the like against other tools
#   check-system       workloads of known shape, recorded for real
#   check-kernels      other kernels in virtual machines, a table of what works; long
#   fuzz-check         fuzzers, for a short while each; fuzz: for long
#   bench              tables of figures, as ratios within one run; long
#
# PYTEST_ARGS='-k threads -x' goes to pytest.

CMOCKA := $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null)
TEST_CFLAGS := $(addprefix -iquote ,userspace/base userspace/profile userspace/report userspace/reader userspace/collect \
	userspace/commands symbolize $(INC)/rows $(INC)/facts $(INC)/walk tests/unit)

UNIT_SOURCES := $(wildcard tests/unit/*_test.c)
UNIT_TESTS := $(UNIT_SOURCES:%.c=$(O)/%)
$(UNIT_TESTS): $(O)/%: %.c $(O)/libebprof.a | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(TEST_CFLAGS) -MMD -MP $< $(O)/libebprof.a $(LIBS) \
		$(CMOCKA) -o $@
unit-tests: $(UNIT_TESTS)

# Programs that other tests ask: a file each, beside what asks it.
TEST_PROGRAMS := $(O)/tests/golden/write_sample_profile $(O)/tests/golden/write_recorded \
	$(O)/tests/differential/names/dump_names $(O)/tests/differential/readers/compare_modes
$(TEST_PROGRAMS): $(O)/%: %.c $(O)/libebprof.a | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(TEST_CFLAGS) -MMD -MP $< $(O)/libebprof.a $(LIBS) -o $@

# Asks libdwfl about the registers and stacks that --capture-stacks wrote.
REPLAY := $(O)/tests/replay/replay
$(REPLAY): $(wildcard tests/replay/*.c tests/replay/*.h) $(O)/libebprof.a | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(TEST_CFLAGS) -Itests/replay $(filter %.c,$^) \
		$(O)/libebprof.a $(LIBS) -o $@
test-programs: $(TEST_PROGRAMS) $(REPLAY)

# The sanitizer build has a folder of its own. An O from the command line reaches a sub-make too: name it there.
SAN_O := $(if $(SAN),$(O),$(O)-san)
sanitizer-tests:
	$(Q)$(MAKE) --no-print-directory SAN=1 O=$(SAN_O) unit-tests

# What an include of a folder can see, for the test that proves the boundaries.
print-includes-%:
	@echo $(addprefix -iquote ,$(includes_$*))
print-folders:
	@echo symbolize $(FOLDERS)

# --- workloads ------------------------------------------------------------------------------------------------------
# Programs of known shape: optimised, with debug information, without frame pointers, and calls that stay calls.

W := $(O)/tests/workloads
WORKLOAD_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fomit-frame-pointer -fno-optimize-sibling-calls
WORKLOADS := $(addprefix $(W)/,shares recurse depth threads forks family dlopens signals kernel clocks exits sleeper \
	hung daemonish stubborn inlined jit odd storm paths libraries demo prober churn)
WORKLOADS += $(W)/hostile
OBJCOPY ?= objcopy
STRIP ?= strip

$(WORKLOADS): $(W)/%: tests/workloads/%.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) $(WORKLOAD_EXTRA) $< -o $@ -lpthread -ldl
# Room for work on the stack that "odd" needs to be readable, without a probe in the way.
$(W)/odd: WORKLOAD_EXTRA := -fno-stack-protector

EXECS := $(W)/exec_1 $(W)/exec_2 $(W)/exec_3
$(EXECS): $(W)/exec_%: tests/workloads/execs.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -DSTAGE=$* $< -o $@

CHURNED := $(foreach number,1 2 3 4 5 6,$(W)/churned_$(number))
$(CHURNED): $(W)/churned_%: tests/workloads/churned.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -DNUMBER=$* $< -o $@ -lpthread

TWINS := $(W)/twin_1 $(W)/twin_2
$(TWINS): $(W)/twin_%: tests/workloads/twins.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -fno-stack-protector -fcf-protection=none -static -no-pie \
		-DSTAGE=$* $< -o $@

PLUGINS := $(W)/libfirst_plugin.so $(W)/libsecond_plugin.so
$(PLUGINS): $(W)/lib%.so: tests/workloads/plugin.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -fPIC -shared -DFUNCTION=$*_work $< -o $@

$(W)/names: tests/workloads/names.cc tests/workloads/work.h tests/tests.mk
	$(call say,CXX)
	$(Q)mkdir -p $(@D) && $(CXX) $(filter-out -std=gnu11 -D_GNU_SOURCE,$(WORKLOAD_CFLAGS)) -D_GNU_SOURCE $< -o $@

$(O)/tests/replay/exceptions: tests/replay/exceptions.cc
	$(call say,CXX)
	$(Q)mkdir -p $(@D) && $(CXX) $(filter-out -std=gnu11 -D_GNU_SOURCE,$(WORKLOAD_CFLAGS)) -D_GNU_SOURCE $< -o $@ -lpthread

# Assembly without unwind information, called from C with and without it.
$(W)/uncovered: tests/workloads/uncovered.c tests/workloads/uncovered.S tests/workloads/uncovered_callers.c \
	tests/workloads/uncovered.h tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -DHOW=covered -c tests/workloads/uncovered_callers.c \
		-o $@-covered.o && \
		$(CC) $(WORKLOAD_CFLAGS) -DHOW=bare $(shares_no-unwind) -c tests/workloads/uncovered_callers.c \
		-o $@-bare.o && \
		$(CC) $(WORKLOAD_CFLAGS) tests/workloads/uncovered.c tests/workloads/uncovered.S $@-covered.o $@-bare.o \
		-o $@
$(W)/uncovered-stripped: $(W)/uncovered
	$(Q)$(STRIP) --strip-all $< -o $@

# A 32-bit process needs neither a 32-bit libc nor its headers.
$(W)/bits32: tests/workloads/bits32.c tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) -m32 -O2 -g -ffreestanding -fno-stack-protector -fno-pie -no-pie -static -nostdlib \
		$< -o $@

# The shares of one program, built in every way that changes what a profiler can find.
shares_static := -static
shares_static-pie := -static-pie
shares_no-pie := -no-pie -fno-pie
shares_debug-frame := -fno-asynchronous-unwind-tables -fno-unwind-tables
shares_no-unwind := $(shares_debug-frame) -g0
shares_dwarf4 := -gdwarf-4
shares_compressed := -gz=zlib
shares_optimised := -O3 -flto
SHARES := $(addprefix $(W)/shares-,static static-pie no-pie debug-frame no-unwind dwarf4 compressed optimised)
$(SHARES): $(W)/shares-%: tests/workloads/shares.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) $(shares_$*) $< -o $@
$(W)/shares-clang: tests/workloads/shares.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CLANG) $(WORKLOAD_CFLAGS) $< -o $@
# gcc leaves the frame pointer out of leaf functions whatever it is told.
$(W)/shares-frame-pointer: tests/workloads/shares.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CLANG) $(WORKLOAD_CFLAGS) $(shares_debug-frame) -fno-omit-frame-pointer \
		-mno-omit-leaf-frame-pointer -g0 $< -o $@
DEPTHS := $(addprefix $(W)/depth-,frame-pointer spread spread-frame-pointer)
depth_frame-pointer := -fno-omit-frame-pointer
depth_spread := -DSPREAD=4096
depth_spread-frame-pointer := -fno-omit-frame-pointer -DSPREAD=4096
$(DEPTHS): $(W)/depth-%: tests/workloads/depth.c tests/workloads/work.h tests/tests.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) $(depth_$*) $< -o $@

$(W)/shares-stripped: $(W)/shares
	$(Q)$(STRIP) --strip-all $< -o $@
# Stripped, the rest in a file beside it that .gnu_debuglink names ...
$(W)/shares-debuglink: $(W)/shares
	$(Q)$(OBJCOPY) --only-keep-debug $< $@.debug && $(STRIP) --strip-all $< -o $@ && \
		$(OBJCOPY) --add-gnu-debuglink=$@.debug $@
# ... or only its symbols, compressed, inside the file.
$(W)/shares-minidebug: $(W)/shares
	$(Q)$(OBJCOPY) --only-keep-debug --strip-debug $< $@.symbols && xz -f $@.symbols && \
		$(STRIP) --strip-all $< -o $@ && $(OBJCOPY) --add-section .gnu_debugdata=$@.symbols.xz $@
# Without section headers: e_shoff (at 40), e_shnum and e_shstrndx (at 60 and 62) are 0.
$(W)/shares-no-sections: $(W)/shares-stripped
	$(Q)cp $< $@ && dd if=/dev/zero of=$@ bs=1 seek=40 count=8 conv=notrunc status=none && \
		dd if=/dev/zero of=$@ bs=1 seek=60 count=4 conv=notrunc status=none

workloads: $(WORKLOADS) $(EXECS) $(TWINS) $(CHURNED) $(PLUGINS) $(SHARES) $(DEPTHS) \
	$(addprefix $(W)/,names bits32 uncovered uncovered-stripped) \
	$(addprefix $(W)/shares-,clang frame-pointer stripped debuglink minidebug no-sections)

include $(addprefix tests/workloads/,shapes.mk languages.mk kinds.mk)

# --- running --------------------------------------------------------------------------------------------------------

PYTEST = EBPROF_BUILD=$(abspath $(O)) EBPROF_SAN_BUILD=$(abspath $(SAN_O)) PYTHONDONTWRITEBYTECODE=1 MAKEFLAGS= \
	$(PYTHON) -m pytest -c tests/pytest.ini --rootdir=. $(PYTEST_ARGS)
check-unit: unit-tests sanitizer-tests
	$(Q)$(PYTEST) tests/unit
check-differential: $(O)/ebprof test-programs workloads
	$(Q)$(PYTEST) tests/differential tests/golden
check-system: $(O)/ebprof workloads compilers
	$(Q)$(PYTEST) tests/system
check: $(O)/ebprof unit-tests sanitizer-tests test-programs workloads compilers fuzzers
	$(Q)$(PYTEST) tests

# The BPF programs by each compiler that is installed: whether the verifier can follow them depends on what it makes of them.
COMPILED := $(patsubst %,$(O)/compilers/%/bpf/recorder.o,$(notdir $(wildcard /usr/bin/clang-[1-9][0-9])))
$(COMPILED): $(O)/compilers/%/bpf/recorder.o: $(wildcard bpf/*) Makefile
	$(Q)$(MAKE) --no-print-directory O=$(O)/compilers/$* CLANG=$* $@
compilers: $(COMPILED)

# Other kernels than this machine's, in virtual machines; "make check" has one of them. KERNELS='6.1 newest' selects.
KERNELS ?=
check-kernels: $(O)/ebprof workloads compilers
	$(Q)EBPROF_BUILD=$(abspath $(O)) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/kernels/matrix.py $(KERNELS)

include tests/fuzz/fuzz.mk

# --- benchmarks -----------------------------------------------------------------------------------------------------

B := $(O)/tests/bench
$(B)/get_stack.bpf.o: tests/bench/get_stack.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c $< -o $@
$(B)/get_stack.skel.h: $(B)/get_stack.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name get_stack_bpf > $@.tmp && mv $@.tmp $@
$(B)/get_stack: tests/bench/get_stack.c $(B)/get_stack.skel.h
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -I$(B) $< $(LIBS) -o $@

$(B)/compile_tables: tests/bench/compile_tables.c $(O)/libebprof.a | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(TEST_CFLAGS) $< $(O)/libebprof.a $(LIBS) -o $@

BENCHES := stacks totals startup tables cost
bench: $(O)/ebprof workloads test-programs $(O)/tests/replay/exceptions $(B)/get_stack $(B)/compile_tables
	$(Q)for bench in $(BENCHES); do EBPROF_BUILD=$(abspath $(O)) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) tests/bench/$$bench.py || exit 1; done

.PHONY: unit-tests test-programs sanitizer-tests workloads check check-unit check-differential check-system check-kernels compilers bench print-folders
