import * as z from "zod";
import { type PrinterColumn, type Rule, rules, type Scale } from "./kind.ts";

type JsonSchema = Record<string, unknown>;

/** The part of a kind that its CustomResourceDefinition shows. */
interface ManifestKind {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly group: string;
  readonly version: string;
  readonly shortNames: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly columns: readonly PrinterColumn[];
  readonly scale?: Scale;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly rules?: readonly Rule[];
}

/**
 * The CustomResourceDefinition of a kind, ready to be written as YAML.
 * @throws Error when a schema holds what a structural schema cannot (unions, tuples, strict or loose objects).
 */
export function customResourceDefinition(kind: ManifestKind): JsonSchema {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${kind.plural}.${kind.group}` },
    spec: {
      group: kind.group,
      scope: kind.scope,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        // Not `tradingbots`: kubectl prefers a category to a plural, and `kubectl get tradingbots` would list every kind.
        categories: ["trading"],
      },
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec: openApiV3Schema(kind.spec),
                status: openApiV3Schema(kind.status),
              },
              ...(kind.rules === undefined ? {} : rules(...kind.rules)),
            },
          },
          subresources: {
            status: {},
            ...(kind.scale === undefined ? {} : { scale: kind.scale }),
          },
          additionalPrinterColumns: kind.columns,
        },
      ],
    },
  };
}

/** Turns a zod schema into the structural schema that the API server accepts. */
export function openApiV3Schema(schema: z.ZodType): JsonSchema {
  const converted = z.toJSONSchema(schema, {
    target: "openapi-3.0",
    io: "input",
    unrepresentable: "throw",
  });
  return structural(converted, []);
}

/** The API server runs an object's rules on its default before it fills in the defaults inside: so they are written out. */
function filledIn(schema: JsonSchema, value: JsonSchema): JsonSchema {
  const result: JsonSchema = { ...value };
  for (const [name, property] of Object.entries(asSchema(schema["properties"] ?? {}))) {
    const inner = asSchema(property);
    const present = result[name] ?? inner["default"];
    if (present === undefined) continue;
    result[name] = isObject(present) ? filledIn(inner, present) : present;
  }
  return result;
}

const NOT_STRUCTURAL = ["anyOf", "oneOf", "allOf", "not", "$ref"];

function structural(schema: JsonSchema, path: readonly string[]): JsonSchema {
  assertStructural(schema, path);
  const { properties, items, additionalProperties, ...rest } = schema;
  const result: JsonSchema = withFractionalMinimum(withoutSafeIntegerBounds(rest));
  if (isObject(properties)) {
    result["properties"] = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name,
        structural(asSchema(property), [...path, name]),
      ]),
    );
  }
  if (isObject(result["default"])) result["default"] = filledIn(result, result["default"]);
  if (items !== undefined) result["items"] = structural(asSchema(items), [...path, "[]"]);
  const keepsUnknown = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (isObject(additionalProperties) && !keepsUnknown) {
    result["additionalProperties"] = structural(additionalProperties, [...path, "{}"]);
  }
  return result;
}

function assertStructural(schema: JsonSchema, path: readonly string[]): void {
  const where = path.length === 0 ? "the schema" : path.join(".");
  for (const keyword of NOT_STRUCTURAL) {
    if (keyword in schema) throw new Error(`${where}: ${keyword} is not structural`);
  }
  if (schema["type"] === undefined) throw new Error(`${where}: a structural schema names its type`);
  if (schema["properties"] !== undefined && schema["additionalProperties"] !== undefined) {
    throw new Error(`${where}: properties and additionalProperties exclude each other`);
  }
  if (schema["type"] === "string" && !("maxLength" in schema) && !("enum" in schema)) {
    throw new Error(`${where}: a string needs a maximum length, CEL's cost depends on it`);
  }
  if (schema["type"] === "array" && !("maxItems" in schema)) {
    throw new Error(`${where}: an array needs a maximum length, CEL's cost depends on it`);
  }
}

/**
 * The API server compares a whole number with the whole part of a minimum (kube-openapi's MinimumNativeType), so 0 would
 * pass a minimum of 0.05. A rule says it once more.
 */
function withFractionalMinimum(schema: JsonSchema): JsonSchema {
  const minimum = schema["minimum"];
  if (typeof minimum !== "number" || Number.isInteger(minimum)) return schema;
  const rule = { rule: `self >= ${minimum}`, message: `must be at least ${minimum}` };
  const others = schema["x-kubernetes-validations"];
  return {
    ...schema,
    "x-kubernetes-validations": Array.isArray(others) ? [...(others as unknown[]), rule] : [rule],
  };
}

/** zod bounds integers by ±(2^53 − 1): true, but noise in a manifest. */
function withoutSafeIntegerBounds(schema: JsonSchema): JsonSchema {
  const result = { ...schema };
  if (result["maximum"] === Number.MAX_SAFE_INTEGER) delete result["maximum"];
  if (result["minimum"] === Number.MIN_SAFE_INTEGER) delete result["minimum"];
  return result;
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function asSchema(value: unknown): JsonSchema {
  if (!isObject(value)) throw new Error(`expected a schema, found ${JSON.stringify(value)}`);
  return value;
}
