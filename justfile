# The habits of this repository. `just` alone lists them.

_default:
    @just --list

# imgan with all that working on it needs
install:
    pip install -e ".[test,lint]"

# the whole suite, or what is named: just test tests/test_images.py
test *arguments:
    pytest -n auto {{ arguments }}

# what to run at each save: without exports, long trainings and the README's lines
quick *arguments:
    pytest -n auto -m "not slow" {{ arguments }}

# what must be clean before a commit
lint:
    ruff check .
    ruff format --check .
    mypy

# mend what can be mended by itself
format:
    ruff check --fix .
    ruff format .

# every benchmark; each prints a ratio and what it aims at
bench:
    python benchmarks/startup.py
    python benchmarks/adjust.py
    python benchmarks/upscale.py
    python benchmarks/batch.py
    python benchmarks/edit.py
    python benchmarks/pipeline.py

# train a recipe, or go on where it stopped: just train dcgan celeba --steps 100
train recipe data *settings:
    imgan train {{ recipe }} --data {{ quote(data) }} --out runs/{{ recipe }} {{ settings }}

# write a run as ONNX, refused unless it equals its PyTorch twin: just export dcgan
export recipe:
    imgan export runs/{{ recipe }} -o runs/{{ recipe }}.onnx
