# HDFS from Hadoop's jars, as tools/install-hdfs.sh fetches them: a NameNode and a DataNode, or with HDFS_PAIR=manual or automatic two NameNodes.
# docker/build-hdfs-images.sh prepares the context. The NameNode sends clients to 127.0.0.1 and the DataNode's own port, so ports are mapped one to one:
#   docker run --rm -p 9870:9870 -p 9864:9864 robustmq/hdfs:dev
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN command -v java >/dev/null || \
  (apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*)
COPY lib /hdfs/lib
COPY hdfs.sh warm.sh /hdfs/
RUN /hdfs/warm.sh /hdfs
VOLUME /data
ENV HDFS_DIR=/data HDFS_BIND=0.0.0.0
EXPOSE 9870 9864
ENTRYPOINT ["/hdfs/hdfs.sh"]
CMD ["up"]
