import type { ObjectStore } from "../../../src/storage/storage.ts";

/** Thrown in the place where the process would have been killed. */
export class Killed extends Error {}

/** A store whose user is killed at its `at`-th change: nothing that it asks for happens any more. */
export class DyingStore implements ObjectStore {
  changes = 0;
  readonly #store: ObjectStore;
  readonly #at: number;

  constructor(store: ObjectStore, at: number) {
    this.#store = store;
    this.#at = at;
  }

  get location(): string {
    return this.#store.location;
  }

  put(...[key, body, options]: Parameters<ObjectStore["put"]>) {
    this.#change();
    return this.#store.put(key, body, options);
  }

  get(...[key, options]: Parameters<ObjectStore["get"]>) {
    this.#check();
    return this.#store.get(key, options);
  }

  head(...[key, options]: Parameters<ObjectStore["head"]>) {
    this.#check();
    return this.#store.head(key, options);
  }

  list(...[prefix, options]: Parameters<ObjectStore["list"]>) {
    this.#check();
    return this.#store.list(prefix, options);
  }

  delete(...[keys, options]: Parameters<ObjectStore["delete"]>) {
    this.#change();
    return this.#store.delete(keys, options);
  }

  #change(): void {
    this.changes += 1;
    this.#check();
  }

  #check(): void {
    if (this.changes >= this.#at) throw new Killed("killed");
  }
}
