import { createHash } from "node:crypto";
import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ConnectionOptions } from "../postgres.ts";
import { ScramClient } from "./scram.ts";
import { passwordMessage, saslInitialMessage, saslMessage, zeroTerminated } from "./wire.ts";

/** The number in an Authentication message. PostgreSQL docs, "Message Formats". */
const REQUEST = { ok: 0, clearText: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;
const MECHANISM = "SCRAM-SHA-256";
const OTHER_METHODS: Readonly<Record<number, string>> = {
  2: "Kerberos V5",
  6: "SCM credentials",
  7: "GSSAPI",
  9: "SSPI",
};

/** Answers the server's requests for proof of who we are. */
export class Authenticator {
  readonly #connection: ConnectionOptions;
  #scram: ScramClient | undefined;

  constructor(connection: ConnectionOptions) {
    this.#connection = connection;
  }

  /**
   * The answer to one Authentication message; undefined when none is due.
   *
   * @throws {PostgresError} when a password is missing, the method is not known, or the server
   * could not prove that it knows the password.
   */
  async answer(body: Bytes): Promise<Bytes | undefined> {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const request = body.length < 4 ? -1 : view.getInt32(0);
    const data = body.subarray(4);
    switch (request) {
      case REQUEST.ok:
        return this.#accepted();
      case REQUEST.clearText:
        return passwordMessage(this.#password());
      case REQUEST.md5:
        return passwordMessage(md5Answer(this.#connection.user, this.#password(), data));
      case REQUEST.sasl:
        return this.#beginScram(zeroTerminated(data));
      case REQUEST.saslContinue:
        return saslMessage(await this.#client().final(text(data)));
      case REQUEST.saslFinal:
        this.#client().verify(text(data));
        return undefined;
      default:
        throw unsupported(OTHER_METHODS[request] ?? `number ${request}`);
    }
  }

  #accepted(): undefined {
    if (!this.#scram || this.#scram.verified) return undefined;
    throw new PostgresError(
      "the server let us in without the proof that SCRAM-SHA-256 asks of it",
      "is something between this machine and PostgreSQL?",
    );
  }

  #beginScram(mechanisms: readonly string[]): Bytes {
    if (!mechanisms.includes(MECHANISM)) throw unsupported(mechanisms.filter(Boolean).join(", "));
    this.#scram = new ScramClient(this.#password());
    return saslInitialMessage(MECHANISM, this.#scram.first());
  }

  #client(): ScramClient {
    if (!this.#scram) {
      throw new PostgresError("the server went on with a SASL exchange never begun");
    }
    return this.#scram;
  }

  #password(): string {
    const { password, user } = this.#connection;
    if (password !== undefined && password !== "") return password;
    throw new PostgresError(
      `the server asks for the password of role ${user}, and none is set`,
      "set PG_PASSWORD, or a line in ~/.pgpass (mode 0600)",
    );
  }
}

/** `md5` and the hash of (the hash of password and user, and the salt). */
function md5Answer(user: string, password: string, salt: Bytes): string {
  const inner = createHash("md5").update(`${password}${user}`).digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}

function text(bytes: Bytes): string {
  return new TextDecoder().decode(bytes);
}

function unsupported(method: string): PostgresError {
  return new PostgresError(
    `the server asks for an authentication that backupctl does not know: ${method}`,
    "use scram-sha-256, md5, password, cert, peer or trust for this role in pg_hba.conf",
  );
}
