# The image of a search on GPUs: the same for the driver and for every worker.
#
#   docker build --tag evomerge .
#   docker run --gpus all --shm-size 8g --volume "$PWD:/work" evomerge search job.yaml --out runs/first
#
# What is optional is chosen by the extras of pyproject.toml. nevergrad is not among them unless
# asked for, because it brings a package under the GPL into the image (docs/licences.md):
#
#   docker build --build-arg EXTRAS=dashboard,nevergrad --tag evomerge .
#   docker build --build-arg EXTRAS= --tag evomerge .
#
# torch, CUDA and vLLM come from vLLM's own image, where they were built for each other. The tag is
# the release of the `vllm` extra in pyproject.toml; the two move together.
FROM vllm/vllm-openai:v0.32.0

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# An environment on top of the image's Python: what is there is used and never replaced.
ENV PATH=/opt/evomerge/bin:$PATH
RUN python3 -m venv --system-site-packages /opt/evomerge

WORKDIR /opt/source
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY scripts/image_constraints.py scripts/
COPY cluster cluster
COPY evaluators evaluators
COPY search_spaces search_spaces
COPY evomerge evomerge
ARG EXTRAS=dashboard
RUN python scripts/image_constraints.py constraints.txt > /tmp/constraints.txt \
    && python -m pip install --no-cache-dir --constraint /tmp/constraints.txt ".${EXTRAS:+[${EXTRAS}]}" \
    && evomerge --help > /dev/null

# Jobs, models and studies are mounted here. The user owns nothing else, and models from a hub go
# to the cache in its home, which is worth a volume. Its number is what Kubernetes checks.
RUN useradd --create-home --uid 10001 evomerge && install --directory --owner evomerge /work
USER 10001
WORKDIR /work

ENTRYPOINT ["evomerge"]
CMD ["--help"]
