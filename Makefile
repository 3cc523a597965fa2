# A thin door to Meson and Ninja, for those who have the packages (./demo and ./check install them).
#
#   make            build, and leave a runnable, relocatable tree at build/stage/
#   make demo       run the demo from that tree
#   make check      all tests that need no GPU
#   make install    copy the tree to DESTDIR and PREFIX
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)

all: stage

$(BUILD)/build.ninja:
	meson setup $(BUILD)

build: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS)

stage: build
	tools/stage $(BUILD)

demo: stage
	BUILD=$(BUILD) tools/run-demo

check:
	BUILD=$(BUILD) JOBS=$(JOBS) tools/run-checks

install: stage
	tools/install-tree $(BUILD)/stage "$(DESTDIR)" "$(PREFIX)"

clean:
	rm -rf $(BUILD)

.PHONY: all build stage demo check install clean
