# A worker for clusters: Beam's own image with Pagecast in it. Build it from this directory, for the
# Python that launches the job:
#
#     docker build --tag REGISTRY/pagecast .
#
# On Dataflow: --sdk_container_image REGISTRY/pagecast. Beside Flink's TaskManagers: docs/flink.yaml.
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.77.0
COPY . /pagecast
RUN pip install --no-cache-dir "/pagecast[pipeline,aws,gcp,harfbuzz]"
