# `make build/examples/train` builds examples/train.cpp with the library; put your own program there as NAME.cpp.
$(BUILD)/examples/%: examples/%.cpp $(LIBRARY_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CXX) $(COMMON) $(OPT) $(LDFLAGS) $^ -o $@ $(LDLIBS)
