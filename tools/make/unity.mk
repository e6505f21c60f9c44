# Unity builds: up to UNITY files of a folder are compiled as one, which halves their compile time (headers, and the templates that these
# instantiate, are paid once). So what stands in the anonymous namespaces of a joined folder has names that are unique there; an operator's or
# a command's file has a namespace of its own (limbeck::softmax_op), as they all have a `forward` or `Options`. `make UNITY=1` compiles every
# file alone. ALONE: the long ones, which are also those that one edits most.
UNITY  ?= 7
JOINED := tensor ops ops_cpu autograd nn nn/models data train gan kd kd/methods kd/data_free apps
ALONE  := $(HOT) data/hdf5.cpp ops/check.cpp $(addprefix ops_cpu/,batch_norm.cpp binary.cpp conv2d_%.cpp conv_geometry.cpp gemm.cpp reduce.cpp) apps/main.cpp

define newline


endef

# $(call group,NAME,FILES): one group.
define group
MEMBERS_$(1) := $(2)
GROUPS += $(BUILD)/obj/unity/$(1).cpp
$(foreach f,$(2),OBJECT_$(f) := $(BUILD)/obj/unity/$(1).o$(newline))
endef
# $(call split,NAME,x,FILES): the groups NAME1, NAME2, ... of at most UNITY files.
split = $(if $(3),$(eval $(call group,$(1)$(words $(2)),$(wordlist 1,$(UNITY),$(3))))$(call split,$(1),$(2) x,$(wordlist $(words x $(wordlist 1,$(UNITY),$(3))),$(words $(3)),$(3))))

# Files of a folder that are compiled at the same level belong together, and so do those with JSON, whose header costs half a second.
JSON     := $(shell grep -rlE --include='*.cpp' 'nlohmann/json.hpp|apps/op_json.h' $(JOINED))
joinable  = $(filter-out $(ALONE),$(wildcard $(1)/*.cpp))
by_level  = $(call split,$(1)-light-,x,$(filter $(LIGHT),$(2)))$(call split,$(1)-,x,$(filter-out $(LIGHT),$(2)))
by_json   = $(call by_level,$(1)-json,$(filter $(JSON),$(2)))$(call by_level,$(1),$(filter-out $(JSON),$(2)))
$(foreach d,$(JOINED),$(call by_json,$(subst /,-,$(d)),$(call joinable,$(d))))

joined_obj = $(sort $(foreach f,$(1),$(or $(OBJECT_$(f)),$(call obj,$(f)))))

# Rewritten only when the members change.
$(GROUPS): $(BUILD)/obj/unity/%.cpp: FORCE
	@mkdir -p $(@D) && printf '#include "%s"\n' $(MEMBERS_$*) > $@.new && if cmp -s $@ $@.new; then rm $@.new; else mv $@.new $@; fi
FORCE:
.PHONY: FORCE
