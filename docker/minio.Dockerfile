# MinIO, built from its Go module by tools/install-s3-servers.sh: nothing is pulled.
FROM scratch
COPY minio /minio
VOLUME /data
EXPOSE 9000
ENTRYPOINT ["/minio"]
CMD ["server", "/data"]
