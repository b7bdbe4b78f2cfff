# SPDX-License-Identifier: Apache-2.0
# Workloads for kinds of processes and files (tests/system/kinds_*_test.py). Included by tests.mk, whose variables it
# uses; what needs a package that not everybody has is built where it is there.

KINDS := $(addprefix $(W)/,kind_stacks)
$(KINDS): $(W)/%: tests/workloads/%.c tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) $< -o $@ -lpthread -ldl

# Symmetric transfer is a tail call.
$(W)/kind_coroutines: tests/workloads/kind_coroutines.cc tests/workloads/work.h tests/workloads/kinds.mk
	$(call say,CXX)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++20 $(filter-out -std=gnu11 -D_GNU_SOURCE,$(WORKLOAD_CFLAGS)) \
		-foptimize-sibling-calls $< -o $@
KINDS += $(W)/kind_coroutines

workloads: $(KINDS)
