/**
 * Rows that compress like a real application's: prose of a Zipf-like vocabulary, JSON documents,
 * identifiers and money. The same seed gives the same rows.
 *
 * @module
 */

const SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo za tre stra chi nou"
  .split(" ");
const POOL_BYTES = 4 * 1024 * 1024;
const BATCH_BYTES = 256 * 1024;

/** A small, fast generator of numbers in [0, 1): mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function vocabulary(random: () => number): string[] {
  return Array.from({ length: 20_000 }, () => {
    const length = 1 + Math.floor(random() * 4);
    return Array.from({ length }, () => SYLLABLES[Math.floor(random() * SYLLABLES.length)]!).join(
      "",
    );
  });
}

/** Prose to cut bodies from: frequent words come first in the vocabulary. */
function prose(random: () => number): string {
  const words = vocabulary(random);
  const parts: string[] = [];
  for (let bytes = 0; bytes < POOL_BYTES;) {
    const word = words[Math.floor(words.length * random() ** 3)]!;
    parts.push(word);
    bytes += word.length + 1;
  }
  return parts.join(" ");
}

function hex(random: () => number, digits: number): string {
  let text = "";
  while (text.length < digits) text += Math.floor(random() * 2 ** 32).toString(16).padStart(8, "0");
  return text.slice(0, digits);
}

/** The statement that makes the table which {@link documentRows} fills. */
export const DOCUMENTS_TABLE = `create table documents (
  id bigint primary key, token uuid not null, created_at timestamptz not null,
  body text not null, attributes jsonb not null)`;

/**
 * About `bytes` of COPY text for `documents`, in batches.
 *
 * @param options.firstId where the ids begin, so that more rows can be added later.
 */
export function* documentRows(
  bytes: number,
  { seed, firstId = 0 }: { readonly seed: number; readonly firstId?: number },
): Generator<string, number> {
  const random = seededRandom(seed + firstId);
  const pool = prose(seededRandom(seed));
  let [made, id, batch] = [0, firstId, ""];
  while (made < bytes) {
    const start = Math.floor(random() * (pool.length - 2000));
    const body = pool.slice(start, start + 300 + Math.floor(random() * 1200));
    const attributes = JSON.stringify({
      user: Math.floor(random() * 1e7),
      score: Math.round(random() * 1e7) / 1e4,
      session: hex(random, 32),
      active: random() < 0.5,
      source: `import-${id % 17}`,
    });
    const day = String(1 + id % 28).padStart(2, "0");
    batch += `${id}\t${hex(random, 32)}\t2026-01-${day} 12:00:00+00\t${body}\t${attributes}\n`;
    id += 1;
    if (batch.length >= BATCH_BYTES) {
      made += batch.length;
      yield batch;
      batch = "";
    }
  }
  if (batch) yield batch;
  return id;
}

/** SQL that makes a small shop of orders beside the documents; `scale` 1 is about 20 MB. */
export function shopTables(scale: number): string[] {
  const customers = 5_000 * scale;
  const orders = 40_000 * scale;
  return [
    `create table customers (id int primary key, name text not null, email text unique, city text)`,
    `insert into customers select i, 'Customer ' || i, 'c' || i || '@example.com',
       (array['São Paulo','Lisboa','Recife','Porto','Manaus'])[1 + i % 5]
     from generate_series(1, ${customers}) i`,
    `create table orders (id bigint generated always as identity primary key,
       customer_id int not null references customers, placed_at timestamptz not null,
       status text not null, total numeric(12,2) not null, note text)`,
    `insert into orders (customer_id, placed_at, status, total, note)
     select 1 + (i::bigint * 7919) % ${customers}, '2026-01-01'::timestamptz + i * interval '37 seconds',
       (array['new','paid','sent','done'])[1 + i % 4], (i::bigint * 31337 % 1000000) / 100.0,
       md5(i::text) || ' ' || md5((i::bigint * 3)::text)
     from generate_series(1, ${orders}) i`,
    `create index orders_by_customer on orders (customer_id, placed_at)`,
    `create table order_items (order_id bigint not null references orders, line int not null,
       sku text not null, quantity int not null, price numeric(10,2) not null,
       primary key (order_id, line))`,
    `insert into order_items select o, l, 'SKU-' || (o * 13 + l * 7) % 5000, 1 + (o + l) % 9,
       ((o::bigint * l * 97) % 100000) / 100.0
     from generate_series(1, ${orders}) o, generate_series(1, 3) l`,
  ];
}

/** One row per table: its name, its rows and a hash of them that no order changes. */
export const TABLE_HASHES = (tables: readonly string[]): string =>
  tables.map((table) =>
    `select '${table}' as name, count(*)::text as rows,
       coalesce(sum(hashtextextended(t::text, 0)), 0)::text as hash from ${table} t`
  ).join(" union all ") + " order by 1";
