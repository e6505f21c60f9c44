# HDF5 is optional: tools/make/deps.sh writes HDF5_FLAGS and HDF5_LIBS into $(BUILD)/deps.mk where it finds the library. `make HDF5=0` does
# without, and so does CUDA=1 unless told HDF5=1: its program goes to other machines (gpu-bundle). The two objects have names of their own.
HDF5     ?= $(if $(filter 1,$(CUDA)),0,1)
HDF5_OBJ := $(BUILD)/obj/data/hdf5-$(HDF5).o
OBJECT_data/hdf5.cpp := $(HDF5_OBJ)
ifneq ($(HDF5),0)
$(HDF5_OBJ): private CXXFLAGS += $(HDF5_FLAGS)
LDLIBS += $(HDF5_LIBS)
endif
$(HDF5_OBJ): data/hdf5.cpp $(BUILD)/deps.mk $(PCH).gch
	@mkdir -p $(@D)
	$(call say,CXX ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) $(OPT) -include $(PCH) -fpch-preprocess -c $< -o $@
