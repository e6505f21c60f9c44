# `make demo`: the main job, small: trains a teacher, a conditional GAN and students on an embedded data set, then reports.
DEMO_OUT     ?= runs/demo
DEMO_OPTIONS ?=

demo: $(BUILD)/limbeck
	$(BUILD)/limbeck run configs/demo.toml --out $(DEMO_OUT) $(DEMO_OPTIONS)
	$(BUILD)/limbeck report $(DEMO_OUT)
