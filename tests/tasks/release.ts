/**
 * `deno task release [--deno FILE]`: what is published, in `dist/release`: the executable, the list
 * of what is in it (CycloneDX 1.6), and SHA256SUMS of both. The same commit gives the same bytes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import project from "../../deno.json" with { type: "json" };
import { DIST } from "./bundle.ts";
import { compile } from "./compile.ts";
import { dependencies, type Dependency } from "./dependencies.ts";

/** A CycloneDX document (https://cyclonedx.org/docs/1.6/json/) of the packages in the executable. */
export function bill(packages: readonly Dependency[]): Record<string, unknown> {
  const { name, version } = project;
  const purl = `pkg:generic/${name}@${version}`;
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        ...{ type: "application", "bom-ref": purl, name, version, purl },
        licenses: [{ license: { id: project.license } }],
      },
    },
    components: packages.map(component),
  };
}

function component({ name, version, integrity, licence }: Dependency): Record<string, unknown> {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const content = Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
  return {
    ...{ type: "library", "bom-ref": purl, name, version, purl, scope: "required" },
    licenses: [licence.includes(" ") ? { expression: licence } : { license: { id: licence } }],
    hashes: [{ alg: "SHA-512", content }],
  };
}

async function release(deno: string): Promise<void> {
  const folder = `${DIST}/release`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  const executable = await compile(deno);
  await Deno.mkdir(folder);
  const base = `${project.name}-${project.version}`;
  const names = [`${base}-${Deno.build.target}`, `${base}.cdx.json`] as const;
  await Deno.copyFile(executable, `${folder}/${names[0]}`);
  const text = `${JSON.stringify(bill(await dependencies()), undefined, 2)}\n`;
  await Deno.writeTextFile(`${folder}/${names[1]}`, text);
  const sums = await Promise.all(names.map(async (name) => {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    return `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`;
  }));
  await Deno.writeTextFile(`${folder}/SHA256SUMS`, sums.join(""));
  console.log(sums.join(""));
}

if (import.meta.main) {
  const { values } = parseArgs({ args: Deno.args, options: { deno: { type: "string" } } });
  await release(values.deno ?? Deno.execPath());
}
