import { isJsonObject, jsonField, type JsonObject } from "./json.ts";

const KEY = '"managedFields":[';
/** Before the key, this is a list, which has many of them. */
const ITEMS = '"items":[';
/** Stands for what was left out; no API server says it. */
const MARK = 0;

/**
 * An object of the API server's, or a watch event with one, without its record of who has set which field: `metadata.managedFields` is not
 * there, because an empty list that is written back would erase the record. It is half of a pod's bytes, and parsing it takes more than
 * half of the time, because it is deep. Lists keep it.
 * @throws SyntaxError
 */
export function parseObject(text: string): unknown {
  const key = text.indexOf(KEY);
  const start = key + KEY.length;
  // There is no list in the record, so this is its end; if it lies in a text, what is left cannot be parsed.
  const end = text.indexOf("]", start);
  const isInList = text.lastIndexOf(ITEMS, key) !== -1;
  if (key === -1 || end === -1 || isInList) return JSON.parse(text);
  try {
    const value: unknown = JSON.parse(`${text.slice(0, start)}${MARK}${text.slice(end)}`);
    const metadata = markedIn(value) ?? markedIn(jsonField(value, "object"));
    if (metadata === undefined) return JSON.parse(text); // what was left out is a field of this name elsewhere
    Reflect.deleteProperty(metadata, "managedFields");
    return value;
  } catch {
    return JSON.parse(text);
  }
}

/** The object's metadata, if the mark stands in it. */
function markedIn(object: unknown): JsonObject | undefined {
  const metadata = jsonField(object, "metadata");
  const record = jsonField(metadata, "managedFields");
  const isMarked = Array.isArray(record) && record[0] === MARK;
  return isMarked && isJsonObject(metadata) ? metadata : undefined;
}
