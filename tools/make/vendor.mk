# Stand-ins for cuBLAS and cuDNN, for the tests that run through the SIMT shim (tests/ops_cuda/fake/).
# The sanitized tests have their own, so that what a stand-in reads and writes is watched like a kernel.
FAKES      := $(patsubst tests/ops_cuda/fake/%.cpp,$(BUILD)/sim/%.so,$(wildcard tests/ops_cuda/fake/*.cpp))
FAKE_NEEDS := tests/ops_cuda/fake/fake.h $(wildcard ops_cuda/cu*.h ops_cuda/runtime.h ops_cuda/sim/runtime.h)
make_fake   = $(CCACHE) $(CXX) $(COMMON) $(1) -DLIMBECK_SIM -fPIC -c $< -o $(@:.so=.o) && $(CXX) $(COMMON) $(1) -shared $(@:.so=.o) -o $@

$(BUILD)/sim/fake_%.so: tests/ops_cuda/fake/fake_%.cpp $(FAKE_NEEDS)
	@mkdir -p $(@D)
	$(call say,SIM ,$<)$(call make_fake,-O1)
$(BUILD)/sim/fake_%.sanitized.so: tests/ops_cuda/fake/fake_%.cpp $(FAKE_NEEDS)
	@mkdir -p $(@D)
	$(call say,SAN ,$<)$(call make_fake,$(SAN_FLAGS))

$(BUILD)/sim/limbeck_tests: | $(FAKES)
$(SIM_TESTED): | $(FAKES:.so=.sanitized.so)
# They queue their work in the shim, which the program exports to them.
$(BUILD)/sim/limbeck $(BUILD)/sim/limbeck_tests $(SIM_TESTED): LDFLAGS += -rdynamic
$(BUILD)/sim/limbeck $(BUILD)/sim/limbeck_tests $(SIM_TESTED): LDLIBS += -ldl
