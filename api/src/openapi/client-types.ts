import { z } from "zod";
import { Schema } from "./json-schema.ts";

const Content = z.record(z.string(), z.object({ schema: Schema }));
const Operation = z.object({
  summary: z.string().optional(),
  parameters: z
    .array(
      z.object({
        in: z.enum(["path", "query", "header"]),
        name: z.string(),
        required: z.boolean().default(false),
        schema: Schema,
      }),
    )
    .default([]),
  requestBody: z.object({ content: Content, required: z.boolean().default(false) }).optional(),
  responses: z.record(z.string(), z.object({ content: Content.optional() })),
});
type Operation = z.infer<typeof Operation>;

const Description = z.object({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ schemas: z.record(z.string(), Schema) }),
});

const HEAD = `// Generated from the API's description by \`make generate\`: do not edit.
`;

/** TypeScript that says of every route what goes in and what comes out. */
export function clientTypes(document: unknown): string {
  const { paths, components } = Description.parse(document);
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, operation]) => `  "${method.toUpperCase()} ${path}": ${operationOf(operation)};\n`,
    ),
  );
  const types = new Map(
    Object.entries(components.schemas).map(([name, schema]) => [name, typeOf(schema)]),
  );
  const named = [...namesIn(routes.join(""), types)]
    .toSorted()
    .map((name) => `type ${name} = ${types.get(name) ?? "unknown"};\n`);
  const problem = `export type Problem = ${types.get("Problem") ?? "unknown"};\n`;
  return `${HEAD}\n${[problem, ...named].join("\n")}\nexport interface Operations {\n${routes.join("")}}\n`;
}

function words(text: string): readonly string[] {
  return Array.from(text.matchAll(/\b[A-Z]\w*\b/g), ([word]) => word);
}

/** Names of types in a text, and in those types. */
function namesIn(text: string, types: ReadonlyMap<string, string>): ReadonlySet<string> {
  const found = new Set<string>();
  const known = (word: string) => types.has(word) && word !== "Problem";
  for (const word of words(text)) if (known(word)) found.add(word);
  // A set's iteration goes on over what is added to it meanwhile.
  for (const name of found)
    for (const word of words(types.get(name) ?? "")) if (known(word)) found.add(word);
  return found;
}

function operationOf({ parameters, requestBody, responses }: Operation): string {
  const place = (wanted: "path" | "query" | "header"): string => {
    const those = parameters.filter((parameter) => parameter.in === wanted);
    if (those.length === 0) return "undefined";
    const type = typeOf({
      type: "object",
      properties: Object.fromEntries(those.map(({ name, schema }) => [name, schema])),
      required: those.filter(({ required }) => required).map(({ name }) => name),
    });
    return those.some(({ required }) => required) ? type : `${type} | undefined`;
  };
  const body = requestBody?.content["application/json"]?.schema;
  const members = [
    `path: ${place("path")}`,
    `query: ${place("query")}`,
    `headers: ${place("header")}`,
    `body: ${body === undefined ? "undefined" : typeOf(body)}`,
    `answer: ${answerOf(responses)}`,
  ];
  return `{ ${members.join("; ")} }`;
}

/** Of what is answered when all went well. */
function answerOf(responses: Operation["responses"]): string {
  const good = Object.entries(responses).filter(([status]) => status.startsWith("2"));
  const types = good.map(([, { content }]) => {
    const json = content?.["application/json"]?.schema;
    return json === undefined ? (content === undefined ? "undefined" : "string") : typeOf(json);
  });
  return [...new Set(types)].join(" | ");
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "unknown";
  const ways = schema.anyOf ?? schema.oneOf;
  if (ways !== undefined) return union(ways.map(typeOf));
  if (schema.enum !== undefined) return union(schema.enum.map((value) => JSON.stringify(value)));
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.type)) {
    return union(schema.type.map((type) => typeOf({ ...schema, type })));
  }
  switch (schema.type) {
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "array":
      return `readonly (${typeOf(schema.items ?? {})})[]`;
    case "object":
      return objectOf(schema);
    case undefined:
    default:
      return "unknown";
  }
}

function union(types: readonly string[]): string {
  return [...new Set(types)].join(" | ");
}

function objectOf({ properties = {}, required = [], additionalProperties }: Schema): string {
  const members = Object.entries(properties).map(([name, member]) => {
    const optional = required.includes(name) ? "" : "?";
    return `readonly ${JSON.stringify(name)}${optional}: ${typeOf(member)}`;
  });
  if (members.length > 0) return `{ ${members.join("; ")} }`;
  if (typeof additionalProperties === "object") {
    return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`;
  }
  return additionalProperties === false || additionalProperties === undefined
    ? "Readonly<Record<string, never>>"
    : "Readonly<Record<string, unknown>>";
}
