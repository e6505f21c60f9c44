# `make install PREFIX=/usr/local [DESTDIR=/staging]`: the program, the library with its headers, and files by which pkg-config and CMake find it;
# `make uninstall` removes them. Both say where: docs/install.md. Of the CPU build; the device cuda is part of build/cuda/limbeck only.
# PREFIX is also where the build looks for libraries (tools/make/deps.sh).
INSTALL_TO := $(DESTDIR)$(or $(PREFIX),/usr/local)
VERSION    := $(shell sed -n 's/.*"limbeck \([0-9.]*\).*/\1/p' apps/version.cpp)
HEADERS    := $(sort $(foreach d,$(LIBRARY_DIRS),$(shell find $(d) -name '*.h')))

# Members are appended, not replaced: files of several folders have one name.
$(BUILD)/liblimbeck.a: $(LIBRARY_OBJ)
	$(call say,AR  ,$@)rm -f $@ && $(AR) qcs $@ $^

# @NAME@ is replaced. Paths in both files are relative to where they lie, so the tree may be moved.
$(BUILD)/install/%: tools/make/install/%.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBRARIES@|$(LDLIBS)|' -e 's|@LIBRARY_LIST@|$(subst $(empty) ,;,$(LDLIBS))|' $< > $@

#: install	program, library and headers to PREFIX (default /usr/local); docs/install.md
#: uninstall	removes them
.PHONY: install uninstall
install: $(BUILD)/limbeck $(BUILD)/liblimbeck.a $(addprefix $(BUILD)/install/,limbeck.pc limbeckConfig.cmake limbeckConfigVersion.cmake)
	@rm -rf $(INSTALL_TO)/include/limbeck
	@for h in $(HEADERS); do install -D -m 644 $$h $(INSTALL_TO)/include/limbeck/$$h || exit 1; done
	@install -D -m 755 $(BUILD)/limbeck $(INSTALL_TO)/bin/limbeck
	@install -D -m 644 $(BUILD)/liblimbeck.a $(INSTALL_TO)/lib/liblimbeck.a
	@install -D -m 644 $(BUILD)/install/limbeck.pc $(INSTALL_TO)/lib/pkgconfig/limbeck.pc
	@for f in limbeckConfig.cmake limbeckConfigVersion.cmake; do install -D -m 644 $(BUILD)/install/$$f $(INSTALL_TO)/lib/cmake/limbeck/$$f || exit 1; done
	@echo "installed limbeck $(VERSION): $(INSTALL_TO)/bin/limbeck, include/limbeck, lib/liblimbeck.a"

uninstall:
	rm -rf $(INSTALL_TO)/include/limbeck $(INSTALL_TO)/lib/cmake/limbeck
	rm -f $(INSTALL_TO)/bin/limbeck $(INSTALL_TO)/lib/liblimbeck.a $(INSTALL_TO)/lib/pkgconfig/limbeck.pc
