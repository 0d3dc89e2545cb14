"""Packaging of lea_keras; tool settings are in pyproject.toml."""

import pathlib
import runpy

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = runpy.run_path(str(ROOT / "lea_keras" / "version.py"))["__version__"]

setup(
    name="lea_keras",
    version=VERSION,
    description="The Locally Embedded Autoencoder as a Keras 3 layer",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["lea_keras", "lea_keras.*"]),
    package_data={"lea_keras": ["py.typed"], "lea_keras.explorer": ["*.html", "*.css", "*.js"]},
    install_requires=[
        "tensorflow>=2.21",
        "keras>=3.15",
        "tensorflow-datasets>=4.9.10",
        "importlib_resources>=6.0",  # TFDS imports it without declaring it
        "numpy>=2.0",
        "matplotlib>=3.9",
        "pillow>=10.0",
        "absl-py>=2.1",
        "tensorboard>=2.21",  # TensorFlow no longer installs it; 2.20 fails with setuptools 82
        "foolbox>=3.3.4,<4",
        "scipy>=1.11,<2",
    ],
    extras_require={
        "test": [
            "pytest>=8.0",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.5",
            "basedpyright>=1.30",  # pyright with its Node; the package "pyright" downloads that at its first run
            "jax>=0.7",
            "submitit>=1.5,<2",
            "scikit-learn>=1.5",
        ],
        "metrics": ["scikit-learn>=1.5"],
        "notebook": ["nbclient>=0.10", "nbformat>=5.10", "jupytext>=1.16", "ipykernel>=6.29", "ipywidgets>=8.0"],
        "docs": ["sphinx>=8.1", "pydata-sphinx-theme>=0.16", "myst-nb>=1.2"],
        "jax": ["jax>=0.7"],
        "slurm": ["submitit>=1.5,<2"],
        "gpu": ["tensorflow[and-cuda]>=2.21"],
    },
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
