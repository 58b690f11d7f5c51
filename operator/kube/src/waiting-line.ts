/** What is done first: what a person waits for, then ends, then what pods tell, then looking again. */
export const PRIORITIES = ["user", "deletion", "pod", "resync"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Every fourth turn belongs to the next lower class, so that a flood of one class slows the others and starves none. */
const SHARE = 4;

interface Entry {
  readonly key: string;
  readonly rank: number;
  readonly since: number;
  /** True once it was taken, or waits at a higher rank under another entry. */
  isOver: boolean;
  next: Entry | undefined;
}

interface Group {
  readonly name: string;
  first: Entry;
  last: Entry;
  next: Group | undefined;
}

/** Groups that have something waiting, in a ring, each with its own line. */
interface Class {
  readonly groups: Map<string, Group>;
  first: Group | undefined;
  last: Group | undefined;
}

/**
 * Keys that wait, each once, at the highest priority it was added with. Within a class the groups take turns, and within a group it
 * is first in, first out: who has a thousand keys waits for them, not his neighbour. Adding and taking cost the same however many wait;
 * the lists are linked, because a Map whose first entries are deleted again and again is walked from its start each time.
 */
export function createWaitingLine(groupOf: (key: string) => string) {
  const entries = new Map<string, Entry>();
  let classes = PRIORITIES.map(emptyClass);
  let turns = 0;

  /** @param since when it began to wait, in milliseconds of `performance.now()` */
  function add(key: string, priority: Priority, since = performance.now()): void {
    const rank = PRIORITIES.indexOf(priority);
    const known = entries.get(key);
    if (known !== undefined) {
      if (known.rank <= rank) return;
      known.isOver = true;
    }
    const entry: Entry = {
      key,
      rank,
      since: known?.since ?? since,
      isOver: false,
      next: undefined,
    };
    entries.set(key, entry);
    const target = classes[rank];
    if (target !== undefined) append(target, groupOf(key), entry);
  }

  function take():
    | { readonly key: string; readonly priority: Priority; readonly since: number }
    | undefined {
    if (entries.size === 0) return undefined;
    const favoured = rankOfTurn(++turns);
    for (const rank of [favoured, ...PRIORITIES.keys()]) {
      const source = classes[rank];
      const entry = source === undefined ? undefined : shift(source);
      const priority = PRIORITIES[rank];
      if (entry === undefined || priority === undefined) continue;
      entries.delete(entry.key);
      return { key: entry.key, priority, since: entry.since };
    }
    return undefined;
  }

  function clear(): void {
    entries.clear();
    classes = PRIORITIES.map(emptyClass);
  }

  return { add, take, clear, size: () => entries.size };
}

/** 0 three times, then 1; of the ones each fourth is a 2, of the twos each fourth a 3. */
function rankOfTurn(turn: number): number {
  let rank = 0;
  for (let rest = turn; rest % SHARE === 0 && rank < PRIORITIES.length - 1; rest /= SHARE) rank++;
  return rank;
}

function emptyClass(): Class {
  return { groups: new Map(), first: undefined, last: undefined };
}

function append(target: Class, name: string, entry: Entry): void {
  const known = target.groups.get(name);
  if (known !== undefined) {
    known.last.next = entry;
    known.last = entry;
    return;
  }
  const group: Group = { name, first: entry, last: entry, next: undefined };
  target.groups.set(name, group);
  enqueue(target, group);
}

function enqueue(target: Class, group: Group): void {
  group.next = undefined;
  if (target.last === undefined) target.first = group;
  else target.last.next = group;
  target.last = group;
}

/** The first entry of the group whose turn it is; the group goes to the end of the ring when it has more. */
function shift(source: Class): Entry | undefined {
  for (let group = source.first; group !== undefined; group = source.first) {
    source.first = group.next;
    if (source.first === undefined) source.last = undefined;
    let entry: Entry | undefined = group.first;
    while (entry?.isOver === true) entry = entry.next;
    if (entry?.next === undefined) source.groups.delete(group.name);
    else {
      group.first = entry.next;
      enqueue(source, group);
    }
    if (entry === undefined) continue;
    entry.isOver = true;
    return entry;
  }
  return undefined;
}
