# SPDX-License-Identifier: Apache-2.0
# Fuzzers: libFuzzer with address and undefined-behaviour sanitizers, and with the counts of which lines were reached.
#
#   fuzz          long: FUZZ_RUNS (10,000,000) inputs to each of FUZZ_TARGETS, or FUZZ_SECONDS each
#   fuzz-check    FUZZ_CHECK_SECONDS (20) each, with what must hold afterwards; part of make check
#
# Everything that they link is compiled for them, in a folder of its own.

LLVM_VERSION ?= -14
F := $(O)/fuzz
FUZZ_TARGETS ?= rows frames maps sideband walk
FUZZ_RUNS ?= 10000000
FUZZ_SECONDS ?=
FUZZ_CHECK_SECONDS ?= 20
FUZZ_CFLAGS := $(filter-out -fsanitize% -fno-sanitize%,$(BASE_CFLAGS)) -O2 -g \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fprofile-instr-generate \
	-fcoverage-mapping $(TEST_CFLAGS) -iquote tests/fuzz
FUZZ_OBJECTS := $(patsubst %.c,$(F)/%.o,$(wildcard symbolize/*.c userspace/base/*.c) \
	$(addprefix userspace/collect/,maps.c mappings.c sideband_decode.c sideband_queue.c perf_ring.c perf_event.c))
FUZZERS := $(patsubst %,$(F)/fuzz_%,rows frames maps sideband walk)

$(F)/%.o: %.c Makefile tests/fuzz/fuzz.mk | $(SHARED_HEADERS)
	$(call say,FUZZCC)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@
$(F)/libebprof.a: $(FUZZ_OBJECTS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(FUZZERS): $(F)/%: $(F)/tests/fuzz/%.o $(F)/libebprof.a
	$(call say,FUZZ)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -fprofile-instr-generate $^ $(LIBS) -o $@
$(F)/write_records: tests/fuzz/write_records.c $(O)/libebprof.a | $(SHARED_HEADERS)
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(TEST_CFLAGS) -MMD -MP $< $(O)/libebprof.a $(LIBS) -o $@
$(F)/seeds/.made: tests/fuzz/make_seeds.py $(F)/write_records
	$(Q)rm -rf $(F)/seeds && $(PYTHON) $< $(F)/seeds $(F)/write_records && touch $@
fuzzers: $(FUZZERS) $(F)/seeds/.made

fuzz: fuzzers
	$(Q)$(PYTHON) tests/fuzz/run.py $(F) $(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS),--runs $(FUZZ_RUNS)) \
		--keep $(FUZZ_TARGETS)
fuzz-check: fuzzers
	$(Q)FUZZ_CHECK_SECONDS=$(FUZZ_CHECK_SECONDS) $(PYTEST) tests/fuzz

.PHONY: fuzzers fuzz fuzz-check
