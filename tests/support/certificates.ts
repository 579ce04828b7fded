/** Files in PEM form for tests of TLS. */
export interface Certificates {
  /** The authority that signed `serverCert` and `clientCert`. */
  readonly ca: string;
  /** An authority that signed nothing. */
  readonly otherCa: string;
  /** For `localhost` and 127.0.0.1. */
  readonly serverCert: string;
  readonly serverKey: string;
  /** Its common name is `postgres`. */
  readonly clientCert: string;
  readonly clientKey: string;
}

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];

/**
 * Makes certificates in `folder` with the `openssl` program.
 *
 * @param names the subject's alternative names of the server.
 */
export async function makeCertificates(
  folder: string,
  names = "DNS:localhost,IP:127.0.0.1",
): Promise<Certificates> {
  const file = (name: string) => `${folder}/${name}.pem`;
  await authority(file("ca"), file("ca_key"), "backupctl test CA");
  await authority(file("other_ca"), file("other_ca_key"), "another test CA");
  await leaf(folder, "server", { name: "localhost", extension: `subjectAltName=${names}` });
  await leaf(folder, "client", { name: "postgres", extension: "extendedKeyUsage=clientAuth" });
  return {
    ca: file("ca"),
    otherCa: file("other_ca"),
    serverCert: file("server"),
    serverKey: file("server_key"),
    clientCert: file("client"),
    clientKey: file("client_key"),
  };
}

function authority(cert: string, key: string, name: string): Promise<void> {
  return openssl(["req", "-x509", ...EC, "-keyout", key, "-out", cert, "-subj", `/CN=${name}`]);
}

async function leaf(
  folder: string,
  name: string,
  subject: { readonly name: string; readonly extension: string },
): Promise<void> {
  const [key, request] = [`${folder}/${name}_key.pem`, `${folder}/${name}.csr`];
  const extensions = `${folder}/${name}.ext`;
  await Deno.writeTextFile(extensions, `basicConstraints=CA:FALSE\n${subject.extension}\n`);
  await openssl(["req", ...EC, "-keyout", key, "-out", request, "-subj", `/CN=${subject.name}`]);
  await openssl([
    ...["x509", "-req", "-in", request, "-days", "30", "-out", `${folder}/${name}.pem`],
    ...["-CA", `${folder}/ca.pem`, "-CAkey", `${folder}/ca_key.pem`, "-CAcreateserial"],
    ...["-extfile", extensions],
  ]);
  await Deno.chmod(key, 0o600);
}

async function openssl(args: string[]): Promise<void> {
  const result = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  if (result.success) return;
  throw new Error(`openssl ${args.join(" ")}: ${new TextDecoder().decode(result.stderr)}`);
}
