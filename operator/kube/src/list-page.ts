import { isJsonObject, jsonField, type JsonObject } from "./json.ts";
import { parseObject } from "./parse-object.ts";

/** One page of a list. Its objects are parsed one by one, as they are asked for. */
export interface ListPage {
  readonly items: Iterable<unknown>;
  /** Version of the whole list: a watch goes on from here. */
  readonly resourceVersion: string;
  /** Asks for the next page; undefined on the last one. */
  readonly next: string | undefined;
}

const ITEMS = '"items":[';
const METADATA = '"metadata":';
/** Stands for the objects; no API server says it. */
const MARK = 0;

/**
 * Reads a list as the API server writes it. Parsed as a whole a page of pods would hold the event loop for many times a turn, so it is cut
 * between two objects: where one ends and the next begins as the first does, up to its metadata. A cut in the wrong place leaves no whole
 * object. A list that is written otherwise is parsed as a whole.
 * @throws SyntaxError, Error when the text is no list; the objects, when they are none
 */
export function readPage(text: string): ListPage {
  return inPieces(text) ?? pageOf(JSON.parse(text));
}

function inPieces(text: string): ListPage | undefined {
  const start = text.indexOf(ITEMS) + ITEMS.length;
  const end = text.lastIndexOf("}]") + 1; // nothing that follows the objects holds such
  if (start < ITEMS.length || end <= start || text[start] !== "{") return undefined;
  const list = listAround(text, start, end);
  if (list === undefined) return undefined;
  return { ...pageOf(list), items: { [Symbol.iterator]: () => objectsIn(text, start, end) } };
}

/** The list with a mark for its objects; undefined when they are not what was found. */
function listAround(text: string, start: number, end: number): JsonObject | undefined {
  try {
    const list: unknown = JSON.parse(`${text.slice(0, start)}${MARK}${text.slice(end)}`);
    const items = jsonField(list, "items");
    return isJsonObject(list) && Array.isArray(items) && items[0] === MARK ? list : undefined;
  } catch {
    return undefined;
  }
}

function* objectsIn(text: string, start: number, end: number) {
  const beginning = text.slice(start, text.indexOf(METADATA, start) + METADATA.length);
  let from = start;
  while (from < end) {
    const next = text.indexOf(`},${beginning}`, from);
    const to = next === -1 ? end : Math.min(next + 1, end);
    const object = parsedOrNone(text.slice(from, to));
    if (object === undefined) {
      const rest: unknown = JSON.parse(`[${text.slice(from, end)}]`);
      if (Array.isArray(rest)) yield* rest;
      return;
    }
    yield object;
    from = to + 1; // the comma
  }
}

/** @returns undefined, which no JSON stands for, when the text is none */
function parsedOrNone(text: string): unknown {
  try {
    return parseObject(text);
  } catch {
    return undefined;
  }
}

function pageOf(list: unknown): ListPage {
  const metadata = jsonField(list, "metadata");
  const [items, resourceVersion] = [
    jsonField(list, "items"),
    jsonField(metadata, "resourceVersion"),
  ];
  const next = jsonField(metadata, "continue");
  if (!isJsonObject(list) || typeof resourceVersion !== "string") {
    throw new Error("the API server's answer is not a list");
  }
  return {
    items: Array.isArray(items) ? items : [], // null when Go's list was never filled
    resourceVersion,
    next: typeof next === "string" && next !== "" ? next : undefined,
  };
}
