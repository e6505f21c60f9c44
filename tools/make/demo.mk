# `make demo`: the main job, small, for classes and for responses: trains teachers, conditional GANs and students on procedural data, then reports.
# `make readme-images`: the README's pictures, from the GANs of these runs.
DEMO_OUT     ?= runs/demo
DEMO_OPTIONS ?=
FIGURES      ?= docs/figures
# Both tasks at once (with -j1: one after the other) with half of the cores each: networks this small make little use of many threads.
DEMO_THREADS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n > 1 ? n / 2 : 1)))

# $(call demo_run,CONFIG,FOLDER,NAME): its lines begin with NAME. An interrupt is for the program, which then writes a checkpoint and says so.
demo_run = @bash -o pipefail -c '$(BUILD)/limbeck run $(1) --out $(2) --threads $(DEMO_THREADS) $(DEMO_OPTIONS) 2>&1 | (trap "" INT TERM; sed -u "s/^/$(3): /")'

#: demo	the main job, small: classes and responses, about four minutes
#: demo-classes	its one half
#: demo-responses	its other half
#: readme-images	the pictures of README.md, from the GANs of the demo
.PHONY: demo-classes demo-responses readme-images
demo-classes: $(BUILD)/limbeck
	$(call demo_run,configs/demo.toml,$(DEMO_OUT),classes)
demo-responses: $(BUILD)/limbeck
	$(call demo_run,configs/demo-regression.toml,$(DEMO_OUT)-regression,responses)

demo: demo-classes demo-responses
	$(BUILD)/limbeck report $(DEMO_OUT)
	$(BUILD)/limbeck report $(DEMO_OUT)-regression

readme-images: demo-classes demo-responses
	$(BUILD)/limbeck sample --ckpt $(DEMO_OUT)/stages/gan/generator.safetensors --n 6 --zoom 1 --out $(FIGURES)/demo-classes.png
	$(BUILD)/limbeck sample --ckpt $(DEMO_OUT)-regression/stages/gan/generator.safetensors --label-range 5:85:8 --n 4 --out $(FIGURES)/demo-sweep.png
