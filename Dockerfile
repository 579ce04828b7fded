# backupctl with PostgreSQL's client programs. pg_dump must be at least as new as the server:
# docker build --build-arg POSTGRES=18 -t backupctl .
ARG POSTGRES=18

FROM node:22-bookworm AS build
WORKDIR /src
COPY . .
RUN npx -y deno@2.9.6 task compile

FROM postgres:${POSTGRES}-bookworm
COPY --from=build /src/dist/backupctl /usr/local/bin/backupctl
COPY --chmod=755 config/healthcheck.sh /usr/local/bin/healthcheck.sh
# The volume of state: runs that the index in PostgreSQL has not recorded yet.
RUN install -d -o 999 -g 999 -m 700 /var/lib/backupctl
ENV XDG_STATE_HOME=/var/lib/backupctl
VOLUME /var/lib/backupctl
USER 999:999
WORKDIR /var/lib/backupctl
HEALTHCHECK --interval=5m --timeout=1m --start-period=1m CMD ["healthcheck.sh"]
ENTRYPOINT ["backupctl"]
CMD ["--help"]
