"""Runs a JAX program where there is no /dev/nvidia*: JAX looks for one before it asks the driver."""
import runpy
import sys

from jax._src import hardware_utils

hardware_utils.has_visible_nvidia_gpu = lambda: True
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
