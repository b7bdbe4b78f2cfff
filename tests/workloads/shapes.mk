# SPDX-License-Identifier: Apache-2.0
# Workloads of odd code shapes (tests/system/shapes_*_test.py): what a file is made of is here, what it does is in its
# source. Included by tests.mk, whose variables it uses.

MUSL_CC := $(shell command -v musl-gcc)
SHAPES := $(addprefix $(W)/,shape_signals shape_signals-static)
ifneq ($(MUSL_CC),)
SHAPES += $(W)/shape_signals-musl
endif

shape_signals-static := -static
define shape_rule
$(W)/$(1): tests/workloads/$(2) tests/workloads/work.h tests/workloads/shapes.mk
	$$(call say,$(3))
	$$(Q)mkdir -p $$(@D) && $(4) $$(WORKLOAD_CFLAGS) $(5) $$< -o $$@ $(6)
endef
$(eval $(call shape_rule,shape_signals,shape_signals.c,CC,$$(CC)))
$(eval $(call shape_rule,shape_signals-static,shape_signals.c,CC,$$(CC),-static))
$(eval $(call shape_rule,shape_signals-musl,shape_signals.c,CC,$$(MUSL_CC),-static))

workloads: $(SHAPES)
