# The node: what users install from npm, on Debian, with the Node that the tests run on. docker/up.sh prepares the context.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN mkdir /data && chown 10001:10001 /data
COPY node /usr/local/bin/node
COPY app /app
COPY create-bucket.mjs /app/
USER 10001:10001
WORKDIR /data
VOLUME /data
# inside of a container loopback reaches nobody
ENV ROBUST_DATA=/data ROBUST_ADMIN__HOST=0.0.0.0 ROBUST_BROKERS__KAFKA__HOST=0.0.0.0 ROBUST_BROKERS__MQTT__HOST=0.0.0.0
EXPOSE 1883 9092 9644
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["node", "-e", "fetch('http://127.0.0.1:9644/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/node_modules/@robustmq/server/bin/robust-server.js"]
CMD ["start"]
