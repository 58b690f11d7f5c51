import * as fc from "fast-check";
import type { Schema } from "../../src/openapi/json-schema.ts";
import type { DescribedRoute } from "./description.ts";

/** What is sent; path and query are ready for a URL. */
export interface Input {
  readonly route: DescribedRoute;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** The same before it was written down: what there is of it in path, query and headers, and the body, unless it is no JSON. */
  readonly sent: Sent;
}

export interface Sent {
  readonly path: Texts;
  readonly query: Texts;
  readonly header: Texts;
  readonly body: unknown;
}

type Texts = Readonly<Record<string, string | undefined>>;

const DEPTH_MAX = 6;

/** What no schema of ours is fond of. */
const STRANGE = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    1e308,
    -0.1,
    2 ** 53,
    "",
    " ",
    "\u0000",
    "\ud800",
    "'\"--",
    "null",
  ),
  fc.constantFrom<unknown>(
    "../../etc/passwd",
    "%00",
    "𝕏".repeat(300),
    "9".repeat(400),
    "2026-02-30T25:61:61Z",
  ),
  fc.constantFrom<unknown>(
    [],
    {},
    { $ref: "#" },
    { toString: 1 },
    { constructor: { prototype: 1 } },
  ),
  fc.string({ unit: "binary" }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** The ends of time: as Postgres, JSON and RFC 3339 know them, and beyond. */
const ENDS = fc.constantFrom(
  "0000-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999Z",
  "-271821-04-20T00:00:00Z",
  "+275760-09-13T00:00:00Z",
);
const TIMES = fc.oneof(
  { weight: 4, arbitrary: ENDS },
  { weight: 1, arbitrary: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()) },
);

/** To the outside a cursor is any text: these are written as ours are, and say what ours never do, or another list's. */
const CURSORS = fc
  .oneof(
    { weight: 8, arbitrary: fc.tuple(TIMES, fc.uuid()) },
    { weight: 1, arbitrary: fc.tuple(TIMES, STRANGE) },
    { weight: 1, arbitrary: fc.uuid() },
    { weight: 1, arbitrary: fc.constantFrom("", "a", "-", "a".repeat(63), "a".repeat(64)) },
    { weight: 2, arbitrary: STRANGE },
  )
  .map((position) => Buffer.from(JSON.stringify(position)).toString("base64url"));

/** Inputs made of one that is as described: to make them anew each time would take longer than to answer them. */
const SPOILT_OF_EACH = 9;
/** Of these, on a list that goes on, requests that are as described but for where they go on. */
const CURSORS_OF_EACH = 7;

/** What a request says, before it is written down. */
interface Said {
  readonly path?: unknown;
  readonly query?: unknown;
  readonly headers?: unknown;
  readonly body?: unknown;
}

/** Requests to one route: the first as it is described, the others wrong in one place. */
export function inputs(
  routes: readonly DescribedRoute[],
  components: Readonly<Record<string, Schema>>,
): fc.Arbitrary<readonly Input[]> {
  return fc.oneof(...routes.map((route) => inputsOf(route, components)));
}

function inputsOf(
  route: DescribedRoute,
  components: Readonly<Record<string, Schema>>,
): fc.Arbitrary<readonly Input[]> {
  const context = { components, depth: 0 };
  const values = (place: "path" | "query" | "header") =>
    Object.fromEntries(
      route.parameters
        .filter((parameter) => parameter.in === place)
        .map(({ name, schema }) => [name, valueOf(schema, context)]),
    );
  const [path, headers] = [values("path"), values("header")];
  const [content] = Object.values(route.requestBody?.content ?? {});
  // What a route does not have is not there to be spoilt, but for a query: anybody can add one.
  const said: fc.Arbitrary<Said> = fc.record({
    query: fc.record(values("query"), { requiredKeys: [] }),
    ...(Object.keys(path).length === 0 ? {} : { path: fc.record(path) }),
    ...(Object.keys(headers).length === 0
      ? {}
      : { headers: fc.record(headers, { requiredKeys: [] }) }),
    ...(content === undefined ? {} : { body: valueOf(content.schema, context) }),
  });
  const spoilings = fc.array(fc.tuple(STRANGE, fc.nat()), {
    minLength: SPOILT_OF_EACH,
    maxLength: SPOILT_OF_EACH,
  });
  const goesOn = route.parameters.some(({ name }) => name === "cursor");
  const length = goesOn ? CURSORS_OF_EACH : 0;
  const cursors = fc.array(CURSORS, { minLength: length, maxLength: length });
  return fc
    .tuple(said, spoilings, cursors, RAW)
    .map(([valid, all, wheres, raw]) => [
      written(route, valid),
      ...wheres.map((cursor) => written(route, { ...valid, query: { cursor } })),
      ...all.slice(wheres.length).map((how) => written(route, spoil(valid, how))),
      rawly(written(route, valid), raw),
    ]);
}

/** Bodies that are no JSON, or say that they are something else. */
const RAW = fc.oneof(
  fc.string().map((text) => ({ type: "application/json", text: text.toWellFormed() })),
  fc
    .constantFrom("text/plain", "application/xml", "application/json; charset=latin1", "x")
    .map((type) => ({ type, text: "{}" })),
);

function rawly(input: Input, { type, text }: { type: string; text: string }): Input {
  const sent = { ...input.sent, header: {}, body: undefined };
  return { ...input, body: text, headers: { "content-type": type }, sent };
}

function written(route: DescribedRoute, said: unknown): Input {
  const { headers, body, ...others } = isRecord(said) ? said : {};
  const [path, query] = [textsOf(others["path"]), textsOf(others["query"])];
  const header = Object.fromEntries(
    Object.entries(textsOf(headers))
      .filter(([name]) => /^[a-z-]+$/.test(name))
      .map(([name, text = ""]) => [name, headerText(text)]),
  );
  return {
    route,
    url: `${filled(route.path, path)}${queryOf(query)}`,
    headers: { ...header, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    sent: { path, query, header, body },
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function textsOf(values: unknown): Texts {
  if (!isRecord(values)) return {};
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, asText(value)]));
}

function filled(path: string, values: Texts): string {
  // What is empty, or dots, would be another path.
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const text = wellFormed(values[name] ?? "");
    return encodeURIComponent(/^\.{0,2}$/.test(text) ? "x" : text);
  });
}

function queryOf(values: Texts): string {
  const pairs = Object.entries(values).map(([name, text = ""]) =>
    [name, text].map((part) => encodeURIComponent(wellFormed(part))).join("="),
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** Half a surrogate pair is in no URL and in no UTF-8. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}

/** A header is Latin-1 without control characters; what else there is, no client can send. */
function headerText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e\xa0-\xff]/g, "?");
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

/** Puts something strange into one place of a value, takes a member away, or adds one. */
function spoil(value: unknown, [strange, choice]: readonly [unknown, number]): unknown {
  if (typeof value === "string")
    return [strange, `${value}${asText(strange)}`, value.slice(1)][choice % 3];
  if (isList(value)) {
    if (value.length === 0 || choice % 4 === 0) return [...value, strange];
    const index = choice % value.length;
    return value.with(index, spoil(value[index], [strange, choice >> 2]));
  }
  if (!isRecord(value)) return strange;
  const entries = Object.entries(value);
  const entry = entries[choice % (entries.length + 1)];
  if (entry === undefined) return { ...value, [asText(strange).slice(0, 50)]: strange };
  const [name, member] = entry;
  if (choice % 5 === 0) return Object.fromEntries(entries.filter(([other]) => other !== name));
  return { ...value, [name]: spoil(member, [strange, choice >> 3]) };
}

interface Context {
  readonly components: Readonly<Record<string, Schema>>;
  readonly depth: number;
}

function valueOf(schema: Schema, { components, depth }: Context): fc.Arbitrary<unknown> {
  const inside = { components, depth: depth + 1 };
  if (depth > DEPTH_MAX) return fc.constant(null);
  if (schema.$ref !== undefined) {
    return valueOf(components[schema.$ref.split("/").at(-1) ?? ""] ?? {}, inside);
  }
  const ways = schema.anyOf ?? schema.oneOf;
  if (ways !== undefined) return fc.oneof(...ways.map((way) => valueOf(way, inside)));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type) => valueOf({ ...schema, type }, inside)));
  }
  switch (schema.type) {
    case "string":
      return stringOf(schema);
    case "integer":
      return fc.integer({ min: bounded(schema.minimum, -1e9), max: bounded(schema.maximum, 1e9) });
    case "number":
      return fc.double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "array": {
      const { minItems: minLength = 0, maxItems = 4 } = schema;
      const maxLength = Math.min(maxItems, minLength + 4);
      return fc.array(valueOf(schema.items ?? {}, inside), { minLength, maxLength });
    }
    case "object":
      return objectOf(schema, inside);
    case "null":
      return fc.constant(null);
    case undefined:
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function bounded(value: number | undefined, otherwise: number): number {
  return Math.trunc(Math.max(-1e9, Math.min(1e9, value ?? otherwise)));
}

function objectOf(schema: Schema, inside: Context): fc.Arbitrary<unknown> {
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, member]) => [name, valueOf(member, inside)] as const,
  );
  const known = new Set(members.map(([name]) => name));
  const requiredKeys = (schema.required ?? []).filter((name) => known.has(name));
  return fc.record(Object.fromEntries(members), { requiredKeys });
}

function stringOf({
  pattern,
  format,
  minLength = 0,
  maxLength = 60,
}: Schema): fc.Arbitrary<string> {
  if (format === "uuid") return fc.uuid();
  if (format === "date-time" || format === "date") {
    return fc
      .date({ noInvalidDate: true, min: new Date("1970-01-01"), max: new Date("2100-01-01") })
      .map((date) => date.toISOString().slice(0, format === "date" ? 10 : undefined));
  }
  if (pattern !== undefined) {
    return fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, maxLength));
  }
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.string({ minLength, maxLength: Math.min(maxLength, minLength + 60) }),
    },
    { weight: 1, arbitrary: fc.constant("a".repeat(Math.min(maxLength, 5_000))) },
    { weight: 1, arbitrary: fc.emailAddress() },
  );
}
