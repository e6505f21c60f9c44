# make fuzz: the readers of tests/fuzz under libFuzzer, AddressSanitizer and UBSan, TIME seconds each (clang; docs/reliability.md).
#   make fuzz TIME=300                         all of them
#   make fuzz TIME=3600 TARGETS="npy idx"      these
FUZZ_CXX ?= $(firstword $(shell command -v clang++ clang++-19 clang++-16 clang++-14 2>/dev/null) clang++)
TIME     ?= 30
TARGETS  ?=
FUZZ_SRC := $(wildcard tests/fuzz/*targets.cpp) tests/fuzz/target.cpp tests/fuzz/driver.cpp

#: fuzz	the readers of files under libFuzzer, TIME seconds each
.PHONY: fuzz
fuzz:
	$(MAKE) CXX=$(FUZZ_CXX) BUILD=$(BUILD)/fuzz OPT=-O1 CCACHE= LIMBECK_FUZZING=1 $(BUILD)/fuzz/limbeck_fuzz
	tools/fuzz.sh $(BUILD)/fuzz/limbeck_fuzz $(TIME) $(BUILD)/fuzz/corpus $(TARGETS)

ifdef LIMBECK_FUZZING
CXXFLAGS += -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LDFLAGS  += -fsanitize=fuzzer,address,undefined
$(BUILD)/limbeck_fuzz: $(LIBRARY_OBJ) $(APP_LIB_OBJ) $(call obj,$(FUZZ_SRC))
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)
endif
