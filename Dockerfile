# The images of a search: `worker` for nodes with GPUs, where models are merged and evaluated, and
# `driver` for the head of a cluster, which needs none. Both hold the same wheel of evomerge.
#
#   docker build --target worker --tag evomerge-worker:0.1.0 .
#   docker build --target driver --tag evomerge-driver:0.1.0 .
#   docker run --gpus all --shm-size 8g --volume "$PWD:/workspace" evomerge-worker:0.1.0 \
#     evomerge search job.yaml --out runs/first
#
# What is optional is chosen by the extras of pyproject.toml. nevergrad is not among them unless
# asked for, because it brings a package under the GPL into the image (docs/licences.md):
#
#   docker build --target worker --build-arg EXTRAS=dashboard,nevergrad --tag evomerge-worker .
#   docker build --target worker --build-arg EXTRAS= --tag evomerge-worker .
#
# There is no entry point: what starts a node (KubeRay, `ray up`, compose) brings its own command.

# One wheel for all nodes, built as the tests build it.
FROM python:3.12.12-slim-trixie AS wheel
WORKDIR /opt/source
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY cluster cluster
COPY evaluators evaluators
COPY search_spaces search_spaces
COPY evomerge evomerge
RUN python -m pip install --no-cache-dir --constraint constraints.txt build hatchling \
    && python -m build --no-isolation --wheel --outdir /opt/wheel

FROM python:3.12.12-slim-trixie AS driver
# Where pip finds torch for CPUs; without it the build for CUDA comes, of several gigabytes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=dashboard
COPY constraints.txt scripts/install_image.sh scripts/image_constraints.py /opt/install/
RUN --mount=type=bind,from=wheel,source=/opt/wheel,target=/opt/wheel \
    PIP_EXTRA_INDEX_URL="$TORCH_INDEX" /opt/install/install_image.sh /opt/wheel /opt/install/constraints.txt "$EXTRAS"
# Ray takes only nodes of one Python, to the last number; the two images may differ in that.
ENV PATH=/opt/evomerge/bin:$PATH RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL=minor
# Jobs, models and studies are mounted in /workspace. The user owns nothing else, and models from a
# hub go to the cache in its home, which is worth a volume. Its number is what Kubernetes checks.
USER 10001
WORKDIR /workspace
CMD ["evomerge", "--help"]

# torch, CUDA and vLLM come from vLLM's own image, where they were built for each other. The tag is
# the release of the `vllm` extra in pyproject.toml; the two move together.
FROM vllm/vllm-openai:v0.32.0 AS worker
ARG EXTRAS=dashboard
COPY constraints.txt scripts/install_image.sh scripts/image_constraints.py /opt/install/
RUN --mount=type=bind,from=wheel,source=/opt/wheel,target=/opt/wheel \
    /opt/install/install_image.sh /opt/wheel /opt/install/constraints.txt "$EXTRAS"
ENV PATH=/opt/evomerge/bin:$PATH RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL=minor
USER 10001
WORKDIR /workspace
ENTRYPOINT []
CMD ["evomerge", "--help"]
