# Limbeck. `make` builds build/limbeck, `make demo` runs the main job, `make test` passes the tests.
# Every source file is found by globbing: to add an operator, a network or a test, add its file.

BUILD    ?= build
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)
CXX      ?= g++
OPT      ?= -O2
SANITIZE ?=
PREFIX   ?=
# Warnings are errors where it is asked for: by WERROR=1, by CI (CI=true), by check-nvcc. A compiler that knows more of them still builds.
WERROR   ?= $(if $(filter-out 0 false,$(CI))$(filter check-nvcc,$(MAKECMDGOALS)),1)
# 0: no CUDA. 1: with nvcc, build/cuda/limbeck. sim: the CUDA kernels on the CPU, build/sim/limbeck. See tools/make/cuda.mk.
CUDA     ?= 0
MAKEFLAGS += -j$(JOBS) --no-builtin-rules

CCACHE   := $(shell command -v ccache 2>/dev/null)
WARN     := -Wall -Wextra -Wno-missing-field-initializers $(if $(filter-out 0,$(WERROR)),-Werror)
COMMON   := -std=c++20 $(WARN) -fopenmp -I. $(if $(PREFIX),-I$(PREFIX)/include) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -g)
CXXFLAGS += $(COMMON) -MMD -MP
LDFLAGS  += -fopenmp $(if $(PREFIX),-L$(PREFIX)/lib) $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LDLIBS   += -lz

LIBRARY_DIRS := tensor ops ops_cpu autograd nn data train gan kd
LIBRARY_SRC  := $(foreach d,$(LIBRARY_DIRS),$(shell find $(d) -name '*.cpp' -not -path 'ops_cpu/simd/*'))
SIMD_SRC     := $(wildcard ops_cpu/simd/*.cpp)
APP_SRC      := $(wildcard apps/*.cpp)
TEST_SRC     := $(shell find tests -name '*.cpp' -not -path 'tests/ops_cuda/*' -not -path tests/fuzz/driver.cpp)
BENCH_SRC    := $(wildcard bench/*.cpp)

# The vector kernels are compiled once per instruction set and chosen at run time (ops_cpu/isa.h).
ARCH := $(shell $(CXX) -dumpmachine 2>/dev/null | cut -d- -f1)
ifeq ($(ARCH),x86_64)
ISAS := base avx2 avx512
else
ISAS := base
endif
FLAGS_base   := -O2
FLAGS_avx2   := -mavx2 -mfma
FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512

# What only steers the work is compiled with less optimisation, and so are the reference operators that do not sum over many terms: it
# saves a third of their compile time and no run time. (At -Og, GCC 12 takes members of std::optional for uninitialised.)
LIGHT := apps/% kd/% gan/% train/% nn/% autograd/% ops/% $(addprefix data/,folder.cpp stb.cpp idx.cpp cifar.cpp arrays.cpp container.cpp npz.cpp zip.cpp hdf5_source.cpp responses.cpp load.cpp dataset.cpp readers.cpp sheet.cpp source.cpp) tensor/safetensors.cpp tests/%
HOT   := $(addprefix ops/,conv2d.cpp conv_transpose2d.cpp matmul.cpp linear.cpp batch_norm.cpp reduce.cpp)
LIGHT_OPT := -Og $(if $(findstring clang,$(shell $(CXX) --version 2>/dev/null)),,-Wno-maybe-uninitialized)
level  = $(if $(filter $(LIGHT),$(filter-out $(HOT),$(1))),$(patsubst -O2,$(LIGHT_OPT),$(OPT)),$(OPT))

# `make V=1` shows the commands.
say = $(if $(V),,@echo '  $(1) $(2)';)

obj          = $(patsubst %.cpp,$(BUILD)/obj/%.o,$(1))
SIMD_OBJ    := $(foreach isa,$(ISAS),$(patsubst %.cpp,$(BUILD)/obj/%.$(isa).o,$(SIMD_SRC)))
TEST_OBJ    := $(call obj,$(TEST_SRC))
PCH         := $(BUILD)/obj/common.h
include tools/make/unity.mk tools/make/hdf5.mk
LIBRARY_OBJ := $(call joined_obj,$(LIBRARY_SRC)) $(SIMD_OBJ)
APP_LIB_OBJ := $(call joined_obj,$(filter-out %/main.cpp,$(APP_SRC)))
APP_OBJ     := $(APP_LIB_OBJ) $(call obj,apps/main.cpp)

.DEFAULT_GOAL := all
.PHONY: all deps demo test bench clean programs help
#: all	the program, build/limbeck; CUDA=1 (nvcc) or CUDA=sim (kernels on the CPU) adds the device cuda
#: test	every test, 35 to 45 minutes on two cores
#: bench	build/limbeck_bench, and runs it
#: clean	removes the build folder
#: help	this list
all: programs
ifeq ($(CUDA),0)
programs: $(BUILD)/limbeck
endif

include $(filter-out %/unity.mk %/hdf5.mk,$(wildcard tools/make/*.mk))

# Operators and networks register themselves from static objects, so objects are linked directly, not from an archive.
$(BUILD)/limbeck: $(LIBRARY_OBJ) $(APP_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)

$(BUILD)/limbeck_tests: $(LIBRARY_OBJ) $(APP_LIB_OBJ) $(TEST_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lgtest_main -lgtest

$(BUILD)/limbeck_bench: $(LIBRARY_OBJ) $(call obj,$(BENCH_SRC))
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lbenchmark_main -lbenchmark

define isa_rule
$(BUILD)/obj/ops_cpu/simd/%.$(1).o: ops_cpu/simd/%.cpp
	@mkdir -p $$(@D)
	$$(call say,CXX ,$$<)$(CCACHE) $(CXX) $(CXXFLAGS) -O3 -fno-math-errno -fno-trapping-math $$(FLAGS_$(1)) -DLIMBECK_ISA=$(1) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

# The headers that nearly every file includes, compiled once: a third of the compile time of the others. Files still include what they use
# (tests/layers_test.cpp compiles every header alone). ccache compares checksums.
$(PCH).gch: tools/make/common.h
	@mkdir -p $(@D)
	$(call say,PCH ,$<)cp $< $(@:.gch=) && $(CXX) $(CXXFLAGS) $(OPT) -x c++-header -MT $@ -MF $(@:.gch=.d) $(@:.gch=) -o $@
	@$(CXX) $(CXXFLAGS) -x c++ -E -P $< -MF /dev/null | cksum > $@.sum
.SECONDARY: $(PCH).gch
export CCACHE_SLOPPINESS := pch_defines,time_macros,include_file_mtime,include_file_ctime
export CCACHE_PCH_EXTSUM := true

$(BUILD)/obj/%.o: %.cpp $(PCH).gch
	@mkdir -p $(@D)
	$(call say,CXX ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) $(call level,$<) -include $(PCH) -fpch-preprocess -c $< -o $@
$(BUILD)/obj/unity/%.o: $(BUILD)/obj/unity/%.cpp $(PCH).gch
	$(call say,CXX ,$(MEMBERS_$*))$(CCACHE) $(CXX) $(CXXFLAGS) $(call level,$(firstword $(MEMBERS_$*))) -include $(PCH) -fpch-preprocess -c $< -o $@

ifeq ($(CUDA),0)
test: $(BUILD)/limbeck $(BUILD)/limbeck_tests $(if $(SANITIZE),,$(SIM_TESTED))
	tests/run.sh $(BUILD)
endif

bench: $(BUILD)/limbeck_bench
	$(BUILD)/limbeck_bench

# Each target has a line "#: NAME  WHAT" beside its rule.
help:
	@echo 'make [TARGET] [JOBS=N] [V=1: shows the commands] [CXX=..] [OPT=..] [SANITIZE=address,undefined]'
	@sed -n 's/^#: /  /p' $(filter Makefile tools/make/%.mk,$(MAKEFILE_LIST)) | LC_ALL=C sort | expand -t 18

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
