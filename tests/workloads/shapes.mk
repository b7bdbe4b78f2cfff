# SPDX-License-Identifier: Apache-2.0
# Workloads of odd code shapes (tests/system/shapes_*_test.py): what a file is made of is here, what it does is in its
# source. Included by tests.mk, whose variables it uses.

MUSL_CC := $(shell command -v musl-gcc)
SHAPES := $(addprefix $(W)/,shape_signals shape_signals-static)
ifneq ($(MUSL_CC),)
SHAPES += $(W)/shape_signals-musl
endif

define shape_rule
$(W)/$(1): tests/workloads/$(2) tests/workloads/work.h tests/workloads/shapes.mk
	$$(call say,$(3))
	$$(Q)mkdir -p $$(@D) && $(4) $$(WORKLOAD_CFLAGS) $(5) $$< -o $$@ $(6)
endef
# Calls of string functions stay calls.
$(eval $(call shape_rule,shape_assembly,shape_assembly.c,CC,$$(CC) -fno-builtin))
SHAPES += $(W)/shape_assembly
$(eval $(call shape_rule,shape_signals,shape_signals.c,CC,$$(CC)))
$(eval $(call shape_rule,shape_signals-static,shape_signals.c,CC,$$(CC),-static))
$(eval $(call shape_rule,shape_signals-musl,shape_signals.c,CC,$$(MUSL_CC),-static))

# --- frames -----------------------------------------------------------------------------------------------------------

frames_gcc := $$(CC)
frames_gcc-O0 := $$(CC) -O0
# Not -funroll-loops: it renames registers, and then gcc says r10 in realigned frames' epilogues where it pops another.
frames_gcc-O3 := $$(CC) -O3
frames_gcc-Os := $$(CC) -Os
frames_gcc-realign := $$(CC) -mstackrealign
frames_gcc-clash := $$(CC) -fstack-clash-protection
frames_gcc-boundary := $$(CC) -mpreferred-stack-boundary=6
frames_gcc-fp := $$(CC) -fno-omit-frame-pointer
frames_gcc-hardened := $$(CC) -fstack-protector-all -fcf-protection=full -fpatchable-function-entry=16,8
frames_gcc-thunks := $$(CC) -mindirect-branch=thunk -mfunction-return=thunk -fcf-protection=none
frames_clang := $$(CLANG)
frames_clang-O0 := $$(CLANG) -O0
frames_clang-Oz := $$(CLANG) -Oz -mllvm -enable-machine-outliner=always
frames_clang-clash := $$(CLANG) -fstack-clash-protection
frames_clang-realign := $$(CLANG) -mstackrealign
FRAMES := gcc gcc-O0 gcc-O3 gcc-Os gcc-realign gcc-clash gcc-boundary gcc-fp gcc-hardened gcc-thunks clang clang-O0 \
	clang-Oz clang-clash clang-realign
# The compiler's own -O comes last, or WORKLOAD_CFLAGS would win.
define frames_rule
SHAPES += $(W)/shape_frames-$(1)
$(W)/shape_frames-$(1): tests/workloads/shape_frames.c tests/workloads/work.h tests/workloads/shapes.mk
	$$(call say,CC)
	$$(Q)mkdir -p $$(@D) && $$(firstword $(frames_$(1))) $$(WORKLOAD_CFLAGS) \
		$$(wordlist 2,9,$(frames_$(1))) $$< -o $$@ -lpthread
endef
$(foreach variant,$(FRAMES),$(eval $(call frames_rule,$(variant))))

# --- calls ------------------------------------------------------------------------------------------------------------

define calls_rule
SHAPES += $(W)/shape_calls-$(1)
$(W)/shape_calls-$(1): tests/workloads/shape_calls.c tests/workloads/work.h tests/workloads/shapes.mk
	$$(call say,CC)
	$$(Q)mkdir -p $$(@D) && $$(firstword $(frames_$(1))) $$(WORKLOAD_CFLAGS) \
		$$(wordlist 2,9,$(frames_$(1))) $$< -o $$@ -lpthread
endef
$(foreach variant,gcc gcc-O3 gcc-Os gcc-hardened gcc-thunks clang clang-Oz,$(eval $(call calls_rule,$(variant))))

throws_gcc = $(CXX)
throws_clang = $(patsubst %clang,%clang++,$(CLANG))
THROWS := $(W)/shape_throws-gcc $(W)/shape_throws-clang
SHAPES += $(THROWS)
$(THROWS): $(W)/shape_throws-%: tests/workloads/shape_throws.cc tests/workloads/work.h tests/workloads/shapes.mk
	$(call say,CXX)
	$(Q)mkdir -p $(@D) && $(throws_$*) $(filter-out -std=gnu11 -D_GNU_SOURCE,$(WORKLOAD_CFLAGS)) -D_GNU_SOURCE $< -o $@ \
		-lpthread

# --- stubs and the dynamic linker --------------------------------------------------------------------------------------

SHAPE_LIBRARIES := $(addprefix $(W)/libshape_,stubs.so lazy.so resolve.so)
library_stubs := -DSTUBS
library_lazy := -DLAZY -O1 -Wl,-z,lazy
library_resolve := -DRESOLVE -Wl,-z,lazy -fvisibility=default
$(SHAPE_LIBRARIES): $(W)/libshape_%.so: tests/workloads/shape_library.c tests/workloads/work.h tests/workloads/shapes.mk
	$(call say,CC)
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -fPIC -shared $(library_$*) $< -o $@

plt_lazy := $$(CC) -fcf-protection=none -Wl,-z,lazy
plt_now := $$(CC) -fcf-protection=none -Wl,-z,now
plt_ibt := $$(CC) -fcf-protection=full -Wl,-z,lazy -Wl,-z,ibtplt
plt_ibt-now := $$(CC) -fcf-protection=full -Wl,-z,now -Wl,-z,ibtplt
plt_no-plt := $$(CC) -fno-plt
plt_static-now := $$(CC) -no-pie -fno-pie -Wl,-z,now
plt_clang-lazy := $$(CLANG) -Wl,-z,lazy
PLTS := lazy now ibt ibt-now no-plt static-now clang-lazy
define plt_rule
SHAPES += $(W)/shape_plt-$(1)
$(W)/shape_plt-$(1): tests/workloads/shape_plt.c $(SHAPE_LIBRARIES)
	$$(call say,CC)
	$$(Q)$$(firstword $(plt_$(1))) $$(WORKLOAD_CFLAGS) $$(wordlist 2,9,$(plt_$(1))) $$< -o $$@ \
		-L$(W) -lshape_stubs -Wl,-rpath,'$$$$ORIGIN' -lpthread -ldl
endef
$(foreach variant,$(PLTS),$(eval $(call plt_rule,$(variant))))

# Fifty libraries that do nothing, and a program that has them all.
MEMBERS := $(foreach tens,1 2 3 4 5,$(foreach ones,0 1 2 3 4 5 6 7 8 9,$(tens)$(ones)))
MEMBER_LIBRARIES := $(MEMBERS:%=$(W)/libshape_member_%.so)
$(MEMBER_LIBRARIES): $(W)/libshape_member_%.so: tests/workloads/shape_library.c tests/workloads/shapes.mk
	$(Q)mkdir -p $(@D) && $(CC) $(WORKLOAD_CFLAGS) -fPIC -shared -DMEMBER=$* $< -o $@
SHAPES += $(W)/shape_libraries
$(W)/shape_libraries: tests/workloads/shape_library.c $(MEMBER_LIBRARIES)
	$(call say,CC)
	$(Q)$(CC) $(WORKLOAD_CFLAGS) -DPROGRAM $< -o $@ -L$(W) -Wl,--no-as-needed $(MEMBERS:%=-lshape_member_%) \
		-Wl,-rpath,'$$ORIGIN'

workloads: $(SHAPES)
