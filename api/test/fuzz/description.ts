import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { z } from "zod";
import type { Sent } from "./inputs.ts";
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
  return {
    routes,
    components: description.components.schemas,
    faultOf: answerJudge(document),
    isGood: inputJudge(document),
  };
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

/** Says whether an input is as its route describes it. What is not JSON is so nowhere that a body is asked for. */
function inputJudge(document: unknown) {
  // Path, query and headers are text, whatever is written there.
  const texts = new Ajv2020({ strict: false, coerceTypes: true, logger: false });
  const bodies = new Ajv2020({ strict: false });
  for (const ajv of [texts, bodies]) {
    addFormats.default(ajv);
    ajv.addSchema(Object.assign({ $id: "api" }, document));
  }
  const compiled = new Map<string, (sent: Sent) => boolean>();

  function judgeOf({ method, path, parameters, requestBody }: DescribedRoute) {
    const places = (["path", "query", "header"] as const).map((place) => {
      const those = parameters.filter((parameter) => parameter.in === place);
      const validate = texts.compile({
        type: "object",
        properties: Object.fromEntries(those.map(({ name, schema }) => [name, schema])),
        required: those.filter(({ required }) => required).map(({ name }) => name),
        additionalProperties: place !== "query",
      });
      return (sent: Sent) => validate({ ...sent[place] });
    });
    const content = ["requestBody", "content", "application/json", "schema"];
    const pointer = ["paths", path, method.toLowerCase(), ...content].map(escaped).join("/");
    const ofBody = requestBody && bodies.compile({ $ref: `api#/${pointer}` });
    return (sent: Sent) =>
      places.every((isAsDescribed) => isAsDescribed(sent)) && (ofBody?.(sent.body) ?? true);
  }

  return (route: DescribedRoute, sent: Sent): boolean => {
    const key = `${route.method} ${route.path}`;
    const known = compiled.get(key) ?? judgeOf(route);
    compiled.set(key, known);
    return known(sent);
  };
}

/** RFC 6901, in a URI's fragment. */
function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}
