# make fuzz: the readers of tests/fuzz under libFuzzer, AddressSanitizer and UBSan, TIME seconds each (clang; docs/reliability.md).
#   make fuzz TIME=300                         all of them
#   make fuzz TIME=3600 TARGETS="npy idx"      these
#   make fuzz-coverage                         which parts of the readers the collected inputs reach
#   make fuzz-memory                           what the fuzzer has collected, under MemorySanitizer
# `make test` fuzzes a few seconds where clang is. The folders with readers are compiled for it and linked with the plain objects of the rest.
FUZZ_CXX  ?= $(firstword $(shell command -v clang++ clang++-19 clang++-16 clang++-14 2>/dev/null))
TIME      ?= 30
TARGETS   ?=
FUZZ_DIR  := $(BUILD)/fuzz
FUZZ_SRC  := $(wildcard tests/fuzz/*targets.cpp) tests/fuzz/target.cpp tests/fuzz/driver.cpp
FUZZ_ALL  := $(LIBRARY_SRC) $(filter-out %/main.cpp,$(APP_SRC))
READERS_address := $(filter tensor/% data/% nn/% gan/% kd/% apps/%,$(filter-out nn/models/% kd/methods/%,$(FUZZ_ALL)))
READERS_memory  := $(filter tensor/% data/%,$(FUZZ_ALL))
plain_of         = $(call joined_obj,$(filter-out $(READERS_$(1)),$(FUZZ_ALL))) $(SIMD_OBJ)

ifneq ($(filter test,$(MAKECMDGOALS)),)
ifeq ($(CUDA)$(SANITIZE),0)
FUZZES := $(if $(FUZZ_CXX),$(shell printf '\043include <omp.h>\nextern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' | \
  $(FUZZ_CXX) -fopenmp -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null && echo yes))
test: $(if $(FUZZES),fuzz-program)
endif
endif

# $(call fuzzer,address or memory)
fuzzer = $(if $(FUZZ_CXX),,$(error the fuzzer needs clang))$(MAKE) CXX=$(FUZZ_CXX) BUILD=$(FUZZ_DIR)/$(1) OPT=-O1 FUZZ=$(1) PLAIN_OBJ="$(call plain_of,$(1))" $(FUZZ_DIR)/$(1)/limbeck_fuzz

.PHONY: fuzz fuzz-coverage fuzz-memory fuzz-program
fuzz: fuzz-program
	tools/fuzz.sh $(FUZZ_DIR)/address/limbeck_fuzz $(TIME) $(FUZZ_DIR)/corpus $(TARGETS)
fuzz-coverage: fuzz-program
	tools/fuzz_coverage.sh $(FUZZ_DIR)/address/limbeck_fuzz $(FUZZ_DIR)/corpus
fuzz-program: $(call plain_of,address)
	+@$(call fuzzer,address)
fuzz-memory: $(call plain_of,memory)
	+@$(call fuzzer,memory)
	tools/fuzz.sh $(FUZZ_DIR)/memory/limbeck_fuzz 0 $(FUZZ_DIR)/corpus $(TARGETS)

ifdef FUZZ
FUZZ_FLAGS_address := address,undefined -fno-sanitize-recover=all
# libstdc++ and the plain objects are not compiled for MemorySanitizer: objects on the stack that they write would count as unwritten, and so
# would what they pass to functions.
FUZZ_FLAGS_memory  := memory -mllvm -msan-poison-stack=0 -fsanitize-memory-param-retval
# ccache takes a precompiled header of clang's only without its time.
CXXFLAGS += -g1 -fsanitize=fuzzer-no-link,$(FUZZ_FLAGS_$(FUZZ)) -Xclang -fno-pch-timestamp
LDFLAGS  += -fsanitize=fuzzer,$(firstword $(FUZZ_FLAGS_$(FUZZ)))
$(BUILD)/limbeck_fuzz: $(call joined_obj,$(READERS_$(FUZZ))) $(call obj,$(FUZZ_SRC)) $(PLAIN_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)
endif
