# make memcheck: the readers of tests/fuzz on valid, refused and damaged inputs, and on what the fuzzer collected, under valgrind: bytes that nobody wrote are
# noticed in libstdc++, zlib and OpenMP too, which MemorySanitizer sees only where they were built for it. tensor/ is compiled anew, whose allocators then
# tell valgrind what they hand out (tensor/sanitizers.h). `make test` does the valid and the refused ones where valgrind is.
MEMCHECK         := $(BUILD)/memcheck/limbeck_readers
MEMCHECK_TENSOR  := $(patsubst %.cpp,$(BUILD)/memcheck/obj/%.o,$(wildcard tensor/*.cpp))
MEMCHECK_TESTS   := $(call obj,$(wildcard tests/fuzz/*_targets.cpp) tests/fuzz/target.cpp tests/fuzz/replay_test.cpp)
MEMCHECK_LIBRARY := $(call joined_obj,$(filter-out tensor/%,$(LIBRARY_SRC))) $(SIMD_OBJ) $(APP_LIB_OBJ)

ifneq ($(filter test,$(MAKECMDGOALS)),)
ifeq ($(CUDA)$(SANITIZE),0)
test: $(if $(wildcard /usr/include/valgrind/memcheck.h),$(MEMCHECK))
endif
endif

#: memcheck	the readers of files under valgrind
.PHONY: memcheck
memcheck: $(MEMCHECK)
	LIMBECK_CORPUS=$(FUZZ_DIR)/corpus tools/memcheck.sh $(MEMCHECK)

$(BUILD)/memcheck/obj/%.o: %.cpp $(PCH).gch
	@mkdir -p $(@D)
	$(call say,CXX ,$<)$(CCACHE) $(CXX) $(CXXFLAGS) -DLIMBECK_VALGRIND -g $(call level,$<) -c $< -o $@
$(MEMCHECK): $(MEMCHECK_TENSOR) $(MEMCHECK_LIBRARY) $(MEMCHECK_TESTS)
	$(call say,LINK,$@)$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lgtest_main -lgtest
-include $(MEMCHECK_TENSOR:.o=.d)
