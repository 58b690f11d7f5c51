import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { z } from "zod";
import { Schema } from "../../src/openapi/json-schema.ts";

const Content = z.record(z.string(), z.object({ schema: Schema }));
const Operation = z.object({
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
  requestBody: z.object({ content: Content }).optional(),
  responses: z.record(z.string(), z.object({ content: Content.optional() })),
});

const Description = z.object({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ schemas: z.record(z.string(), Schema) }),
});
export interface DescribedRoute extends z.infer<typeof Operation> {
  readonly method: string;
  readonly path: string;
}

export function readDescription(document: unknown) {
  const description = Description.parse(document);
  const routes: readonly DescribedRoute[] = Object.entries(description.paths).flatMap(
    ([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({
        ...operation,
        path,
        method: method.toUpperCase(),
      })),
  );
  return { routes, components: description.components.schemas, faultOf: answerJudge(document) };
}

interface Answer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
}

/** Says what of an answer is not as its route describes it; undefined when all is. */
function answerJudge(document: unknown) {
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  addFormats.default(ajv);
  ajv.addSchema(Object.assign({ $id: "api" }, document));
  const compiled = new Map<string, ValidateFunction>();

  function validatorOf(pointer: readonly string[]): ValidateFunction {
    const ref = `api#/${pointer.map(escaped).join("/")}`;
    const known = compiled.get(ref) ?? ajv.compile({ $ref: ref });
    compiled.set(ref, known);
    return known;
  }

  return (route: DescribedRoute, answer: Answer): string | undefined => {
    const key = String(answer.status) in route.responses ? String(answer.status) : "default";
    const described = route.responses[key];
    if (described === undefined) return `status ${answer.status} is not described`;
    if (described.content === undefined) return answer.text === "" ? undefined : "a body";
    const [type = ""] = (answer.contentType ?? "").split(";");
    if (!(type in described.content)) return `content type ${type} is not described`;
    if (!type.endsWith("json")) return undefined;
    const { path, method } = route;
    const place = [
      "paths",
      path,
      method.toLowerCase(),
      "responses",
      key,
      "content",
      type,
      "schema",
    ];
    const validate = validatorOf(place);
    const isValid: unknown = validate(JSON.parse(answer.text));
    return isValid === true ? undefined : ajv.errorsText(validate.errors);
  };
}

/** RFC 6901, in a URI's fragment. */
function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}
