# `make build/examples/train` builds examples/train.cpp with the library; put your own program there as NAME.cpp.
# `make tutorial` builds the programs of docs/tutorial/ with the solutions of its exercises.
TUTORIAL_SRC := $(wildcard examples/tutorial/*.cpp examples/tutorial/*.cu examples/tutorial/solutions/*.cpp examples/tutorial/solutions/*.cu)

$(BUILD)/examples/%: examples/%.cpp $(LIBRARY_OBJ) $(PCH).gch
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CXX) $(COMMON) $(OPT) -include $(PCH) -fpch-preprocess $< $(LDFLAGS) $(LIBRARY_OBJ) -o $@ $(LDLIBS)

# A .cu file runs through the SIMT shim, with the backend of the device cuda but none of its kernels (copy.cu has the fills), and is compiled
# for a debugger.
EXAMPLE_SIM := $(call sim_obj,obj,$(filter-out %/cublas.cpp %/cudnn.cpp %/autotune.cpp,$(CUDA_CPP)) ops_cuda/copy.cu $(wildcard ops_cuda/sim/*.cpp))
$(BUILD)/examples/%: examples/%.cu $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(EXAMPLE_SIM)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CXX) $(COMMON) -O0 -g -DLIMBECK_SIM -x c++ $< -x none $(LDFLAGS) -rdynamic $(filter %.o,$^) -o $@ $(LDLIBS) -ldl

#: tutorial	the programs of docs/tutorial/
.PHONY: tutorial
tutorial: $(patsubst %,$(BUILD)/%,$(basename $(TUTORIAL_SRC)))
