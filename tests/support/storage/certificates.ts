/** A throw-away authority and a certificate of it. */
export interface Certificates {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** Makes both with openssl, for one name or IP address. (rustls wants the two to be apart.) */
export async function selfSigned(name: string): Promise<Certificates> {
  const folder = await Deno.makeTempDir();
  try {
    const kind = /^[\d.]+$/.test(name) ? "IP" : "DNS";
    const ext = `basicConstraints=CA:FALSE\nsubjectAltName=${kind}:${name}\n`;
    await Deno.writeTextFile(`${folder}/ext`, ext);
    const ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    await openssl(folder, `req -x509 ${ec} -days 2 -subj /CN=authority -keyout ca.key -out ca.crt`);
    await openssl(folder, `req ${ec} -subj /CN=server -keyout key -out csr`);
    await openssl(
      folder,
      "x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out crt",
    );
    const [authority, certificate, key] = await Promise.all(
      ["ca.crt", "crt", "key"].map((file) => Deno.readTextFile(`${folder}/${file}`)),
    );
    return { authority: authority!, certificate: certificate!, key: key! };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function openssl(cwd: string, args: string): Promise<void> {
  const output = await new Deno.Command("openssl", { args: args.split(" "), cwd }).output();
  if (!output.success) throw new Error(new TextDecoder().decode(output.stderr));
}
