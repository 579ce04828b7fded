/** What a network is between a program and a server: connections pass, or are cut off. */
export class Severable implements AsyncDisposable {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;
  #severed = false;

  /** @param target where connections lead to. */
  constructor(target: { readonly hostname: string; readonly port: number }) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#accepting = this.#accept(target);
  }

  /** As if the server had been stopped: what is open ends, and nothing new is answered. */
  sever(): void {
    this.#severed = true;
    for (const connection of this.#open) close(connection);
  }

  /** As if it had been started again. */
  mend(): void {
    this.#severed = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sever();
    this.#listener.close();
    await this.#accepting;
  }

  async #accept(target: Deno.ConnectOptions): Promise<void> {
    const pairs = new Set<Promise<void>>();
    for await (const from of this.#listener) {
      if (this.#severed) {
        close(from);
        continue;
      }
      const pair = this.#join(from, target).finally(() => pairs.delete(pair));
      pairs.add(pair);
    }
    await Promise.all(pairs);
  }

  async #join(from: Deno.Conn, target: Deno.ConnectOptions): Promise<void> {
    this.#open.add(from);
    try {
      const to = await Deno.connect(target);
      this.#open.add(to);
      await Promise.allSettled([
        from.readable.pipeTo(to.writable),
        to.readable.pipeTo(from.writable),
      ]);
      this.#open.delete(to);
      close(to);
    } catch {
      // The server is away.
    }
    this.#open.delete(from);
    close(from);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
