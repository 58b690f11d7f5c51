import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/**
 * JSON schemas for kubeconform, made from what an API server itself publishes under /openapi/v3. The public collection that
 * kubeconform downloads is made from the same source; this one needs no network, is of the very version that is tested, and
 * knows our own kinds.
 */

const Index = z.object({
  paths: z.record(z.string(), z.object({ serverRelativeURL: z.string() })),
});
type Schema = Record<string, unknown>;
const Document = z.object({
  components: z
    .object({ schemas: z.record(z.string(), z.record(z.string(), z.unknown())) })
    .optional(),
});
const GroupVersionKinds = z.array(
  z.object({ group: z.string(), version: z.string(), kind: z.string() }),
);

type Get = (path: string) => Promise<unknown>;

/** Where kubeconform finds what `writeSchemas` wrote: its option `-schema-location`. */
export function schemaLocation(directory: string): string {
  return join(directory, "{{ .ResourceKind }}{{ .KindSuffix }}.json");
}

/** Writes one strict schema per kind of the API server. */
export async function writeSchemas(get: Get, directory: string): Promise<void> {
  const { paths } = Index.parse(await get("/openapi/v3"));
  for (const [name, { serverRelativeURL }] of Object.entries(paths)) {
    if (!/^apis?\/.*v\d/.test(name)) continue;
    const schemas = Document.parse(await get(serverRelativeURL)).components?.schemas ?? {};
    const strict = Object.fromEntries(
      Object.entries(schemas).map(([key, schema]) => [key, closed(schema)]),
    );
    for (const [key, schema] of Object.entries(schemas)) {
      const kinds = GroupVersionKinds.safeParse(schema["x-kubernetes-group-version-kind"]);
      // Options and lists belong to every group; what is applied belongs to one.
      if (!kinds.success || kinds.data.length !== 1 || kinds.data[0] === undefined) continue;
      const file = join(directory, fileName(kinds.data[0]));
      const document = { $ref: `#/components/schemas/${key}`, components: { schemas: strict } };
      await writeFile(file, JSON.stringify(document));
    }
  }
}

function fileName({ group, version, kind }: z.infer<typeof GroupVersionKinds>[number]): string {
  const groupPart = group === "" ? "" : `-${group.split(".")[0] ?? ""}`;
  return `${kind.toLowerCase()}${groupPart}-${version}.json`;
}

/** The schema with unknown properties refused, at every depth. */
function closed(schema: Schema): Schema {
  const result = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closedValue(value)]),
  );
  const open =
    schema["additionalProperties"] !== undefined ||
    schema["x-kubernetes-preserve-unknown-fields"] === true;
  return schema["properties"] === undefined || open
    ? result
    : { ...result, additionalProperties: false };
}

function closedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closedValue);
  return isSchema(value) ? closed(value) : value;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null;
}
