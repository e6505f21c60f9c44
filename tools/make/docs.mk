# `make docs`: the API reference in build/docs/html, with a search, from the `///` comments of the headers (Doxygen, Debian's package); a warning is
# an error. build/docs/xml, of headers and sources, is what tools/docs/check.py reads (tests/e2e/reference.sh).
DOXYGEN     ?= doxygen
DOCS_INPUT  := $(filter-out ops_cuda,$(LIBRARY_DIRS))
run_doxygen  = (cat tools/docs/Doxyfile; printf '%s\n' 'INPUT = $(DOCS_INPUT) $(1)' 'OUTPUT_DIRECTORY = $(BUILD)/docs' $(2)) | $(DOXYGEN) -

#: docs	the API reference, build/docs/html/index.html (needs doxygen)
#: docs-xml	what the test of the comments reads
.PHONY: docs docs-xml
docs:
	@command -v $(DOXYGEN) > /dev/null || { echo "make docs needs doxygen (Debian's package doxygen)" >&2; exit 1; }
	@mkdir -p $(BUILD)/docs
	$(call say,DOCS,$(BUILD)/docs/html/index.html)$(call run_doxygen,docs/api.md,'GENERATE_XML = NO')
docs-xml:
	@rm -rf $(BUILD)/docs/xml && mkdir -p $(BUILD)/docs
	$(call say,DOCS,$(BUILD)/docs/xml)$(call run_doxygen,,'GENERATE_HTML = NO' 'FILE_PATTERNS = *.h *.cpp' 'USE_MDFILE_AS_MAINPAGE =')
