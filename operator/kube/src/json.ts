export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field of something that may not be an object at all. */
export function jsonField(value: unknown, name: string): unknown {
  return isJsonObject(value) ? value[name] : undefined;
}
