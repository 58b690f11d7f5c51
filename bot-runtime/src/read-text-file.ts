import { readFile } from "node:fs";

/** A small UTF-8 file. Not through `node:fs/promises`, which loads readline and more: 1.8 MB resident in every bot. */
export function readTextFile(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    readFile(path, "utf8", (error, text) => (error === null ? resolve(text) : reject(error)));
  });
}
