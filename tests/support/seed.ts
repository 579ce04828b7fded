/**
 * Loaded before each file of tests: where BACKUPCTL_TEST_SEED is set, every property is tried from
 * that seed, and a run can be repeated as it was. `.ci/run` takes it from the commit, so that what
 * is found there can be found again; without it each run looks elsewhere.
 *
 * @module
 */
import * as fc from "fast-check";

const seed = Deno.env.get("BACKUPCTL_TEST_SEED");
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) | 0 });
