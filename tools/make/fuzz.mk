# make fuzz: the readers of tests/fuzz under libFuzzer, AddressSanitizer and UBSan, TIME seconds each (clang; docs/reliability.md).
#   make fuzz TIME=300                         all of them
#   make fuzz TIME=3600 TARGETS="npy idx"      these
#   make fuzz-memory                           what the fuzzer has collected, under MemorySanitizer
# `make test` fuzzes a few seconds where clang is. The folders with readers are compiled for it and linked with the plain objects of the rest: operators,
# networks, methods.
FUZZ_CXX  ?= $(firstword $(shell command -v clang++ clang++-19 clang++-16 clang++-14 2>/dev/null))
TIME      ?= 30
TARGETS   ?=
FUZZ_DIR  := $(BUILD)/fuzz
FUZZ_SRC  := $(wildcard tests/fuzz/*targets.cpp) tests/fuzz/target.cpp tests/fuzz/driver.cpp
PLAIN_SRC := $(filter ops/% ops_cpu/% autograd/% train/% nn/models/% kd/methods/%,$(LIBRARY_SRC))
PLAIN_OBJ := $(call joined_obj,$(PLAIN_SRC)) $(SIMD_OBJ)

ifneq ($(filter test,$(MAKECMDGOALS)),)
ifeq ($(CUDA)$(SANITIZE),0)
FUZZES := $(if $(FUZZ_CXX),$(shell printf '\043include <omp.h>\nextern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' | \
  $(FUZZ_CXX) -fopenmp -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null && echo yes))
test: $(if $(FUZZES),fuzz-program)
endif
endif

# $(call fuzzer,FOLDER,SANITIZERS)
fuzzer = $(MAKE) CXX=$(FUZZ_CXX) BUILD=$(FUZZ_DIR)/$(1) OPT=-O1 FUZZ_SANITIZE=$(2) PLAIN_OBJ="$(PLAIN_OBJ)" $(FUZZ_DIR)/$(1)/limbeck_fuzz

.PHONY: fuzz fuzz-memory fuzz-program
fuzz: fuzz-program
	tools/fuzz.sh $(FUZZ_DIR)/address/limbeck_fuzz $(TIME) $(FUZZ_DIR)/corpus $(TARGETS)
fuzz-program: $(PLAIN_OBJ)
	+@$(if $(FUZZ_CXX),,$(error make fuzz needs clang with libFuzzer))$(call fuzzer,address,address$(comma)undefined)
fuzz-memory: $(PLAIN_OBJ)
	+@$(if $(FUZZ_CXX),,$(error make fuzz-memory needs clang with libFuzzer))$(call fuzzer,memory,memory)
	tools/fuzz.sh $(FUZZ_DIR)/memory/limbeck_fuzz 0 $(FUZZ_DIR)/corpus $(TARGETS)

comma := ,
ifdef FUZZ_SANITIZE
# ccache takes a precompiled header of clang's only without its time.
CXXFLAGS += -g1 -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) -fno-sanitize-recover=all -Xclang -fno-pch-timestamp
# libstdc++ is not compiled for MemorySanitizer: objects on the stack that it writes would count as unwritten.
ifeq ($(FUZZ_SANITIZE),memory)
CXXFLAGS += -mllvm -msan-poison-stack=0
endif
LDFLAGS  += -fsanitize=fuzzer,$(FUZZ_SANITIZE)
$(BUILD)/limbeck_fuzz: $(call joined_obj,$(filter-out $(PLAIN_SRC),$(LIBRARY_SRC))) $(APP_LIB_OBJ) $(call obj,$(FUZZ_SRC)) $(PLAIN_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)
endif
