import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { z } from "zod";
import { openApiDocument } from "./document.ts";
import { Schema } from "./json-schema.ts";

const Content = z.record(z.string(), z.object({ schema: Schema, example: z.unknown().optional() }));
const Described = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        requestBody: z.object({ content: Content }).optional(),
        responses: z.record(z.string(), z.object({ content: Content.optional() })),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), Schema) }),
});

const document = await openApiDocument();
const { paths, components } = Described.parse(document);

/** Bodies that clients send, and answers that they wait for. */
const said = Object.entries(paths).flatMap(([path, operations]) =>
  Object.entries(operations).flatMap(([method, { requestBody, responses }]) => {
    const good = Object.entries(responses).filter(([status]) => status.startsWith("2"));
    const parts = [
      { part: "body", content: requestBody?.content },
      ...good.map(([part, { content }]) => ({ part, content })),
    ];
    return parts.flatMap(({ part, content }) => {
      const json = content?.["application/json"];
      const name = `${method.toUpperCase()} ${path}, ${part}`;
      return json === undefined ? [] : [{ name, ...json }];
    });
  }),
);

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
ajv.addSchema(Object.assign({ $id: "api" }, document));

/** Beside a schema or in it, as the generator puts it. */
function examplesOf({ schema, example }: (typeof said)[number]): readonly unknown[] {
  if (example !== undefined) return [example];
  const { examples = [] } = components.schemas[schema.$ref?.split("/").at(-1) ?? ""] ?? schema;
  return z.array(z.unknown()).parse(examples);
}

/** As ajv finds it: a reference is one into the document. */
function faultOf(schema: Schema, example: unknown): string | undefined {
  const absolute: unknown = JSON.parse(
    JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/'),
  );
  if (typeof absolute !== "object" || absolute === null) throw new Error("a schema is an object");
  return ajv.validate(absolute, example) ? undefined : ajv.errorsText();
}

test.for(said)("$name has an example, and it is as described", (json) => {
  const examples = examplesOf(json);
  expect(examples).not.toEqual([]);
  for (const example of examples) {
    expect(faultOf(json.schema, example)).toBeUndefined();
    expect(example).not.toMatchObject({ items: [] });
  }
});

test("there are bodies and answers to look at", () => {
  expect(said.length).toBeGreaterThan(80);
});

test("every schema is one that a route leads to", () => {
  const text = JSON.stringify(document);
  for (const name of Object.keys(components.schemas)) {
    expect(text).toContain(`"#/components/schemas/${name}"`);
  }
});
