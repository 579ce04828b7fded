import { S3Store } from "../../../src/storage/s3.ts";
import { createBucket, realServers } from "../light_stores.ts";

/** A store on each real server that `BACKUPCTL_TEST_S3_ENDPOINT` names, in a bucket of its own. */
export function realStores(): readonly {
  readonly name: string;
  readonly open: () => Promise<S3Store>;
}[] {
  return realServers().map((server) => ({
    name: server.name,
    open: async () => {
      const bucket = `retention-${crypto.randomUUID()}`;
      await createBucket(server, bucket);
      const { endpoint, region, credentials, caFile } = server.options;
      return new S3Store({
        ...{ bucket, allowHttp: true, endpoint: endpoint!, region: region!, prefix: "p" },
        ...(credentials && { credentials }),
        ...(caFile !== undefined && { caFile }),
      });
    },
  }));
}
