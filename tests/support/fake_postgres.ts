/**
 * Scripted servers of the frontend/backend protocol, for what real ones cannot show: cuts in the
 * middle of a message, poolers, lies.
 *
 * @module
 */

/** One client's connection, as the script sees it. */
export class FakeSession {
  readonly #socket: Deno.Conn;
  #left = new Uint8Array(0);

  constructor(socket: Deno.Conn) {
    this.#socket = socket;
  }

  /** The parameters of the StartupMessage, or the code of an SSLRequest as `code`. */
  async startup(): Promise<Readonly<Record<string, string>>> {
    const length = new DataView((await this.#exactly(4)).buffer).getUint32(0);
    const body = await this.#exactly(length - 4);
    const code = new DataView(body.buffer).getUint32(0);
    const words = new TextDecoder().decode(body.subarray(4)).split("\0");
    const parameters: Record<string, string> = { code: String(code) };
    for (let index = 0; words[index]; index += 2) parameters[words[index]!] = words[index + 1]!;
    return parameters;
  }

  /** The next message: its letter and its body as text. */
  async message(): Promise<{ readonly type: string; readonly text: string }> {
    const head = await this.#exactly(5);
    const body = await this.#exactly(new DataView(head.buffer).getUint32(1) - 4);
    return { type: String.fromCharCode(head[0]!), text: new TextDecoder().decode(body) };
  }

  /** Sends bytes as they are. */
  async raw(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#socket.write(bytes.subarray(done));
    }
  }

  /** Sends messages. */
  async send(...messages: readonly Uint8Array[]): Promise<void> {
    for (const message of messages) await this.raw(message);
  }

  /** Lets the client in without asking for a proof, as a server of that version. */
  async welcome(version = "17.6"): Promise<void> {
    await this.startup();
    await this.send(authentication(0), parameter("server_version", version), READY);
  }

  close(): void {
    this.#socket.close();
  }

  async #exactly(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#left.length < length) {
      const buffer = new Uint8Array(65536);
      const count = await this.#socket.read(buffer);
      if (count === null) throw new Error("the client closed the connection");
      this.#left = concat([this.#left, buffer.subarray(0, count)]);
    }
    const taken = this.#left.slice(0, length);
    this.#left = this.#left.slice(length);
    return taken;
  }
}

/** A listening server; every connection runs the script, and is closed at its end. */
export interface FakeServer extends AsyncDisposable {
  readonly port: number;
  /** How many clients have connected. */
  readonly connections: () => number;
}

/** Starts a server on a free port of 127.0.0.1. */
export function fakePostgres(script: (session: FakeSession) => Promise<void>): FakeServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const running = new Set<Promise<void>>();
  const open = new Set<Deno.Conn>();
  let connections = 0;
  const accepting = (async () => {
    for await (const socket of listener) {
      connections += 1;
      open.add(socket);
      running.add(serve(socket, script));
    }
  })();
  return {
    port: listener.addr.port,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      open.forEach(closeQuietly);
      await Promise.all(running);
    },
  };
}

async function serve(
  socket: Deno.Conn,
  script: (session: FakeSession) => Promise<void>,
): Promise<void> {
  try {
    await script(new FakeSession(socket));
  } catch {
    // The client went away, which many scripts provoke.
  } finally {
    closeQuietly(socket);
  }
}

function closeQuietly(socket: Deno.Conn): void {
  try {
    socket.close();
  } catch {
    // Closed by the script or the client.
  }
}

/** A message of one letter and a body of texts and bytes. */
export function message(type: string, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const body = concat(
    parts.map((part) => typeof part === "string" ? new TextEncoder().encode(part) : part),
  );
  return concat([new TextEncoder().encode(type), int32(body.length + 4), body]);
}

/** ReadyForQuery. */
export const READY = message("Z", "I");

/** An Authentication request. */
export function authentication(request: number, ...data: readonly (string | Uint8Array)[]) {
  return message("R", int32(request), ...data);
}

/** A ParameterStatus. */
export function parameter(name: string, value: string): Uint8Array {
  return message("S", `${name}\0${value}\0`);
}

/** An ErrorResponse. */
export function errorResponse(code: string, text: string, severity = "FATAL"): Uint8Array {
  return message("E", `S${severity}\0V${severity}\0C${code}\0M${text}\0\0`);
}

/** A whole result: description, rows of text or null, completion. */
export function result(...rows: readonly (readonly (string | null)[])[]): Uint8Array {
  return concat([message("T", int16(0)), ...rows.map(row), message("C", "SELECT\0")]);
}

function row(values: readonly (string | null)[]): Uint8Array {
  const fields = values.flatMap((value) => {
    if (value === null) return [int32(-1)];
    const bytes = new TextEncoder().encode(value);
    return [int32(bytes.length), bytes];
  });
  return message("D", int16(values.length), ...fields);
}

function int16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setInt16(0, value);
  return bytes;
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

/** One array out of many. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
