# make fuzz: the readers of tests/fuzz under libFuzzer, AddressSanitizer and UBSan, TIME seconds each (clang; docs/reliability.md).
#   make fuzz TIME=300                         all of them
#   make fuzz TIME=3600 TARGETS="npy idx"      these
#   make fuzz-coverage                         which parts of the readers the collected inputs reach
# `make test` fuzzes a few seconds where clang is. The folders with readers are compiled for it and linked with the plain objects of the rest.
FUZZ_CXX  ?= $(firstword $(shell command -v clang++ clang++-19 clang++-16 clang++-14 2>/dev/null))
TIME      ?= 30
TARGETS   ?=
FUZZ_DIR  := $(BUILD)/fuzz
FUZZ_SRC  := $(wildcard tests/fuzz/*targets.cpp) tests/fuzz/target.cpp tests/fuzz/driver.cpp
FUZZ_ALL  := $(LIBRARY_SRC) $(filter-out %/main.cpp,$(APP_SRC))
READERS   := $(filter tensor/% data/% nn/% gan/% kd/% apps/%,$(filter-out nn/models/% kd/methods/%,$(FUZZ_ALL)))
PLAIN_OBJ := $(call joined_obj,$(filter-out $(READERS),$(FUZZ_ALL))) $(SIMD_OBJ)

ifneq ($(filter test,$(MAKECMDGOALS)),)
ifeq ($(CUDA)$(SANITIZE),0)
FUZZES := $(if $(FUZZ_CXX),$(shell printf '\043include <omp.h>\nextern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' | \
  $(FUZZ_CXX) -fopenmp -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null && echo yes))
test: $(if $(FUZZES),fuzz-program)
endif
endif

#: fuzz	the readers of files under libFuzzer, TIME seconds each (needs clang)
#: fuzz-program	its program alone
#: fuzz-coverage	which parts of the readers the collected inputs reach
.PHONY: fuzz fuzz-coverage fuzz-program
fuzz: fuzz-program
	tools/fuzz.sh $(FUZZ_DIR)/limbeck_fuzz $(TIME) $(FUZZ_DIR)/corpus $(TARGETS)
fuzz-coverage: fuzz-program
	tools/fuzz_coverage.sh $(FUZZ_DIR)/limbeck_fuzz $(FUZZ_DIR)/corpus
fuzz-program: $(PLAIN_OBJ)
	$(if $(FUZZ_CXX),,$(error the fuzzer needs clang))
	@$(MAKE) CXX=$(FUZZ_CXX) BUILD=$(FUZZ_DIR) OPT=-O1 LIMBECK_FUZZING=1 PLAIN_OBJ="$(PLAIN_OBJ)" $(FUZZ_DIR)/limbeck_fuzz

ifdef LIMBECK_FUZZING
# ccache takes a precompiled header of clang's only without its time.
CXXFLAGS += -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -Xclang -fno-pch-timestamp
LDFLAGS  += -fsanitize=fuzzer,address,undefined
$(BUILD)/limbeck_fuzz: $(call joined_obj,$(READERS)) $(call obj,$(FUZZ_SRC)) $(PLAIN_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)
endif
