/** setTimeout's own limit is 24.8 days; a day is soon enough to look again. */
const DELAY_MAX_MS = 86_400_000;

interface Alarm<Note> {
  readonly key: string;
  dueAt: number;
  note: Note;
  /** Its place in the heap. */
  at: number;
}

/**
 * Calls `ring` for keys at a time of theirs. Each key has one alarm, the earliest that was set. One timer and a heap serve them all: a
 * hundred thousand timers would be memory, and when everything fails at once, so many there would be. An earlier time moves the alarm
 * that is there: what it replaces would lie in memory until its own time, a day for a bot under a halt that ends tomorrow.
 */
export function createKeyAlarms<Note>(ring: (key: string, note: Note) => void) {
  const alarms = new Map<string, Alarm<Note>>();
  const heap: Alarm<Note>[] = [];
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Infinity;

  function set(key: string, delayMs: number, note: Note): void {
    const dueAt = performance.now() + Math.min(delayMs, DELAY_MAX_MS);
    const known = alarms.get(key);
    if (known !== undefined && known.dueAt <= dueAt) return;
    const alarm = known ?? { key, dueAt, note, at: heap.length };
    alarm.dueAt = dueAt;
    alarm.note = note;
    alarms.set(key, alarm);
    rise(heap, alarm);
    arm();
  }

  function arm(): void {
    const next = heap[0];
    if (next === undefined || next.dueAt >= timerAt) return;
    clearTimeout(timer);
    timerAt = next.dueAt;
    timer = setTimeout(ringDue, Math.max(0, Math.ceil(next.dueAt - performance.now())));
  }

  function ringDue(): void {
    timerAt = Infinity;
    const now = performance.now();
    for (let first = heap[0]; first !== undefined && first.dueAt <= now; first = heap[0]) {
      removeFirst(heap);
      alarms.delete(first.key);
      ring(first.key, first.note);
    }
    arm();
  }

  function clear(): void {
    clearTimeout(timer);
    timerAt = Infinity;
    alarms.clear();
    heap.length = 0;
  }

  return { set, clear, size: () => heap.length };
}

interface Due {
  readonly dueAt: number;
  at: number;
}

/** Of a binary heap in an array: the earliest is first, the children of `i` are `2i + 1` and `2i + 2`. */
function place<Item extends Due>(heap: Item[], item: Item, at: number): void {
  heap[at] = item;
  item.at = at;
}

/** Puts the item, which is new or earlier than it was, above all that are later. */
function rise<Item extends Due>(heap: Item[], item: Item): void {
  let { at } = item;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || parent.dueAt <= item.dueAt) break;
    place(heap, parent, at);
    at = above;
  }
  place(heap, item, at);
}

function removeFirst(heap: Due[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const below = isEarlier(heap[left + 1], heap[left]) ? left + 1 : left;
    const child = heap[below];
    if (child === undefined || child.dueAt >= last.dueAt) break;
    place(heap, child, at);
    at = below;
  }
  place(heap, last, at);
}

function isEarlier(a: Due | undefined, b: Due | undefined): boolean {
  return a !== undefined && b !== undefined && a.dueAt < b.dueAt;
}
