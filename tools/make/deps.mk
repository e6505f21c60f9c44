# Dependencies. $(BUILD)/deps.mk is an included makefile: make builds it first and then reads all makefiles again, so that the first
# `make` on a bare machine (make, nothing else) installs the compiler before anything asks it questions.

GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out clean deps help,$(GOALS)),)
include $(BUILD)/deps.mk
endif

DEPS_GROUPS := build $(if $(filter test,$(GOALS)),test) $(if $(filter bench,$(GOALS)),bench)

$(BUILD)/deps.mk: tools/make/deps.sh
	@CXX="$(CXX)" PREFIX="$(PREFIX)" tools/make/deps.sh $(BUILD) $(DEPS_GROUPS)

$(BUILD)/deps.test $(BUILD)/deps.bench: $(BUILD)/deps.%: | $(BUILD)/deps.mk
	@CXX="$(CXX)" PREFIX="$(PREFIX)" tools/make/deps.sh $(BUILD) $*

$(TEST_OBJ): | $(BUILD)/deps.test
$(call obj,$(BENCH_SRC)): | $(BUILD)/deps.bench

# Says what was found; installs what is missing for building and testing.
#: deps	installs what the build needs (Debian, Ubuntu), or says what is missing
deps:
	@CXX="$(CXX)" PREFIX="$(PREFIX)" tools/make/deps.sh $(BUILD) build test && echo "deps: everything that 'make' and 'make test' need is here"
