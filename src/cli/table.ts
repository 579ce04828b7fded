import { escapeControl } from "../log/format_record.ts";
import { wrap } from "./wrap.ts";

/** One column of a table. */
export interface Column {
  readonly title: string;
  /** Figures stand better at the right. @default {"left"} */
  readonly align?: "left" | "right";
  /** Where the terminal is narrow, columns go in the order of this number; those without it stay. */
  readonly dropAt?: number;
  /** The column may be cut to so many characters before any goes. */
  readonly shortenTo?: number;
  /** The last column may go on below itself. @default {false} */
  readonly wrap?: boolean;
}

/** How a table is printed. */
export interface TableOptions {
  /** Dims the titles. @default {false} */
  readonly color?: boolean;
  /** Text in front of each line. @default {""} */
  readonly indent?: string;
  /** Columns of the terminal. Undefined: lines may be of any length. */
  readonly width?: number | undefined;
  /** Marks what was cut. @default {false} */
  readonly unicode?: boolean;
}

/** A column that is shown. */
interface Shown {
  readonly index: number;
  readonly column: Column;
  readonly width: number;
}

const GAP = "  ";
/** In fewer columns nobody reads sentences. */
const LEAST_WRAPPED = 20;

/**
 * Lines of a table with two spaces between the columns; columns that are empty in every row are
 * left out, and where the terminal is too narrow some are cut or dropped, as they say. Control
 * characters are escaped, so that a name from elsewhere cannot move the cursor.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { color = false, indent = "", width = Infinity, unicode = false }: TableOptions = {},
): string {
  const cells = rows.map((row) => columns.map((_, index) => escapeControl(row[index] ?? "")));
  const used = columns.map((column, index) => ({ column, index })).filter(({ index }) =>
    cells.length === 0 || cells.some((row) => row[index] !== "")
  );
  const whole = used.map(({ column, index }) => {
    const widest = cells.reduce((most, row) => Math.max(most, row[index]!.length), 0);
    return { column, index, width: Math.max(column.title.length, widest) };
  });
  const shown = fitted(whole, width - indent.length);
  const line = (texts: readonly string[]) =>
    shown.map(({ column, index, width }) => {
      const text = cut(texts[index]!, { width, unicode });
      return column.align === "right" ? text.padStart(width) : text.padEnd(width);
    }).join(GAP).trimEnd();
  const titles = line(columns.map(({ title }) => title));
  const head = color ? `\x1b[2m${titles}\x1b[0m` : titles;
  const rowLines = (texts: readonly string[]) => {
    const [first, ...more] = wrapLast(texts, { shown, width: width - indent.length });
    return [line(first!), ...more.map(line)];
  };
  return [head, ...cells.flatMap(rowLines)].map((text) => `${indent}${text}\n`).join("");
}

/** The row, and further ones below it for what does not fit into a last column that wraps. */
function wrapLast(
  texts: readonly string[],
  { shown, width }: { readonly shown: readonly Shown[]; readonly width: number },
): readonly (readonly string[])[] {
  const last = shown.at(-1);
  const room = last && last.width - Math.max(0, lengthOf(shown) - width);
  if (!last?.column.wrap || room === undefined || room < LEAST_WRAPPED) return [texts];
  return wrap(texts[last.index]!, room).map((part, at) =>
    texts.map((text, index) => index === last.index ? part : at === 0 ? text : "")
  );
}

/** The columns that fit: as few are dropped as possible, and then as little is cut as possible. */
function fitted(columns: readonly Shown[], width: number): readonly Shown[] {
  const order = columns.filter(({ column }) => column.dropAt !== undefined)
    .toSorted((a, b) => a.column.dropAt! - b.column.dropAt!);
  for (let dropped = 0;; dropped++) {
    const gone = new Set(order.slice(0, dropped));
    const left = shortened(columns.filter((column) => !gone.has(column)), width);
    if (dropped === order.length || leastLength(left) <= width) return left;
  }
}

/** Takes from the widest that may be cut, one character after the other. */
function shortened(columns: readonly Shown[], width: number): readonly Shown[] {
  const widths = columns.map((column) => column.width);
  const room = (at: number) => widths[at]! - (columns[at]!.column.shortenTo ?? Infinity);
  for (let excess = lengthOf(columns) - width; excess > 0 && excess < Infinity; excess--) {
    const widest = widths.map((_, at) => at).filter((at) => room(at) > 0)
      .toSorted((a, b) => widths[b]! - widths[a]!)[0];
    if (widest === undefined) break;
    widths[widest]! -= 1;
  }
  return columns.map((column, at) => ({ ...column, width: widths[at]! }));
}

/** As {@link lengthOf}, where a last column that wraps is as narrow as it may be. */
function leastLength(columns: readonly Shown[]): number {
  const last = columns.at(-1);
  if (!last?.column.wrap) return lengthOf(columns);
  return lengthOf(columns) - Math.max(0, last.width - LEAST_WRAPPED);
}

function lengthOf(columns: readonly Shown[]): number {
  return columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length);
}

function cut(
  text: string,
  { width, unicode }: { readonly width: number; readonly unicode: boolean },
): string {
  if (text.length <= width) return text;
  const mark = unicode ? "…" : "~";
  return text.slice(0, Math.max(0, width - mark.length)) + mark;
}
