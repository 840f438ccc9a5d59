# versitygw, an S3 server by other people than MinIO's, built from its Go module by tools/install-s3-servers.sh: nothing is pulled.
FROM scratch
COPY versitygw /versitygw
VOLUME /data
EXPOSE 9000
ENTRYPOINT ["/versitygw"]
CMD ["--port", ":9000", "posix", "/data"]
