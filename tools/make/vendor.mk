# Stand-ins for cuBLAS and cuDNN, for the tests that run through the SIMT shim (tests/ops_cuda/fake/).
FAKES := $(patsubst tests/ops_cuda/fake/%.cpp,$(BUILD)/sim/%.so,$(wildcard tests/ops_cuda/fake/*.cpp))

$(BUILD)/sim/fake_%.so: tests/ops_cuda/fake/fake_%.cpp tests/ops_cuda/fake/fake.h $(wildcard ops_cuda/cu*.h ops_cuda/runtime.h ops_cuda/sim/runtime.h)
	@mkdir -p $(@D)
	$(call say,SIM ,$<)$(CCACHE) $(CXX) $(COMMON) -O1 -DLIMBECK_SIM -fPIC -c $< -o $(@:.so=.o) && $(CXX) $(COMMON) -shared $(@:.so=.o) -o $@

$(BUILD)/sim/limbeck_tests $(BUILD)/sim/sanitized_tests: | $(FAKES)
# They queue their work in the shim, which the program exports to them.
$(BUILD)/sim/limbeck $(BUILD)/sim/limbeck_tests $(BUILD)/sim/sanitized_tests: LDFLAGS += -rdynamic
$(BUILD)/sim/limbeck $(BUILD)/sim/limbeck_tests $(BUILD)/sim/sanitized_tests: LDLIBS += -ldl
