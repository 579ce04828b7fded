import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { codecContract } from "./codec.ts";

codecContract({ algorithm: "zstd", level: 1 }, () => new WorkerPool(2));
codecContract({ algorithm: "gzip", level: 6 }, () => new WorkerPool(2));
codecContract({ algorithm: "gzip", level: 1 }, () => new WorkerPool(1));
