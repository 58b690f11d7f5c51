import { RsiParams, openApiV3Schema } from "@tradingbots/crds";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const text = z.string().max(10);

describe("openApiV3Schema refuses what a structural schema cannot hold", () => {
  it.each([
    ["a union", z.object({ a: z.union([text, z.int()]) }), "a: anyOf is not structural"],
    [
      "a discriminated union",
      z.object({
        a: z.discriminatedUnion("t", [
          z.object({ t: z.literal("x") }),
          z.object({ t: z.literal("y") }),
        ]),
      }),
      "a: oneOf is not structural",
    ],
    [
      "an intersection that is not of plain objects",
      z.object({ a: z.intersection(text, z.record(z.string(), text)) }),
      "a: allOf is not structural",
    ],
    ["a tuple", z.object({ a: z.tuple([text, text]) }), "a"],
    ["a strict object", z.object({ a: z.strictObject({ b: text }) }), "a: properties and"],
    ["a loose object", z.object({ a: z.looseObject({ b: text }) }), "a: properties and"],
    ["an unbounded string", z.object({ a: z.string() }), "a: a string needs a maximum length"],
    ["an unbounded array", z.object({ a: z.array(text) }), "a: an array needs a maximum length"],
    [
      "an unbounded string inside an array",
      z.object({ a: z.array(z.object({ b: z.string() })).max(1) }),
      "a.[].b: a string needs a maximum length",
    ],
    [
      "an unbounded string inside a record",
      z.object({ a: z.record(z.string(), z.string()) }),
      "a.{}: a string needs a maximum length",
    ],
    ["any value", z.object({ a: z.unknown() }), "a: a structural schema names its type"],
    ["a date", z.object({ a: z.date() }), "Date cannot be represented"],
    ["a strict parameter schema", RsiParams, "the schema: properties and"],
  ])("%s", (_name, schema, message) => {
    expect(() => openApiV3Schema(schema)).toThrow(message);
  });
});

describe("openApiV3Schema keeps", () => {
  it("bounds, defaults, descriptions and rules, and leaves out what only zod needs", () => {
    const rules = [{ rule: "self > 0", message: "must be positive" }];
    const schema = z.object({
      count: z.int().max(5).default(1).describe("How many."),
      name: text.optional().meta({ "x-kubernetes-validations": rules }),
    });
    expect(openApiV3Schema(schema)).toEqual({
      type: "object",
      properties: {
        count: { type: "integer", maximum: 5, default: 1, description: "How many." },
        name: { type: "string", maxLength: 10, "x-kubernetes-validations": rules },
      },
    });
  });

  it("writes out an object's default, because its rules are run on it", () => {
    const inner = z.object({ a: z.int().default(3), b: z.int().optional() }).prefault({});
    const schema = z.object({ outer: z.object({ inner }).prefault({}) });
    expect(openApiV3Schema(schema)).toHaveProperty("properties.outer.default", { inner: { a: 3 } });
  });

  it("says a fractional minimum once more as a rule, because the API server rounds it down", () => {
    const schema = z.object({ percent: z.number().min(0.05).max(50) });
    expect(openApiV3Schema(schema)).toHaveProperty("properties.percent", {
      type: "number",
      minimum: 0.05,
      maximum: 50,
      "x-kubernetes-validations": [{ rule: "self >= 0.05", message: "must be at least 0.05" }],
    });
  });
});
