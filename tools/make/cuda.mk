# The device cuda. Plain `make` builds for the CPU alone, in a minute and without nvcc. With
#   make CUDA=1      nvcc (from PATH, CUDA_HOME or /usr/local/cuda) builds build/cuda/limbeck; no nvcc is an error
#   make CUDA=sim    the host compiler builds build/sim/limbeck: the same kernel files run on the CPU (ops_cuda/sim/)
# Both add ops_cuda/ to the objects of the CPU build. `make CUDA=sim test` and `make CUDA=1 test` run the tests of the device cuda only; plain
# `make test` runs those of the shim too.
#   make sanitize-gpu runs the kernels' tests under compute-sanitizer, where there is a GPU
#   make gpu-report runs bench/on_gpu.sh, where there is a GPU; make gpu-bundle packs it and the programs for such a machine
#   make cuda-report writes registers, spills and shared memory of every kernel to ops_cuda/ptxas.txt
#   make instructions writes how many instructions a tensor instruction costs to docs/cuda-instructions.txt
CUDA_ARCHS ?= 80 90

ifeq ($(filter 0 1 sim,$(CUDA)),)
$(error CUDA=$(CUDA): expected 0, 1 (nvcc) or sim (kernels on the CPU))
endif

CUDA_CPP  := $(wildcard ops_cuda/*.cpp)
CUDA_CU   := $(wildcard ops_cuda/*.cu)
SIM_DIR   := $(BUILD)/sim
NVCC_DIR  := $(BUILD)/cuda

# What the kernels were made from, with their hashes (ops/sources.h). Rewritten only when it changes.
KERNEL_SOURCES := $(BUILD)/obj/kernel_sources
$(KERNEL_SOURCES).cpp: FORCE
	@mkdir -p $(@D) && tools/make/sources.sh > $@.new && if cmp -s $@ $@.new; then rm $@.new; else mv $@.new $@; fi
$(KERNEL_SOURCES).o: $(KERNEL_SOURCES).cpp ops/sources.h
	$(call say,CXX ,$<)$(CXX) $(COMMON) -c $< -o $@

# --- on the CPU -----------------------------------------------------------------------------------------------------------------
SIM_SRC      := $(CUDA_CPP) $(CUDA_CU) $(wildcard ops_cuda/sim/*.cpp)
SIM_TEST_SRC := $(wildcard tests/ops_cuda/*.cpp tests/ops_cuda/*.cu tests/ops_cuda/sim/*.cpp tests/ops_cuda/sim/*.cu)
sim_obj       = $(patsubst %,$(SIM_DIR)/$(1)/%.o,$(2))
SIM_FLAGS    := $(OPT:-O2=-O1) -DLIMBECK_SIM -x c++

$(SIM_DIR)/obj/%.o: % $(BUILD)/obj/common.h.gch
	@mkdir -p $(@D)
	$(call say,SIM ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) $(SIM_FLAGS) -include $(BUILD)/obj/common.h -fpch-preprocess -c $< -o $@

$(SIM_DIR)/limbeck: $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(call sim_obj,obj,$(SIM_SRC)) $(APP_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)
$(SIM_DIR)/limbeck_tests: $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(APP_LIB_OBJ) $(call sim_obj,obj,$(SIM_SRC) $(SIM_TEST_SRC))
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lgtest_main -lgtest

# What `make test` runs: kernels, shim and tests under the sanitizers, linked with the plain objects of the rest. Less optimised,
# which halves the compile time.
SIM_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -g1
SAN_FLAGS    := $(OPT:-O2=-Og) $(SIM_SANITIZE)
$(SIM_DIR)/sanitized/common.h.gch: tools/make/common.h
	@mkdir -p $(@D)
	$(call say,PCH ,$< (sanitized))cp $< $(@:.gch=) && $(CXX) $(CXXFLAGS) $(SAN_FLAGS) -x c++-header -MT $@ -MF $(@:.gch=.d) $(@:.gch=) -o $@
	@$(CXX) $(CXXFLAGS) $(SAN_FLAGS) -E -P $< -MF /dev/null | cksum > $@.sum
$(SIM_DIR)/sanitized/%.o: % $(SIM_DIR)/sanitized/common.h.gch
	@mkdir -p $(@D)
	$(call say,SAN ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) $(SAN_FLAGS) -DLIMBECK_SIM -include $(SIM_DIR)/sanitized/common.h -fpch-preprocess -x c++ -c $< -o $@
# The shim itself is not instrumented: that was half of the run time, and what it reads on behalf of a kernel is checked in headers.
$(SIM_DIR)/sanitized/ops_cuda/sim/%.cpp.o: ops_cuda/sim/%.cpp $(BUILD)/obj/common.h.gch
	@mkdir -p $(@D)
	$(call say,SIM ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) $(OPT) -DLIMBECK_SIM -DLIMBECK_ASAN=1 -include $(BUILD)/obj/common.h -fpch-preprocess -c $< -o $@
$(SIM_DIR)/sanitized_tests: $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(APP_LIB_OBJ) $(call sim_obj,sanitized,$(SIM_SRC) $(SIM_TEST_SRC))
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $(SIM_SANITIZE) $^ -o $@ $(LDLIBS) -lgtest_main -lgtest
$(SIM_DIR)/sanitized_limbeck: $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(call sim_obj,sanitized,$(SIM_SRC)) $(APP_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $(SIM_SANITIZE) $^ -o $@ $(LDLIBS)
$(call sim_obj,obj,$(SIM_TEST_SRC)) $(call sim_obj,sanitized,$(SIM_TEST_SRC)): | $(BUILD)/deps.test

SIM_TESTED := $(addprefix $(SIM_DIR)/,sanitized_tests sanitized_limbeck)
ifeq ($(CUDA),sim)
programs: $(SIM_DIR)/limbeck
test: $(SIM_TESTED)
	tests/run.sh $(BUILD) --cuda
endif

# --- with nvcc ------------------------------------------------------------------------------------------------------------------
NEEDS_NVCC := $(or $(filter 1,$(CUDA)),$(filter cuda-report instructions check-nvcc sanitize-gpu gpu-bundle gpu-report,$(MAKECMDGOALS)))
ifneq ($(NEEDS_NVCC),)
NVCC ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard $(addsuffix /bin/nvcc,$(CUDA_HOME) /usr/local/cuda /opt/cuda)))
ifeq ($(NVCC),)
$(error CUDA=1 needs nvcc, which is neither in PATH nor in CUDA_HOME nor in /usr/local/cuda; without it: 'make', or 'make CUDA=sim')
endif
TOOLKIT      := $(patsubst %/bin/nvcc,%,$(realpath $(shell command -v $(NVCC) 2>/dev/null)))
CUDART       := $(firstword $(wildcard $(TOOLKIT)/lib64/libcudart_static.a $(TOOLKIT)/lib/libcudart_static.a $(TOOLKIT)/targets/*/lib/libcudart_static.a))
CUDA_INCLUDE := $(patsubst %/cuda_runtime.h,%,$(firstword $(wildcard $(TOOLKIT)/include/cuda_runtime.h $(TOOLKIT)/targets/*/include/cuda_runtime.h)))
ifeq ($(and $(CUDA_INCLUDE),$(CUDART)),)
$(error CUDA=1: $(NVCC) was found, but not cuda_runtime.h and libcudart_static.a beside it in '$(TOOLKIT)' (cudart's -dev package or wheel))
endif
# Machine code for the wanted architectures, oldest first, and PTX of the newest of them for GPUs that come later. 90a or 100f add what only one GPU or
# one family has; PTX of these serves no later GPU, so it is made of the plain architecture. nvcc's lists leave them out: it is asked for each.
ARCHS      := $(shell printf '%s\n' $(CUDA_ARCHS) | sort -uV)
NVCC_LACKS := $(foreach a,$(ARCHS),$(shell $(NVCC) -gencode arch=compute_$(a),code=sm_$(a) --dryrun -c -x cu /dev/null > /dev/null 2>&1 || echo $(a)))
ifneq ($(strip $(or $(NVCC_LACKS),$(if $(strip $(ARCHS)),,none))),)
$(error CUDA_ARCHS='$(CUDA_ARCHS)': $(NVCC) knows no architecture '$(strip $(NVCC_LACKS))', but $(patsubst compute_%,%,$(shell $(NVCC) --list-gpu-arch)), and features of a GPU such as 90a)
endif
PTX_ARCH := $(shell printf '%s\n' $(ARCHS) | tr -d 'a-z' | sort -n | tail -n 1)
comma    := ,
GENCODE  := $(foreach a,$(ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=compute_$(PTX_ARCH),code=compute_$(PTX_ARCH)
NVWARN   := $(if $(filter -Werror,$(WARN)),-Werror all-warnings) $(addprefix -Xcompiler ,$(filter-out -Werror,$(WARN)))
NVFLAGS  := -std=c++20 --expt-relaxed-constexpr -ccbin $(CXX) -I. $(NVWARN) -lineinfo
NVCC_OBJ := $(patsubst %,$(NVCC_DIR)/obj/%.o,$(CUDA_CPP) $(CUDA_CU) $(wildcard ops_cuda/native/*.cpp))
NVCC_TEST_OBJ := $(patsubst %,$(NVCC_DIR)/obj/%.o,$(wildcard tests/ops_cuda/*.cpp tests/ops_cuda/*.cu tests/ops_cuda/native/*.cpp))

# Objects for other architectures are none of this build.
$(NVCC_DIR)/architectures: FORCE
	@mkdir -p $(@D); echo '$(ARCHS)' | cmp -s - $@ || echo '$(ARCHS)' > $@

$(NVCC_DIR)/obj/%.cu.o: %.cu $(NVCC_DIR)/architectures
	@mkdir -p $(@D)
	$(call say,NVCC,$<)$(CCACHE) $(NVCC) $(NVFLAGS) -Xptxas -v $(GENCODE) $(OPT) -MD -MP -MF $(@:.o=.d) -c $< -o $@ 2> $@.log || { cat $@.log >&2; exit 1; }
$(NVCC_DIR)/obj/%.cpp.o: %.cpp $(NVCC_DIR)/architectures
	@mkdir -p $(@D)
	$(call say,CXX ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) $(OPT) -isystem $(CUDA_INCLUDE) '-DLIMBECK_CUDA_ARCHITECTURES="$(subst $() ,$(comma) sm_,$(strip $(ARCHS)))"' -c $< -o $@

CUDA_LIBS := $(CUDART) -ldl -lrt -lpthread
$(NVCC_DIR)/limbeck: $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(NVCC_OBJ) $(APP_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS) $(CUDA_LIBS)
$(NVCC_DIR)/limbeck_tests: $(LIBRARY_OBJ) $(KERNEL_SOURCES).o $(NVCC_OBJ) $(APP_LIB_OBJ) $(NVCC_TEST_OBJ)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS) $(CUDA_LIBS) -lgtest_main -lgtest
$(NVCC_TEST_OBJ): | $(BUILD)/deps.test

# Every kernel file through nvcc for every architecture, without linking; and the example of docs/cuda.md.
check-nvcc: $(NVCC_OBJ) $(NVCC_DIR)/docs/scale.o
$(NVCC_DIR)/docs/scale.o: docs/cuda.md ops_cuda/launch.h ops_cuda/register.h
	@mkdir -p $(@D)
	@sed -n '/^```cpp/,/^```/{/^```/!p;/^```$$/q}' docs/cuda.md > $(@:.o=.cu)
	$(call say,NVCC,the example of docs/cuda.md)$(NVCC) $(NVFLAGS) $(GENCODE) $(OPT) -c $(@:.o=.cu) -o $@

# With a GPU: the kernels under compute-sanitizer, every tool. Slow: SANITIZE_FILTER='*relu*' takes a part.
SANITIZE_FILTER ?= *CudaTable*:*CudaProducts*:*CudaSteps*
COMPUTE_SANITIZER ?= $(firstword $(shell command -v compute-sanitizer 2>/dev/null) $(TOOLKIT)/bin/compute-sanitizer)
sanitize-gpu: $(NVCC_DIR)/limbeck_tests
	@[ -x "$(COMPUTE_SANITIZER)" ] || { echo "sanitize-gpu needs compute-sanitizer, in PATH or in $(TOOLKIT)/bin" >&2; exit 1; }
	for tool in memcheck racecheck synccheck initcheck; do echo "$$tool:"; \
	  $(COMPUTE_SANITIZER) --tool $$tool --error-exitcode 1 $(NVCC_DIR)/limbeck_tests --gtest_brief=1 --gtest_filter='$(SANITIZE_FILTER)' || exit 1; done

# All that a machine with a GPU needs in one file: bench/on_gpu.sh runs from it there. It needs the C library of the machine that built it, or a
# newer one. CHECKOUT: of UBCDingXin/cGAN-KD, whose networks PyTorch's side is.
CHECKOUT ?=
gpu-bundle: $(NVCC_DIR)/limbeck $(NVCC_DIR)/limbeck_tests
	$(call say,TAR ,$(BUILD)/gpu-bundle.tar.gz)tools/make/gpu_bundle.sh $(BUILD)/gpu-bundle.tar.gz $^ '$(CHECKOUT)'
	@echo "$(BUILD)/gpu-bundle.tar.gz: $$(du -h $(BUILD)/gpu-bundle.tar.gz | cut -f1); needs glibc $$(objdump -T $(NVCC_DIR)/limbeck | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2), libstdc++ with $$(objdump -T $(NVCC_DIR)/limbeck | grep -o 'GLIBCXX_[0-9.]*' | sort -uV | tail -n 1), libgomp, libz"
# What is to be known about a machine with a GPU, with the programs of this build: bench/on_gpu.sh says what.
GPU_OUT  ?= runs/gpu-report
GPU_STEP ?= first
gpu-report: $(NVCC_DIR)/limbeck $(NVCC_DIR)/limbeck_tests
	LIMBECK=$(NVCC_DIR)/limbeck LIMBECK_TESTS=$(NVCC_DIR)/limbeck_tests CHECKOUT='$(CHECKOUT)' bench/on_gpu.sh $(GPU_STEP) $(GPU_OUT)

# What ptxas said about them, in the file that is kept.
cuda-report: $(NVCC_OBJ)
	@{ echo "# Written by 'make cuda-report' with $$($(NVCC) --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')."; \
	   echo "# arch registers spill-store spill-load shared(bytes) file kernel"; \
	   tools/make/ptxas.sh $(patsubst %,$(NVCC_DIR)/obj/%.o.log,$(CUDA_CU)); } > ops_cuda/ptxas.txt
	@echo "ops_cuda/ptxas.txt: $$(grep -vc '^#' ops_cuda/ptxas.txt) lines, $$(awk '!/^#/ && $$3 + $$4 > 0' ops_cuda/ptxas.txt | wc -l) with spills"

# What the loops of the kernels with tensor instructions cost, in the file that is kept; tests/e2e/nvcc.sh compares it.
instructions: $(NVCC_OBJ)
	@tools/make/instructions.sh $(NVCC) $(NVCC_DIR) > $(BUILD)/instructions.new && mv $(BUILD)/instructions.new docs/cuda-instructions.txt
	@echo "docs/cuda-instructions.txt: $$(grep -vc '^#' docs/cuda-instructions.txt) loops"
endif

ifeq ($(CUDA),1)
programs: $(NVCC_DIR)/limbeck
test: $(NVCC_DIR)/limbeck $(NVCC_DIR)/limbeck_tests
	$(NVCC_DIR)/limbeck_tests
endif

#: cuda-report	with nvcc: registers and spills of every kernel, to ops_cuda/ptxas.txt
#: instructions	with nvcc: instructions of the inner loops, to docs/cuda-instructions.txt
#: check-nvcc	with nvcc: every kernel file, compiled only
#: sanitize-gpu	with a GPU: the kernels' tests under compute-sanitizer
#: gpu-bundle	with nvcc: what a machine with a GPU needs, in one file
#: gpu-report	with a GPU: what is to be known about it (bench/on_gpu.sh)
.PHONY: test cuda-report instructions check-nvcc sanitize-gpu gpu-bundle gpu-report
-include $(shell find $(SIM_DIR) $(NVCC_DIR) -name '*.d' 2>/dev/null)
